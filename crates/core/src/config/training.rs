//! How the model is trained, resolved: every setting that has an effect, with its value, and no other.

use std::collections::BTreeMap;

use serde::Serialize;

use super::optimizer::Optimizer;
use super::schedule::{EarlyStoppingConfig, Schedule};
use crate::model::{Engine, Loss};

/// How the model is trained.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Training {
    /// Number of passes over the training data.
    pub epochs: usize,
    /// Rows per optimiser step.
    pub batch_size: usize,
    /// Seed of initial weights, shuffling, dropout and the validation split.
    pub seed: u64,
    /// Whether the training data are shuffled before each epoch.
    pub shuffle: bool,
    /// Loss function.
    pub loss: Loss,
    /// Label smoothing: the fraction of a label that is spread over all classes.
    pub label_smoothing: f64,
    /// Delta of the Huber loss: the error beyond which it is linear.
    pub huber_delta: f64,
    /// Class weights, by class name; 1 for classes that are not named.
    pub class_weight: BTreeMap<String, f64>,
    /// Engine that computes losses and gradients.
    pub engine: Engine,
    /// Number of threads; one per core if not given. The result of `kernels` does not depend on it.
    pub threads: Option<usize>,
    /// Optimiser.
    pub optimizer: Optimizer,
    /// Learning rate schedule.
    pub schedule: Schedule,
    /// Early stopping, if any.
    pub early_stopping: Option<EarlyStoppingConfig>,
}
