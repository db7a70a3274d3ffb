//! `evaluation.json`: what a model scored on which rows. It never sees a baseline.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Sha256Digest;
use crate::files::{self, FileError};
use crate::metrics::{ClassMetrics, Confusion, Metric};
use crate::model::{FileEntry, Task};

/// The version of `evaluation.json` that this build writes and reads.
pub const SCHEMA_VERSION: u32 = 1;

/// The file's name in an evaluation folder.
pub const EVALUATION_FILE: &str = "evaluation.json";

/// The flat, DVC-compatible metrics beside it.
pub const METRICS_FILE: &str = "metrics.json";

/// The predictions beside it.
pub const PREDICTIONS_FILE: &str = "predictions.npz";

/// Beyond this many wrong rows they are not listed, and a later gate cannot pair them.
pub const MAX_LISTED_MISSES: usize = 100_000;

/// What a model scored, and on what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Version of this file's layout.
    pub schema_version: u32,
    /// What the model's output means.
    pub task: Task,
    /// Which model was scored.
    pub model: ModelReference,
    /// On which rows.
    pub data: DataReference,
    /// Two-sided level of the intervals.
    pub confidence: f64,
    /// Headline metrics.
    pub metrics: Vec<Metric>,
    /// Figures of each class; empty for regression.
    pub per_class: Vec<ClassMetrics>,
    /// Labels against predictions; absent for regression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Confusion>,
    /// Identifiers of the rows predicted wrong, for pairing with another evaluation of the same rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub misses: Option<Vec<i64>>,
    /// The predictions' file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictions: Option<FileEntry>,
    /// The other files beside this one, for people and other tools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileEntry>,
    /// Training's course, where the model brought it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<EpochRecord>,
    /// Version of Trainyard.
    pub trainyard_version: String,
    /// Commit that was checked out, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// Which model was scored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelReference {
    /// Its name.
    pub name: String,
    /// Its digest; absent when only its predictions were at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Sha256Digest>,
    /// Bytes of `model.json` and the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
}

/// The rows that were scored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataReference {
    /// Digest of the files that they came from.
    pub digest: Sha256Digest,
    /// Digest of the rows' identifiers and labels: equal for two evaluations exactly when their rows can be paired.
    pub row_set_digest: Sha256Digest,
    /// Number of rows.
    pub n_rows: u64,
}

/// One epoch of training: a row of `history.tsv`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean training loss over the epoch.
    pub loss: f64,
    /// Share of training rows predicted right during the epoch; classification only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Loss on the validation rows after the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_loss: Option<f64>,
    /// Accuracy on the validation rows after the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_accuracy: Option<f64>,
}

/// Why an evaluation cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// A file is missing or unreadable.
    #[error(transparent)]
    File(#[from] FileError),
    /// Written by another version.
    #[error("`{}` has schema version {found}, but this build reads version {SCHEMA_VERSION}", path.display())]
    SchemaVersion {
        /// The file.
        path: PathBuf,
        /// The version it states.
        found: u32,
    },
    /// The predictions are not those that were scored.
    #[error("`{}` does not match the digest in {EVALUATION_FILE}: the folder was changed or only partly written", path.display())]
    Predictions {
        /// The predictions' file.
        path: PathBuf,
    },
}

impl Evaluation {
    /// Reads `evaluation.json` at `path`, without looking at the files beside it.
    pub fn read(path: &Path) -> Result<Self, EvaluationError> {
        let evaluation: Self = files::read_json(path, "evaluation")?;
        if evaluation.schema_version != SCHEMA_VERSION {
            return Err(EvaluationError::SchemaVersion {
                path: path.to_owned(),
                found: evaluation.schema_version,
            });
        }
        Ok(evaluation)
    }

    /// Reads the evaluation in `folder` and checks the predictions beside it; the digest is that of `evaluation.json`.
    pub fn open(folder: &Path) -> Result<(Self, Sha256Digest), EvaluationError> {
        let path = folder.join(EVALUATION_FILE);
        let evaluation = Self::read(&path)?;
        if let Some(predictions) = &evaluation.predictions {
            let is_plain = Path::new(&predictions.path).components().count() == 1;
            if !is_plain || FileEntry::measure(folder, &predictions.path)? != *predictions {
                return Err(EvaluationError::Predictions {
                    path: folder.join(&predictions.path),
                });
            }
        }
        let digest = Sha256Digest::of(&files::read(&path)?);
        Ok((evaluation, digest))
    }

    /// The headline metric called `name`.
    pub fn metric(&self, name: &str) -> Option<&Metric> {
        self.metrics.iter().find(|metric| metric.name == name)
    }

    /// The flat metrics of `metrics.json`, in the evaluation's order.
    pub fn flat_metrics(&self) -> serde_json::Map<String, serde_json::Value> {
        self.metrics
            .iter()
            .map(|metric| (metric.name.clone(), metric.value.into()))
            .collect()
    }
}

/// The digest that tells whether two evaluations judged the same rows: over row identifiers and labels, in order.
///
/// Lines are `<row id> <label>\n`; labels are class indices or the shortest decimal form of a number.
pub fn row_set_digest(row_ids: &[i64], labels: impl Iterator<Item = String>) -> Sha256Digest {
    let lines: String = row_ids
        .iter()
        .zip(labels)
        .map(|(row_id, label)| format!("{row_id} {label}\n"))
        .collect();
    Sha256Digest::of(lines.as_bytes())
}

/// A flat JSON of metrics, as DVC writes and reads it: nested objects become dotted names, lists and texts are no metrics.
pub fn flatten_metrics(value: &serde_json::Value) -> BTreeMap<String, f64> {
    fn descend(prefix: &str, value: &serde_json::Value, metrics: &mut BTreeMap<String, f64>) {
        match value {
            serde_json::Value::Object(entries) => {
                for (key, value) in entries {
                    let name = if prefix.is_empty() {
                        key.clone()
                    } else {
                        format!("{prefix}.{key}")
                    };
                    descend(&name, value, metrics);
                }
            }
            serde_json::Value::Number(number) => {
                metrics.extend(number.as_f64().map(|value| (prefix.to_owned(), value)));
            }
            _ => {}
        }
    }
    let mut metrics = BTreeMap::new();
    descend("", value, &mut metrics);
    metrics
}
