//! Labels and predictions in, measurements out: value, unit, direction, interval and rows behind each.
//!
//! Which metrics there are, and how each is computed, is the [`catalog`]'s business. One file a family.

pub mod catalog;
mod confidence;
mod confusion;
mod estimate;
mod known;
mod matrix;
mod measure;
mod metric;
mod probability;
mod regression;
mod rows;
mod scoring;

pub use confidence::{IntervalError, interval_at};
pub use estimate::{Computed, Estimate};
pub use matrix::Confusion;
pub use measure::{Measured, classify, regress};
pub use metric::{Compute, Metric};
pub use rows::{
    ClassifiedRows, MetricError, Probabilities, Scores, ValuedRows, argmax, predictions,
};

pub use scoring::Scoring;

#[cfg(test)]
mod tests;
