//! Labels and predictions in, measurements out: value, unit, direction, interval and rows behind each.
//!
//! Which metrics there are, and how each is computed, is the [`catalog`]'s business. One file a family.

mod agreement;
mod calibration;
pub mod catalog;
mod confidence;
mod confusion;
mod curves;
mod curves_metrics;
mod estimate;
mod known;
mod matrix;
mod measure;
mod metric;
mod paired;
mod parallel;
mod probability;
mod probability_metrics;
pub mod ranking;
mod regression;
mod regression_metrics;
mod rows;
mod sampling;
mod scoring;
mod tally;

pub use calibration::{Reliability, ReliabilityBin};
pub use confidence::{IntervalError, interval_at};
pub use estimate::{Computed, Estimate};
pub use matrix::Confusion;
pub use measure::{Measured, classify, regress};
pub use metric::{Compute, Metric, Shown};
pub use rows::{ClassifiedRows, MetricError, Scores, ValuedRows, argmax, predictions};

pub use paired::{
    ChangedRows, PairedChange, PairedEvidence, has_paired_method, n_replicates, paired_change,
    paired_folds,
};
pub use scoring::Scoring;

#[cfg(test)]
mod tests;
