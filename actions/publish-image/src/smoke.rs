//! The smoke test: the server is started from the packed layers and must answer as the evaluated model did.

use std::borrow::Cow;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use trainyard_core::config::Config;
use trainyard_core::evaluation::Evaluation;
use trainyard_core::held_out_sample::{HeldOutSample, SCHEMA_VERSION};
use trainyard_core::model::ModelFolder;
use trainyard_core::publication::SERVER_PATH;
use trainyard_core::scored_rows::{Labels, ScoreTable, ScoredRows};
use trainyard_ml::data::{Dataset, Split};
use trainyard_oci::spec::Descriptor;
use trainyard_oci::{Layer, Layout, unpack_file};
use trainyard_runner::{ExitCode, WithExitCode as _};

use crate::server::Server;
use crate::{Inputs, runtime};

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
    /// Those of the evaluation's `rows` that the packed server answered as it should; `None` where it was not to be tried. `packed` unpacks the
    /// image of this index.
    pub(crate) fn run(
        &self,
        rows: ScoredRows,
        packed: impl FnOnce(usize) -> anyhow::Result<Packed>,
    ) -> anyhow::Result<Option<HeldOutSample>> {
        const LEAVE_OUT: &str = "`[image] smoke_test_rows = 0` leaves the smoke test out";
        let n_rows = self.config.image.smoke_test_rows;
        if n_rows == 0 {
            tracing::warn!("the packed server was not tried, since `[image] smoke_test_rows` is 0");
            return Ok(None);
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
        let Inputs { data, stage, .. } = self.inputs;
        let columns = self.model.manifest.columns.as_deref();
        let dataset = data
            .load(stage, self.config, Split::Test, columns)
            .hint(LEAVE_OUT)?;
        let sample = sample(self.model, self.evaluation, &rows, &dataset, n_rows)
            .exit_code(ExitCode::Inconclusive)
            .hint("run `trainyard-evaluate` again on this data")?;
        // As large as the test data may be, and of no use any more.
        drop(rows);
        let packed = packed(runnable_idx).exit_code(ExitCode::Data)?;
        runtime::one_thread()?
            .block_on(test(&packed, &sample))
            .context(
                "the image does not answer as the evaluated model did, so it is not published",
            )?;
        let n_rows = sample.n_rows;
        tracing::info!(
            "smoke test passed: the packaged server matched the evaluation on {n_rows} rows"
        );
        Ok(Some(sample))
    }
}

/// `n_rows` rows of the test data, spread evenly over it, with what is `recorded` for them.
pub(crate) fn sample(
    model: &ModelFolder,
    evaluation: &Evaluation,
    recorded: &ScoredRows,
    dataset: &Dataset,
    n_rows: usize,
) -> anyhow::Result<HeldOutSample> {
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
    Ok(HeldOutSample {
        schema_version: SCHEMA_VERSION,
        model_name: model.manifest.name.clone(),
        model_digest: model.digest.clone(),
        task: model.manifest.task,
        input_name: model.manifest.input.name.clone(),
        input_shape: model.manifest.input.shape.clone(),
        n_rows,
        rows,
        scores,
    })
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
pub(crate) async fn test(packed: &Packed, sample: &HeldOutSample) -> anyhow::Result<()> {
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
    let outcome = tokio::time::timeout(ANSWER_TIMEOUT, ask(&mut server, sample)).await;
    let _ = server.kill().await;
    let outcome =
        outcome.unwrap_or_else(|_| Err(anyhow!("the packed server did not answer in time")));
    match outcome {
        Ok(answer) => sample.compare(&answer).exit_code(ExitCode::Inconclusive),
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

async fn ask(server: &mut Child, sample: &HeldOutSample) -> anyhow::Result<Value> {
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
    let path = format!("/v2/models/{}/infer", sample.model_name);
    post(address, &path, &sample.request()).await
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
