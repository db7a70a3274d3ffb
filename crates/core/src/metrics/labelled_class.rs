//! Counts of one class of multilabel rows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One class of multilabel rows: how often it is there, and how often that is predicted. Rows of weight 0 do not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelledClass {
    /// Its name.
    pub class: String,
    /// Rows that have it.
    pub n_labelled: u64,
    /// Rows for which it is predicted.
    pub n_predicted: u64,
    /// Rows that have it and for which it is predicted.
    pub n_right: u64,
}
