//! The smoke test: the server is started from the packed layers and must answer as the evaluated model did.

use std::borrow::Cow;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use trainyard_core::config::Config;
use trainyard_core::evaluation::Evaluation;
use trainyard_core::metrics::argmax;
use trainyard_core::model::{ModelFolder, ModelManifest, Task};
use trainyard_core::publication::SERVER_PATH;
use trainyard_core::scored_rows::{Labels, ScoreTable, ScoredRows};
use trainyard_ml::data::{Dataset, Split};
use trainyard_ml::predictor::by_class;
use trainyard_oci::spec::Descriptor;
use trainyard_oci::{Layer, Layout, unpack_file};
use trainyard_runner::{ExitCode, WithExitCode as _};

use crate::server::Server;
use crate::{Inputs, runtime};

/// How far scores may differ: the evaluation may have run on other instructions, which round differently.
const TOLERANCE: f32 = 1e-4;

const START_TIMEOUT: Duration = Duration::from_secs(30);
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

/// What the packed server is tried with.
pub(crate) struct SmokeTest<'a> {
    pub(crate) config: &'a Config,
    pub(crate) inputs: &'a Inputs,
    pub(crate) model: &'a ModelFolder,
    pub(crate) evaluation: &'a Evaluation,
    pub(crate) servers: &'a [Server],
    /// The server that runs on this machine.
    pub(crate) runnable_idx: Option<usize>,
}

impl SmokeTest<'_> {
    /// How many of the evaluation's `rows` the packed server answered as it should. `packed` unpacks the image of this index.
    pub(crate) fn run(
        &self,
        rows: ScoredRows,
        packed: impl FnOnce(usize) -> anyhow::Result<Packed>,
    ) -> anyhow::Result<usize> {
        const LEAVE_OUT: &str = "`[image] smoke_test_rows = 0` leaves the smoke test out";
        let n_rows = self.config.image.smoke_test_rows;
        if n_rows == 0 {
            tracing::warn!("the packed server was not tried, since `[image] smoke_test_rows` is 0");
            return Ok(0);
        }
        let platforms = self.servers.iter().map(|it| it.platform.to_string());
        let Some(runnable_idx) = self.runnable_idx else {
            let error = anyhow!(
                "the server in the image is for {}, so it cannot be tried on this machine",
                platforms.collect::<Vec<_>>().join(" and ")
            );
            return Err(error).exit_code(ExitCode::Usage).hint(LEAVE_OUT);
        };
        for (idx, platform) in platforms.enumerate() {
            if idx != runnable_idx {
                tracing::info!("the server for {platform} is not tried here");
            }
        }
        let manifest = &self.model.manifest;
        let Inputs { data, stage, .. } = self.inputs;
        let columns = manifest.columns.as_deref();
        let dataset = data
            .load(stage, self.config, Split::Test, columns)
            .hint(LEAVE_OUT)?;
        let sample = Sample::take(self.evaluation, &rows, &dataset, n_rows)
            .exit_code(ExitCode::Inconclusive)
            .hint("run `trainyard-evaluate` again on this data")?;
        // As large as the test data may be, and of no use any more.
        drop(rows);
        let packed = packed(runnable_idx).exit_code(ExitCode::Data)?;
        runtime::one_thread()?
            .block_on(test(&packed, manifest, &sample))
            .context(
                "the image does not answer as the evaluated model did, so it is not published",
            )?;
        let n_rows = sample.n_rows;
        tracing::info!(
            "smoke test passed: the packaged server matched the evaluation on {n_rows} rows"
        );
        Ok(n_rows)
    }
}

/// Rows of the test data with the scores that the evaluation recorded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    n_rows: usize,
    /// `[n_rows, row_len]`, raw.
    rows: Vec<f32>,
    /// `[n_rows, n_outputs]`.
    scores: Vec<f32>,
}

impl Sample {
    /// `n_rows` rows spread evenly over the test data, with what is `recorded` for them.
    pub(crate) fn take(
        evaluation: &Evaluation,
        recorded: &ScoredRows,
        dataset: &Dataset,
        n_rows: usize,
    ) -> anyhow::Result<Self> {
        ensure!(
            dataset.digest() == evaluation.data.digest
                && dataset.n_rows() as u64 == evaluation.data.rows.n_rows,
            "the test data is not what the model was evaluated on"
        );
        ensure!(
            recorded.n_rows() == dataset.n_rows(),
            "the predictions are of another number of rows than the test data"
        );
        // A regression has no scores but its predictions.
        let recorded: Cow<'_, [f32]> = match (&recorded.scores, &recorded.predicted) {
            (Some(ScoreTable::F32(scores)), _) => scores.into(),
            (Some(ScoreTable::F64(scores)), _) => scores.iter().map(|&it| it as f32).collect(),
            (None, Labels::Value(values)) => values.iter().map(|&it| it as f32).collect(),
            (None, _) => bail!("the predictions hold no scores"),
        };
        let n_outputs = recorded.len() / dataset.n_rows();
        let n_rows = n_rows.min(dataset.n_rows());
        let chosen: Vec<u32> = (0..n_rows)
            .map(|i| (i * dataset.n_rows() / n_rows) as u32)
            .collect();
        let mut rows = vec![0.0; n_rows * dataset.row_len()];
        dataset
            .gather(&chosen, &mut rows)
            .exit_code(ExitCode::Data)?;
        let scores = chosen
            .iter()
            .flat_map(|&row| {
                let row = row as usize;
                recorded[row * n_outputs..(row + 1) * n_outputs]
                    .iter()
                    .copied()
            })
            .collect();
        Ok(Self {
            n_rows,
            rows,
            scores,
        })
    }

    fn request(&self, manifest: &ModelManifest) -> Value {
        let shape = [&[self.n_rows], manifest.input.shape.as_slice()].concat();
        json!({"inputs": [{
            "name": manifest.input.name, "datatype": "FP32", "shape": shape, "data": self.rows,
        }]})
    }

    fn compare(&self, answer: &Value, task: Task) -> anyhow::Result<()> {
        let found = answer
            .pointer("/outputs/0/data")
            .and_then(Value::as_array)
            .with_context(|| format!("the server answered {answer}"))?;
        let found: Vec<f32> = found
            .iter()
            .map(|value| value.as_f64().unwrap_or(f64::NAN) as f32)
            .collect();
        let found = match task {
            // One score a row is the probability of the second class.
            Task::Classification if found.len() == self.n_rows => by_class(&found, 1).into_owned(),
            _ => found,
        };
        ensure!(
            found.len() == self.scores.len(),
            "the server answered {} scores instead of {}",
            found.len(),
            self.scores.len()
        );
        let n_outputs = self.scores.len() / self.n_rows;
        let rows = found
            .chunks_exact(n_outputs)
            .zip(self.scores.chunks_exact(n_outputs));
        for (row, (found, recorded)) in rows.enumerate() {
            // Written so that a NaN fails.
            let is_close = found.iter().zip(recorded).all(|(found, recorded)| {
                (found - recorded).abs() <= TOLERANCE * recorded.abs().max(1.0)
            });
            let (found_best, recorded_best) = (argmax(found), argmax(recorded));
            let is_same_class = task == Task::Regression
                || found_best == recorded_best
                || (recorded[found_best] - recorded[recorded_best]).abs() <= 2.0 * TOLERANCE;
            ensure!(
                is_close && is_same_class,
                "row {row} of the sample: the server answered {found:?}, but the evaluation recorded {recorded:?}"
            );
        }
        Ok(())
    }
}

/// The server and the model of an image, as far as they must lie on the disk to be tried.
pub(crate) struct Packed {
    /// Of the layers, unpacked.
    root: TempDir,
    /// The model's layer itself, which the server reads as it is: no second copy of the weights.
    model: PathBuf,
}

impl Packed {
    /// Unpacks the server of an image that is made of `server` and a model alone, before there is an image.
    pub(crate) fn early(server: &Layer) -> anyhow::Result<TempDir> {
        let root = tempfile::tempdir().context("making a temporary folder")?;
        unpack_file(&server.path, &server.media_type, SERVER_PATH, root.path())?;
        Ok(root)
    }

    /// The server that was unpacked `early`, where the image has no other layer that could hold one; else every layer is looked through
    /// for it, but the model's, which is the last.
    pub(crate) fn of(
        layout: &Layout,
        image: &Descriptor,
        early: Option<(&Layer, TempDir)>,
    ) -> anyhow::Result<Self> {
        let layers = layout.manifest(image)?.layers;
        let (model, others) = layers.split_last().context("the image has no layer")?;
        let model = layout.blob_path(&model.digest);
        if let (Some((server, root)), [other]) = (early, others)
            && other.digest == server.digest
        {
            return Ok(Self { root, model });
        }
        let root = tempfile::tempdir().context("making a temporary folder")?;
        for layer in others {
            unpack_file(
                &layout.blob_path(&layer.digest),
                &layer.media_type,
                SERVER_PATH,
                root.path(),
            )?;
        }
        Ok(Self { root, model })
    }
}

/// Starts the server of the layers with the model of its layer, and compares its answers with the sample.
///
/// Ends with [`ExitCode::Data`] where the server cannot be started, with [`ExitCode::Inconclusive`] where it answers otherwise.
async fn test(packed: &Packed, manifest: &ModelManifest, sample: &Sample) -> anyhow::Result<()> {
    let program = packed.root.path().join(SERVER_PATH.trim_start_matches('/'));
    let mut server = Command::new(&program)
        .arg("--model")
        .arg(&packed.model)
        .args(["--host", "127.0.0.1", "--port", "0"])
        // Nothing of this environment is in a container either.
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| {
            format!(
                "the packed server could not be started from `{}`",
                program.display()
            )
        })
        .exit_code(ExitCode::Data)
        .hint("where that folder forbids programs (`noexec`), name another one by `TMPDIR`")?;
    let outcome = tokio::time::timeout(ANSWER_TIMEOUT, ask(&mut server, manifest, sample)).await;
    let _ = server.kill().await;
    let outcome =
        outcome.unwrap_or_else(|_| Err(anyhow!("the packed server did not answer in time")));
    match outcome {
        Ok(answer) => sample
            .compare(&answer, manifest.task)
            .exit_code(ExitCode::Inconclusive),
        Err(error) => {
            let mut log = String::new();
            if let Some(mut stderr) = server.stderr.take() {
                let _ = stderr.read_to_string(&mut log).await;
            }
            let log = log.trim();
            Err(error.context(format!(
                "the packed server does not answer; its log:\n{log}"
            )))
            .exit_code(ExitCode::Inconclusive)
        }
    }
}

async fn ask(
    server: &mut Child,
    manifest: &ModelManifest,
    sample: &Sample,
) -> anyhow::Result<Value> {
    let stdout = server.stdout.take().context("the server has no output")?;
    let mut line = String::new();
    let started = BufReader::new(stdout);
    let reading = async {
        let mut started = started;
        started.read_line(&mut line).await
    };
    tokio::time::timeout(START_TIMEOUT, reading)
        .await
        .map_err(|_| anyhow!("it did not say its address in time"))??;
    let address = line
        .trim()
        .strip_prefix("http://")
        .with_context(|| format!("it said `{}` instead of its address", line.trim()))?;
    let path = format!("/v2/models/{}/infer", manifest.name);
    post(address, &path, &sample.request(manifest)).await
}

/// One POST of JSON over a connection of its own.
async fn post(address: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = hyper::Request::post(path)
        .header("host", address)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(serde_json::to_vec(body)?)))?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        anyhow::Ok((status, body))
    };
    // The connection only moves while it is polled; it ends when the answer is whole.
    let (status, body) = tokio::select! {
        answer = exchange => answer?,
        Err(error) = connection => bail!(error),
    };
    let answer: Value = serde_json::from_slice(&body)
        .with_context(|| format!("it answered {status} with no JSON"))?;
    ensure!(status.is_success(), "it answered {status}: {answer}");
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Sample {
        Sample {
            n_rows: 2,
            rows: vec![0.0; 4],
            scores: vec![0.9, 0.1, 0.5, 0.5],
        }
    }

    fn compared(scores: &[f32]) -> Result<(), String> {
        let answer = json!({"outputs": [{"data": scores}]});
        sample()
            .compare(&answer, Task::Classification)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn answers_must_be_those_of_the_evaluation() {
        compared(&[0.9, 0.1, 0.5, 0.5]).unwrap();
        // A tie may fall either way.
        compared(&[0.900_01, 0.099_99, 0.499_99, 0.500_01]).unwrap();
        assert!(
            compared(&[0.8, 0.2, 0.5, 0.5])
                .unwrap_err()
                .starts_with("row 0")
        );
        assert!(
            compared(&[0.9, 0.1, 0.5])
                .unwrap_err()
                .contains("3 scores instead of 4")
        );
        let error = sample().compare(&json!({"error": "no"}), Task::Classification);
        assert!(error.unwrap_err().to_string().contains("no"));
        let null = json!({"outputs": [{"data": [null, 0.1, 0.5, 0.5]}]});
        assert!(sample().compare(&null, Task::Classification).is_err());
    }
}
