//! `cross-validation.json`: how the training rows were divided and trained on, beside `predictions.npz` with what each
//! fold predicted for its test rows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FoldMethod;
use crate::digest::Sha256Digest;
use crate::model::{FileEntry, Task};

/// The file's name in the folder `cross-validation`.
pub const CROSS_VALIDATION_FILE: &str = "cross-validation.json";

/// A finished cross-validation. Like `model.json` it holds no time, host or thread count: the same configuration and data
/// give the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CrossValidation {
    /// Version of this layout.
    pub schema_version: u32,
    /// `[model] name`.
    pub name: String,
    /// What the model predicts.
    pub task: Task,
    /// How the rows were divided.
    pub method: FoldMethod,
    /// Folds of one repeat.
    pub n_splits: usize,
    /// How often the rows were divided anew.
    pub n_repeats: usize,
    /// Column of the groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Column of the order of time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Whether the rows were shuffled before they were divided.
    pub shuffle: bool,
    /// Seed of the shuffle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Names of the classes, in the order of the columns of scores; absent for regression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_names: Option<Vec<String>>,
    /// Number of training rows that were divided.
    pub n_rows: usize,
    /// Version of Trainyard.
    pub trainyard_version: String,
    /// The instructions that the arithmetic ran on.
    pub instruction_set: String,
    /// Digest of all settings that decide the weights, as in `model.json`.
    pub config_digest: Sha256Digest,
    /// Digest of the training data, as in `model.json`.
    pub data_digest: Sha256Digest,
    /// The predictions for the test rows of all folds: the arrays `row_id` where the data have ids, `label`, `predicted`,
    /// `score` for a classifier, `fold` (counted from 0: repeat × `n_splits` + fold) and `row` (the training row, counted
    /// from 0).
    pub predictions: FileEntry,
    /// The folds, repeat by repeat.
    pub folds: Vec<FoldRecord>,
}

/// One fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FoldRecord {
    /// Counted from 0.
    pub repeat: usize,
    /// Counted from 0 within the repeat.
    pub fold: usize,
    /// Training rows of the fold, with those held out for validation.
    pub n_train: usize,
    /// Rows among them that were held out for validation.
    pub n_validation: usize,
    /// Rows tested on.
    pub n_test: usize,
    /// Epochs run; fewer than configured where training stopped early.
    pub epochs: usize,
}
