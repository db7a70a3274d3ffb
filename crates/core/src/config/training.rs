//! How the weights are found, resolved: every setting that has an effect, with its value, and no other.

use std::collections::BTreeMap;

use serde::Serialize;

use super::optimizer::Optimizer;
use super::schedule::{EarlyStoppingConfig, Schedule};
use crate::model::Loss;

/// How the weights are found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Training {
    /// Number of passes over the training data.
    pub epochs: usize,
    /// Rows per optimiser step.
    pub batch_size: usize,
    /// Seed of initial weights, shuffling, dropout and the validation split.
    pub seed: u64,
    /// Whether rows are put in a new order before each epoch.
    pub shuffle: bool,
    /// What is minimised.
    pub loss: Loss,
    /// Share of a label that is spread over all classes.
    pub label_smoothing: f64,
    /// Error beyond which the Huber loss grows linearly.
    pub huber_delta: f64,
    /// Weight of the rows of a class, by the class's name; 1 for those that are not named.
    pub class_weight: BTreeMap<String, f64>,
    /// Threads to compute with; all cores when not given. The result does not depend on it.
    pub threads: Option<usize>,
    /// How steps are taken.
    pub optimizer: Optimizer,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// When to stop before the last epoch, if ever.
    pub early_stopping: Option<EarlyStoppingConfig>,
}
