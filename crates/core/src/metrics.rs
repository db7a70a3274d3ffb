//! Scores and labels in, metrics with unit, direction and confidence interval out.

mod classification;
mod regression;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::statistics::Interval;
pub use classification::{
    ClassMetrics, Classification, Confusion, Estimate, classify, predictions,
};
pub use regression::regress;

/// One measured figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// The field's standard name, in snake case.
    pub name: String,
    /// What was measured; always finite.
    pub value: f64,
    /// What the value counts.
    pub unit: Unit,
    /// Which way is better.
    pub direction: Direction,
    /// How far chance may have moved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
}

/// What a value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A share of 1.
    Proportion,
    /// Natural-logarithm units of information.
    Nats,
    /// The label's own unit.
    Label,
    /// The label's own unit, squared.
    LabelSquared,
    /// No unit.
    None,
}

/// Which way a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Such as accuracy.
    HigherIsBetter,
    /// Such as loss.
    LowerIsBetter,
}

impl Direction {
    /// The change from `baseline` to `value`, positive when it is better.
    pub fn improvement(self, value: f64, baseline: f64) -> f64 {
        match self {
            Self::HigherIsBetter => value - baseline,
            Self::LowerIsBetter => baseline - value,
        }
    }

    /// The direction of a metric with a well-known name; others must state their own.
    pub fn of(metric: &str) -> Option<Self> {
        let last = metric
            .rsplit(['/', '.'])
            .next()
            .unwrap_or(metric)
            .to_ascii_lowercase();
        let name = last
            .strip_prefix("val_")
            .or_else(|| last.strip_prefix("test_"))
            .unwrap_or(&last);
        let name = ["_macro", "_micro", "_weighted"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix))
            .unwrap_or(name);
        match name {
            "accuracy" | "acc" | "balanced_accuracy" | "precision" | "recall" | "f1"
            | "f1_score" | "auc" | "roc_auc" | "pr_auc" | "average_precision" | "mcc"
            | "matthews" | "cohen_kappa" | "kappa" | "r2" | "r2_score" => {
                Some(Self::HigherIsBetter)
            }
            "loss" | "log_loss" | "mse" | "rmse" | "mae" | "mape" | "median_ae" | "max_error"
            | "brier" | "ece" | "error" | "error_rate" => Some(Self::LowerIsBetter),
            _ => None,
        }
    }
}

/// Why predictions cannot be scored.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MetricError {
    /// Nothing to score.
    #[error("there are no rows to score")]
    NoRows,
    /// Lengths that do not belong together.
    #[error("{n_labels} labels, but {n_scores} scores of {n_columns} columns")]
    Lengths {
        /// Number of labels.
        n_labels: usize,
        /// Number of scores.
        n_scores: usize,
        /// Scores per row.
        n_columns: usize,
    },
    /// A score that is no number.
    #[error("row {row}, score {column}: {value} is not a finite number")]
    NotFinite {
        /// Index of the row, from 0.
        row: usize,
        /// Index of the score within the row, from 0.
        column: usize,
        /// What stands there.
        value: f64,
    },
    /// A label outside the classes.
    #[error("row {row}: the label {label} is not one of the {n_classes} classes (0 to {})", n_classes - 1)]
    Label {
        /// Index of the row, from 0.
        row: usize,
        /// What stands there.
        label: u32,
        /// Number of classes.
        n_classes: usize,
    },
    /// Scores that are no probabilities.
    #[error("row {row}: the scores are not probabilities that sum to 1 (sum {sum})")]
    NotProbabilities {
        /// Index of the row, from 0.
        row: usize,
        /// Their sum.
        sum: f64,
    },
}

/// The index of the largest score; the first of equals, as NumPy's `argmax`.
pub fn argmax(scores: &[f32]) -> usize {
    let mut best = 0;
    for (idx, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = idx;
        }
    }
    best
}

/// Refuses scores that do not make up whole rows or that are no finite numbers.
fn check_scores(n_labels: usize, scores: &[f32], n_columns: usize) -> Result<(), MetricError> {
    if n_labels == 0 {
        return Err(MetricError::NoRows);
    }
    if n_columns == 0 || scores.len() != n_labels * n_columns {
        return Err(MetricError::Lengths {
            n_labels,
            n_scores: scores.len(),
            n_columns,
        });
    }
    match scores.iter().position(|score| !score.is_finite()) {
        Some(idx) => Err(MetricError::NotFinite {
            row: idx / n_columns,
            column: idx % n_columns,
            value: f64::from(scores[idx]),
        }),
        None => Ok(()),
    }
}
