//! The parts of the rows that were measured on their own: slices and folds. Their figures are measurements like any other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::statistics::Interval;

/// A slice of the rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SliceSummary {
    /// Its name in keys: `country=DE, age=[20, 40)`.
    pub name: String,
    /// Number of rows in it; never 0, since a slice without rows is not there.
    pub n_rows: u64,
    /// Why nothing was measured in it, as a clause; absent where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Parts of the rows on which the model is worse than on the rest, found in one half of the rows and measured on the other. They inform
/// and are never judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeakSegments {
    /// Name of the metric that is compared: `accuracy`, `subset_accuracy` of multilabel rows, or `mae` where numbers are predicted.
    pub metric: String,
    /// Fewest rows of a segment, in either half.
    pub min_rows: u64,
    /// Rows that segments were searched for in.
    pub n_searched: u64,
    /// The other rows, on which they were measured.
    pub n_rows: u64,
    /// Segments that the search proposed and that were tested.
    pub n_tested: u64,
    /// Those that are worse than the rest by Holm's procedure at the evaluation's confidence, the worst first.
    pub segments: Vec<WeakSegment>,
}

/// One of them. All figures are of the half that was not searched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeakSegment {
    /// Its conditions: `country=DE, age=[20, 40)`.
    pub name: String,
    /// Number of rows in it.
    pub n_rows: u64,
    /// The metric in it.
    pub value: f64,
    /// Its interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// The metric in the rest of the half.
    pub rest: f64,
    /// One-sided p-value of the segment being worse than the rest, adjusted by Holm's procedure.
    pub p_value: f64,
}

/// Models of one configuration under several seeds, scored on the same rows. They inform; rules judge the evaluation's own model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeedTable {
    /// Digest of each model, else of its predictions; the first is this evaluation's.
    pub models: Vec<String>,
    /// How much each metric of all rows differs from seed to seed.
    pub spreads: Vec<SeedSpread>,
}

/// How much one metric differs from seed to seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeedSpread {
    /// Name of the metric.
    pub metric: String,
    /// Its value for each model, in the order of `models`.
    pub values: Vec<f64>,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, over J − 1.
    pub deviation: f64,
    /// Student's interval of the mean over other seeds, on the same rows; absent where all values are equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
}

/// The folds of a cross-validation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FoldTable {
    /// Whether the folds are of the training rows, as our own cross-validation's are, and not of the rows that everything else here is
    /// measured on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_training_rows: bool,
    /// Each fold, in the order of their indices.
    pub folds: Vec<FoldSummary>,
    /// How much each metric differs from fold to fold.
    pub spreads: Vec<FoldSpread>,
}

/// One fold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FoldSummary {
    /// Its index.
    pub fold: u32,
    /// Number of rows that were held out in it.
    pub n_rows: u64,
    /// Number of rows that its model was trained on; absent where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_train: Option<u64>,
}

/// How much one metric differs from fold to fold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FoldSpread {
    /// Name of the metric.
    pub metric: String,
    /// Standard deviation of its values over the folds, over J − 1; absent for a single fold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviation: Option<f64>,
}
