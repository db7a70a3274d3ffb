//! How rows are scored, beside the rows themselves.

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Loss;

/// How rows are scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scoring {
    /// What training minimised, or is taken to have: what `loss` is.
    pub objective: Loss,
    /// Two-sided level of the intervals.
    pub confidence: f64,
    /// With two classes: the one that precision, recall and so on of all rows are of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive_class: Option<String>,
    /// Places that `top_k_accuracy` counts.
    pub top_k: u32,
    /// Weight of recall against precision in `f_beta`.
    #[serde(default = "default_beta")]
    pub beta: f64,
    /// The quantile that `pinball_loss` judges the predictions as.
    #[serde(default = "default_quantile")]
    pub quantile: f64,
    /// First places that metrics of ranked rows look at; absent where rows are not ranked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranking_k: Option<u32>,
}

/// Places that `top_k_accuracy` counts by default: scikit-learn's.
const DEFAULT_TOP_K: u32 = 2;

const fn default_beta() -> f64 {
    2.0
}

/// The median.
const fn default_quantile() -> f64 {
    0.5
}

impl Scoring {
    /// The index of the positive class among `classes`, where one is set.
    pub(super) fn positive_idx(&self, classes: &[String]) -> Option<usize> {
        let positive = self.positive_class.as_ref()?;
        classes.iter().position(|class| class == positive)
    }

    /// The places of [`Scoring::ranking_k`].
    pub(super) fn n_places(&self) -> Option<NonZeroUsize> {
        NonZeroUsize::new(self.ranking_k? as usize)
    }

    /// With the defaults of everything else.
    pub const fn new(objective: Loss, confidence: f64) -> Self {
        Self {
            objective,
            confidence,
            positive_class: None,
            top_k: DEFAULT_TOP_K,
            beta: default_beta(),
            quantile: default_quantile(),
            ranking_k: None,
        }
    }
}
