//! What a model predicted when it was trained, so that a server can tell when its predictions drift away from that.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ValueSummary;

/// How a model's predictions are distributed on rows of its training data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PredictionSummary {
    /// Which rows were predicted.
    pub rows: PredictedRows,
    /// How many: spread evenly where there are very many.
    pub n_rows: u64,
    /// What was predicted for them.
    pub predicted: PredictedDistribution,
}

/// Rows whose predictions are summarised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PredictedRows {
    /// Held out from training.
    Validation,
    /// Trained on: too few were held out.
    Training,
}

/// Predictions, counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PredictedDistribution {
    /// Rows by the class that was predicted, in the order of `class_names`.
    Classes(Vec<u64>),
    /// The predicted numbers.
    Values(ValueSummary),
}

impl PredictionSummary {
    /// What does not fit the model's classes or itself, if anything does not.
    pub(super) fn problem(&self, class_names: Option<&[String]>) -> Option<String> {
        let problem = match (&self.predicted, class_names) {
            (PredictedDistribution::Classes(counts), Some(names)) => {
                if counts.len() != names.len() {
                    Some(format!(
                        "{} counts for {} classes",
                        counts.len(),
                        names.len()
                    ))
                } else if counts.iter().sum::<u64>() != self.n_rows {
                    Some("the counts must sum to `n_rows`".to_owned())
                } else {
                    None
                }
            }
            (PredictedDistribution::Values(values), None) => values.problem().map(str::to_owned),
            (PredictedDistribution::Classes(_), None) => {
                Some("a regression predicts no classes".to_owned())
            }
            (PredictedDistribution::Values(_), Some(_)) => {
                Some("a classifier predicts classes".to_owned())
            }
        };
        problem.map(|problem| format!("`prediction_summary`: {problem}"))
    }
}
