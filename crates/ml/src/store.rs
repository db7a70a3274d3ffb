//! A trained network in, a model folder out: weights and history first, `model.json` last.

use std::fmt::Write as _;
use std::path::Path;

use trainyard_core::config::{Config, ConfigError};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::evaluation::EpochRecord;
use trainyard_core::files::{self, FileError};
use trainyard_core::model::{
    Artifact, FileEntry, InputSummary, ModelError, ModelFolder, ModelManifest, NetworkArtifact,
    Origin, PredictionSummary, RunRecord, SCHEMA_VERSION, TensorSpec, TrainedOrigin,
    TrainingSummary, WEIGHTS_FILE,
};

use trainyard_core::results::ResultFolder;
use trainyard_core::threshold::ChosenThreshold;

use crate::network::NetworkError;
use crate::train::Trained;

/// The history's file name in a model folder: one row an epoch, tab-separated.
pub const HISTORY_FILE: &str = "history.tsv";

/// The file name of the circumstances of a run.
pub const RUN_FILE: &str = "run.json";

/// Why a model folder cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// What was written does not hold together.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A tensor cannot be converted.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A history cannot be read back.
    #[error("`{path}`, line {line}: {problem}")]
    History {
        /// The file.
        path: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
}

/// What a model was trained on.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingRows {
    /// Digest of the training data.
    pub data_digest: Sha256Digest,
    /// Rows trained on.
    pub n_rows: usize,
    /// Rows held out for validation.
    pub n_validation_rows: usize,
    /// How the raw values of the rows trained on are distributed.
    pub input_summary: InputSummary,
    /// What the trained network predicts for rows of its training data.
    pub prediction_summary: PredictionSummary,
    /// Names of the features, where each is a column of a table.
    pub columns: Option<Vec<String>>,
    /// The threshold that was chosen on the validation rows, where one was asked for.
    pub threshold: Option<ChosenThreshold>,
}

/// Writes the weights, `history.tsv`, `run.json` and last `model.json`, and opens the result.
pub fn write_model(
    results: &ResultFolder,
    config: &Config,
    trained: &Trained,
    rows: TrainingRows,
    run: &RunRecord,
) -> Result<ModelFolder, StoreError> {
    let folder = results.path();
    let weights = trained.network.weights()?;
    files::write(&folder.join(WEIGHTS_FILE), &weights)?;
    files::write(
        &folder.join(HISTORY_FILE),
        history_tsv(&trained.history).as_bytes(),
    )?;
    files::write_json(&folder.join(RUN_FILE), run)?;
    let network = &trained.network;
    let TrainingRows {
        data_digest,
        n_rows,
        n_validation_rows,
        input_summary,
        prediction_summary,
        columns,
        threshold,
    } = rows;
    let manifest = ModelManifest {
        schema_version: SCHEMA_VERSION,
        name: config.model.name.clone(),
        task: config.model.task,
        input: tensor("input", config.model.input_shape.clone()),
        columns,
        output: tensor("output", vec![network.n_outputs()]),
        preprocessing: config.data.preprocessing.clone(),
        class_names: config.data.classes.clone(),
        artifact: Artifact::Network(NetworkArtifact {
            architecture: config.model.layers.clone(),
            weights: FileEntry::of_bytes(WEIGHTS_FILE, &weights),
        }),
        origin: Origin::Trained(TrainedOrigin {
            trainyard_version: run.trainyard_version.clone(),
            config_digest: config.training_digest()?,
            data_digest,
            seed: config.train.seed,
            engine: config.train.engine,
            instruction_set: crate::instruction_set(),
            loss: config.train.loss,
            training: TrainingSummary {
                n_rows,
                n_validation_rows,
                // Fewer than configured where training stopped early.
                epochs: trained.history.len(),
                batch_size: config.train.batch_size,
                optimizer: config.train.optimizer.describe(),
                n_parameters: network.n_parameters(),
                final_loss: trained.history.last().map_or(0.0, |record| record.loss),
            },
        }),
        input_summary: Some(input_summary),
        prediction_summary: Some(prediction_summary),
        threshold,
    };
    results.finish(&manifest)?;
    Ok(ModelFolder::open(folder)?)
}

/// Says in `run.json` that the model in `folder` is also that of a run with these inputs: it was there already. Where the record of its
/// training is missing or cannot be read, it stays as it is, and the inputs are not known.
pub fn record_inputs(folder: &Path, overriding_inputs: &[String]) -> Result<(), StoreError> {
    let path = folder.join(RUN_FILE);
    let Ok(run) = files::read_json::<RunRecord>(&path, "record of a run") else {
        return Ok(());
    };
    if run.overriding_inputs != overriding_inputs {
        let overriding_inputs = overriding_inputs.to_vec();
        let run = RunRecord {
            overriding_inputs,
            ..run
        };
        files::write_json(&path, &run)?;
    }
    Ok(())
}

fn tensor(name: &str, shape: Vec<usize>) -> TensorSpec {
    TensorSpec {
        name: name.to_owned(),
        datatype: "FP32".to_owned(),
        shape,
    }
}

/// A column of the history that not every run has.
type Column = fn(&EpochRecord) -> Option<f64>;

/// The history as tab-separated text; columns that no epoch has are left out.
fn history_tsv(history: &[EpochRecord]) -> String {
    let optional: [(&str, Column); 3] = [
        ("accuracy", |record| record.accuracy),
        ("val_loss", |record| record.val_loss),
        ("val_accuracy", |record| record.val_accuracy),
    ];
    let columns = optional
        .into_iter()
        .filter(|(_, value)| history.iter().any(|record| value(record).is_some()));
    let columns: Vec<_> = columns.collect();
    let mut text = String::from("epoch\tloss");
    columns
        .iter()
        .for_each(|(name, _)| text.extend(["\t", name]));
    text.push('\n');
    for record in history {
        let _ = write!(text, "{}\t{}", record.epoch, record.loss);
        for (_, value) in &columns {
            let _ = write!(
                text,
                "\t{}",
                value(record)
                    .map(|value| value.to_string())
                    .unwrap_or_default()
            );
        }
        text.push('\n');
    }
    text
}

/// Reads `history.tsv`: `epoch` and `loss`, with `accuracy`, `val_loss` and `val_accuracy` where there are such columns.
pub fn read_history(path: &Path) -> Result<Vec<EpochRecord>, StoreError> {
    let text = files::read_text(path)?;
    let error = |line: usize, problem: String| StoreError::History {
        path: path.display().to_string(),
        line,
        problem,
    };
    let mut lines = text.lines().enumerate().map(|(idx, line)| (idx + 1, line));
    let header: Vec<&str> = lines
        .next()
        .map(|(_, line)| line.split('\t').collect())
        .unwrap_or_default();
    let mut history = Vec::new();
    for (line, row) in lines.filter(|(_, row)| !row.trim().is_empty()) {
        let cells: Vec<&str> = row.split('\t').collect();
        let number = |name: &str| -> Result<Option<f64>, StoreError> {
            let cell = header
                .iter()
                .position(|column| *column == name)
                .and_then(|idx| cells.get(idx));
            match cell.map(|cell| cell.trim()).filter(|cell| !cell.is_empty()) {
                None => Ok(None),
                Some(cell) => match cell.parse::<f64>() {
                    Ok(value) if value.is_finite() => Ok(Some(value)),
                    _ => Err(error(
                        line,
                        format!("`{cell}` in the column `{name}` is not a finite number"),
                    )),
                },
            }
        };
        let loss = number("loss")?.ok_or_else(|| error(line, "there is no `loss`".to_owned()))?;
        let epoch = number("epoch")?.map_or(history.len() + 1, |epoch| epoch as usize);
        let (accuracy, val_loss, val_accuracy) = (
            number("accuracy")?,
            number("val_loss")?,
            number("val_accuracy")?,
        );
        history.push(EpochRecord {
            epoch,
            loss,
            accuracy,
            val_loss,
            val_accuracy,
        });
    }
    Ok(history)
}
