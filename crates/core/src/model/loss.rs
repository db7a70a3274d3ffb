//! The objectives of training.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
