//! Two models on the rows that both were scored on, where each was also scored on others.

use serde::{Deserialize, Serialize};

use super::scorecard::Scorecard;
use crate::digest::Sha256Digest;
use crate::measurement::{Measurement, Undefined};
use crate::metrics::PairedChange;
use crate::row_mask::RowMask;

/// The gate's copy in the folder of the verdict, where a change was computed on shared rows.
pub const SHARED_ROWS_FILE: &str = "shared-rows.json";

/// Two models on the rows that both were scored on: the same `row_id` with the same label, or the same position of the same
/// row set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedRows {
    /// Digest of the candidate's predictions.
    pub candidate: Sha256Digest,
    /// Digest of the baseline's predictions.
    pub baseline: Sha256Digest,
    /// Rows that both were scored on.
    pub n_rows: u64,
    /// Rows of the baseline that the candidate was not scored on.
    pub n_gone: u64,
    /// Rows of both whose label is another one now.
    pub n_relabelled: u64,
    /// Rows of the candidate alone.
    pub n_new: u64,
    /// The candidate on the shared rows.
    pub of_candidate: PartialScores,
    /// The baseline on the shared rows.
    pub of_baseline: PartialScores,
    /// Whether some of these rows count more or less in the one than in the other: then no change can be computed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_other_weights: bool,
    /// Whether the rows come in groups by the baseline's predictions alone, by which the candidate's are then grouped too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_baselines_groups: bool,
    /// Changes that rules ask the interval of, compared row by row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<PairedChange>,
    /// Those that cannot be compared so, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub no_changes: Vec<Undefined>,
}

/// What one model came to on some of its rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartialScores {
    /// Every metric that has a value.
    pub measurements: Vec<Measurement>,
    /// Every metric that has none, and why.
    pub undefined: Vec<Undefined>,
    /// The shared rows predicted wrong, in one order for both; absent for regression.
    pub missed_rows: Option<RowMask>,
}

impl SharedRows {
    /// Rows of the baseline on which nothing can be compared any more.
    pub const fn n_lost(&self) -> u64 {
        self.n_gone + self.n_relabelled
    }

    /// Whether these are the rows of `candidate` and `baseline`, as far as they say.
    pub fn are_of(&self, candidate: &Scorecard, baseline: &Scorecard) -> bool {
        candidate.predictions_digest.as_ref() == Some(&self.candidate)
            && baseline.predictions_digest.as_ref() == Some(&self.baseline)
    }
}
