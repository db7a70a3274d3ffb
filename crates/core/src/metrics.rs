//! Labels and predictions in, measurements out: value, unit, direction, interval and rows behind each.
//!
//! Which metrics there are, and how each is computed, is the [`catalog`]'s business. One file a family.

mod agreement;
mod binary_curve;
mod calibration;
pub mod catalog;
mod confidence;
mod confusion;
mod curve_points;
mod curves;
mod curves_metrics;
mod estimate;
mod known;
mod labelled_class;
mod matrix;
mod measure;
mod metric;
mod output_measure;
mod paired;
mod parallel;
mod part;
mod probability;
mod probability_metrics;
mod quantile_metrics;
pub mod ranking;
mod ranking_metrics;
mod regression;
mod regression_metrics;
mod regression_rows;
mod row_values;
mod rows;
mod sampling;
mod scored_alike;
mod scoring;
mod set_measure;
mod set_metrics;
mod set_ranking;
mod sets;
mod tally;

pub use calibration::{Reliability, ReliabilityBin};
pub use confidence::{IntervalError, interval_at};
pub use curve_points::{ClassCurves, PrecisionRecallPoint, RocPoint};
pub use estimate::{Computed, Estimate};
pub use labelled_class::LabelledClass;
pub use matrix::Confusion;
pub use measure::{Measured, add_quantiles, classify, rank, regress};
pub use metric::{Compute, Metric, Shown};
pub use output_measure::{OutputRows, measure_outputs};
pub use probability::check_probabilities;
pub use quantile_metrics::quantile_of;
pub use rows::{ClassifiedRows, MetricError, Scores, ValuedRows, argmax, predictions};

pub use paired::{
    ChangedRows, PairedChange, PairedEvidence, has_paired_method, n_replicates, paired_change,
    paired_folds,
};
pub use scored_alike::scoring_difference;
pub use scoring::Scoring;
pub use set_measure::{SetRows, measure_sets};

#[cfg(test)]
mod tests;
