//! Where a model came from: trained here, or imported from another tool.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FileEntry, Loss};
use crate::digest::Sha256Digest;

/// Where a model came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Origin {
    /// Trained by Trainyard.
    Trained(TrainedOrigin),
    /// Made by another tool.
    Imported(ImportedOrigin),
}

/// How Trainyard trained a model: the same values give the same weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainedOrigin {
    /// Version of Trainyard that trained it.
    pub trainyard_version: String,
    /// Digest of the parts of the configuration that decide the weights.
    pub config_digest: Sha256Digest,
    /// Digest of the training data's files.
    pub data_digest: Sha256Digest,
    /// Seed of every random draw.
    pub seed: u64,
    /// What computed losses and gradients.
    pub engine: Engine,
    /// The instructions that the arithmetic ran on: weights are bitwise reproducible on one instruction set.
    pub instruction_set: String,
    /// The loss that training minimised.
    pub loss: Loss,
    /// What training did.
    pub training: TrainingSummary,
}

/// What computes losses and gradients in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Trainyard's own kernels: the same bits for any number of threads, on one instruction set.
    #[default]
    Kernels,
    /// candle's operations and autograd: the same bits on one machine and for one number of threads.
    Candle,
}

impl Engine {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernels => "kernels",
            Self::Candle => "candle",
        }
    }
}

/// What training did, as far as it is the same for every run of the same inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainingSummary {
    /// Rows trained on.
    pub n_rows: usize,
    /// Rows held out of the training data for validation.
    pub n_validation_rows: usize,
    /// Number of passes over the training rows.
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

/// Which tool made a model, and what shows that it still computes the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportedOrigin {
    /// The tool: `pytorch`, `keras`, `scikit-learn`, ….
    pub tool: String,
    /// Its version, where the file says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_version: Option<String>,
    /// The file that was imported, where the artifact was converted from another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<FileEntry>,
    /// What shows that the artifact computes what the tool computed.
    pub proof: ImportProof,
}

/// What shows that an imported model computes what the tool computed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ImportProof {
    /// Nothing does: the tool left no output to compare with.
    Absent {},
    /// The tool's output for some rows was compared with the artifact's.
    Compared {
        /// Number of rows compared.
        n_rows: u64,
        /// Largest difference of two scores.
        max_difference: f64,
        /// Largest difference that was accepted.
        tolerance: f64,
        /// Digest of the file that holds the rows and the tool's output.
        rows_digest: Sha256Digest,
    },
}
