//! `model.json`: what a trained model is, and the digest that names it.
//!
//! It holds no time, host, thread count, commit or digest of itself, so that the same inputs give the same bytes;
//! those go to `run.json` ([`RunRecord`]), outside the digest.

pub mod architecture;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::{self, Sha256Digest};
use crate::files::{self, FileError};
use architecture::NamedLayer;

/// The version of `model.json` that this build writes and reads.
pub const SCHEMA_VERSION: u32 = 1;

/// The manifest's file name in a model folder.
pub const MANIFEST_FILE: &str = "model.json";

/// The weights' file name in a model folder.
pub const WEIGHTS_FILE: &str = "weights.safetensors";

/// Everything needed to apply a model, and where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelManifest {
    /// Version of this file's layout.
    pub schema_version: u32,
    /// The model's name, from `[model] name`.
    pub name: String,
    /// What its output means.
    pub task: Task,
    /// The network, first layer first.
    pub architecture: Vec<NamedLayer>,
    /// One raw row, as clients send it: before preprocessing, without the batch axis.
    pub input: TensorSpec,
    /// One row of output, without the batch axis.
    pub output: TensorSpec,
    /// Steps from a raw row to what the first layer receives, in order.
    pub preprocessing: Vec<Preprocessing>,
    /// One name per class, in the order of the output; absent for regression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_names: Option<Vec<String>>,
    /// The loss that training minimised, by which `evaluate` reports `loss`.
    pub loss: Loss,
    /// Digest of the parts of the configuration that decide the weights.
    pub config_digest: Sha256Digest,
    /// Digest of the training data's files.
    pub data_digest: Sha256Digest,
    /// Seed of every random draw.
    pub seed: u64,
    /// What training did.
    pub training: TrainingSummary,
    /// The instructions that the arithmetic ran on: weights are bitwise reproducible on one instruction set.
    pub instruction_set: String,
    /// The weights' file.
    pub weights: FileEntry,
}

/// What a model's output means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// A score per class; the largest wins.
    Classification,
    /// One number.
    Regression,
}

/// Name, element type and shape of a tensor at the model's border.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TensorSpec {
    /// The name that inference clients use.
    pub name: String,
    /// Open Inference Protocol element type, such as `FP32`.
    pub datatype: String,
    /// Without the batch axis.
    pub shape: Vec<usize>,
}

impl TensorSpec {
    /// Number of elements of one row.
    pub fn n_elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// A step from raw features to what the first layer receives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Preprocessing {
    /// Every value divided by this number, as in `x / 255`.
    DivideBy(f64),
    /// `(x - mean) / std` for every value.
    Normalize {
        /// Subtracted from every value.
        mean: f64,
        /// Divides every value; positive.
        std: f64,
    },
}

impl Preprocessing {
    /// Applies the step in place.
    #[inline]
    pub fn apply(&self, values: &mut [f32]) {
        match *self {
            Self::DivideBy(divisor) => {
                let divisor = divisor as f32;
                values.iter_mut().for_each(|value| *value /= divisor);
            }
            Self::Normalize { mean, std } => {
                let (mean, std) = (mean as f32, std as f32);
                values
                    .iter_mut()
                    .for_each(|value| *value = (*value - mean) / std);
            }
        }
    }
}

/// A loss function, by Keras's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Negative log-likelihood of the labelled class, labels as integers.
    SparseCategoricalCrossentropy,
    /// The same, with the label as a probability of each class, which smoothing spreads.
    CategoricalCrossentropy,
    /// Negative log-likelihood of one of two classes, by the probability of the second.
    BinaryCrossentropy,
    /// Mean of the squared differences.
    MeanSquaredError,
    /// Mean of the differences' magnitudes.
    MeanAbsoluteError,
    /// Squared for small differences and linear for large ones (P. J. Huber, 1964).
    Huber,
}

/// What training did, as far as it is the same for every run of the same inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainingSummary {
    /// Rows trained on.
    pub n_rows: usize,
    /// Rows held out of the training data for validation.
    pub n_validation_rows: usize,
    /// Times the training rows were gone through.
    pub epochs: usize,
    /// Rows per optimiser step.
    pub batch_size: usize,
    /// Optimiser and its settings, as text.
    pub optimizer: String,
    /// Number of trained values.
    pub n_parameters: usize,
    /// Mean training loss of the last epoch.
    pub final_loss: f64,
}

/// A file named by digest and size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Path relative to the folder of the file that names it.
    pub path: String,
    /// Digest of its bytes.
    pub sha256: Sha256Digest,
    /// Its size.
    pub size_bytes: u64,
}

impl FileEntry {
    /// Measures the file `path` inside `folder`.
    pub fn measure(folder: &Path, path: &str) -> Result<Self, FileError> {
        let (sha256, size_bytes) = files::measure(&folder.join(path))?;
        Ok(Self {
            path: path.to_owned(),
            sha256,
            size_bytes,
        })
    }
}

/// `run.json`: circumstances of a run, outside the model's digest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// Version of this file's layout.
    pub schema_version: u32,
    /// Version of Trainyard.
    pub trainyard_version: String,
    /// Commit that was checked out, when known.
    pub commit: Option<String>,
    /// Where it ran: `github-actions`, `jenkins`, `travis`, `local`.
    pub ci: String,
    /// Number of threads used.
    pub n_threads: usize,
    /// Whole run, from start to the written model.
    pub total_s: f64,
    /// Each epoch.
    pub epoch_s: Vec<f64>,
    /// Operating system and processor architecture.
    pub platform: String,
}

/// Why a model folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file of the folder is missing or unreadable.
    #[error(transparent)]
    File(#[from] FileError),
    /// Written by another version.
    #[error("`{}` has schema version {found}, but this build reads version {SCHEMA_VERSION}", path.display())]
    SchemaVersion {
        /// The manifest.
        path: PathBuf,
        /// The version it states.
        found: u32,
    },
    /// The weights are not those that the manifest names.
    #[error("`{}` does not match the digest in {MANIFEST_FILE}: the folder was changed or only partly written", path.display())]
    Weights {
        /// The weights' file.
        path: PathBuf,
    },
    /// The manifest contradicts itself.
    #[error("`{}` is not consistent: {problem}", path.display())]
    Inconsistent {
        /// The manifest.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
}

/// A model folder whose files were checked against each other.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFolder {
    /// The folder.
    pub path: PathBuf,
    /// Its manifest.
    pub manifest: ModelManifest,
    /// The model's digest, over `model.json` and the weights.
    pub digest: Sha256Digest,
    /// Bytes of `model.json` and the weights together.
    pub size_bytes: u64,
}

impl ModelFolder {
    /// Opens a folder, checking schema version, weights and shapes.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let manifest_path = path.join(MANIFEST_FILE);
        let manifest: ModelManifest = files::read_json(&manifest_path, "model manifest")?;
        if manifest.schema_version != SCHEMA_VERSION {
            return Err(ModelError::SchemaVersion {
                path: manifest_path,
                found: manifest.schema_version,
            });
        }
        if let Some(problem) = manifest.problem() {
            return Err(ModelError::Inconsistent {
                path: manifest_path,
                problem,
            });
        }
        let weights = FileEntry::measure(path, &manifest.weights.path)?;
        if weights != manifest.weights {
            return Err(ModelError::Weights {
                path: path.join(&manifest.weights.path),
            });
        }
        let own = FileEntry::measure(path, MANIFEST_FILE)?;
        let digest = digest::of_file_set(
            [&own, &weights].map(|file| (&file.sha256, file.size_bytes, file.path.as_str())),
        );
        Ok(Self {
            path: path.to_owned(),
            manifest,
            digest,
            size_bytes: own.size_bytes + weights.size_bytes,
        })
    }

    /// The files that the digest covers, relative to the folder.
    pub fn files(&self) -> [&str; 2] {
        [MANIFEST_FILE, &self.manifest.weights.path]
    }
}

impl ModelManifest {
    /// What is wrong with the manifest, if anything is.
    fn problem(&self) -> Option<String> {
        let is_plain = Path::new(&self.weights.path).components().count() == 1
            && !matches!(self.weights.path.as_str(), "." | "..");
        if !is_plain {
            return Some(format!(
                "the weights `{}` must lie in the same folder",
                self.weights.path
            ));
        }
        let shapes = match architecture::shapes(&self.architecture, &self.input.shape) {
            Ok(shapes) => shapes,
            Err((layer_idx, error)) => return Some(format!("layer {}: {error}", layer_idx + 1)),
        };
        if shapes.last() != Some(&self.output.shape) {
            return Some(format!(
                "the layers give {:?}, but `output` says {:?}",
                shapes.last(),
                self.output.shape
            ));
        }
        match (self.task, &self.class_names) {
            // One output is the probability of the second class.
            (Task::Classification, Some(names))
                if names.len() != self.output.n_elements().max(2) =>
            {
                Some(format!(
                    "{} class names for {} outputs",
                    names.len(),
                    self.output.n_elements()
                ))
            }
            (Task::Classification, None) => Some("a classifier needs `class_names`".to_owned()),
            _ => None,
        }
    }
}
