//! What a decision was computed from, so that a reviewer can check it by hand.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metrics::{ChangedRows, PairedChange, PairedEvidence, n_replicates};
use crate::statistics::{
    Interval, IntervalMethod, Moments, PairedRows, RocDifference, Widened, normal_quantile,
    tango_statistics,
};

/// The counts and figures behind the decision of one bound on a change, where the rule asks for a confidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Computation {
    /// Tango's score test by the rows that only one of the two predicts right.
    Tango {
        /// Rows that only the candidate predicts right.
        n_gained: u64,
        /// Rows that only the baseline predicts right.
        n_lost: u64,
        /// All rows that count.
        n: u64,
        /// The improvement that the bound asks for at least: a tolerated drop is negative.
        least: f64,
        /// The score statistic of `least` for the lower end, half a row taken off: the bound holds above `quantile`. Absent where it
        /// is not finite.
        statistic_lower: Option<f64>,
        /// The same for the upper end, half a row added: the bound is missed below minus `quantile`.
        statistic_upper: Option<f64>,
        /// Quantile of the normal distribution at the level of one end.
        quantile: f64,
    },
    /// The mean of the differences of rows, or of groups of rows.
    Mean {
        /// Moments of the improvement of each row or group.
        moments: Moments,
        /// Of Student's t.
        degrees_of_freedom: u64,
        /// Whether these are sums of whole groups of rows.
        by_groups: bool,
    },
    /// Both areas under the ROC curve, with DeLong's variances.
    Delong {
        /// Areas, and what both kinds of rows contribute to the variance of their difference.
        areas: RocDifference,
        /// That variance.
        variance: f64,
        /// What the interval is made of: that variance widened by three rows' worth of change, and the degrees of freedom of Student's t.
        /// Absent where no placement changes, and in verdicts of older versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        widened: Option<Widened>,
    },
    /// The bootstrap over the cells of label, old and new prediction.
    Cells {
        /// Cells that occur.
        n_cells: u64,
        /// Rows in them.
        n: u64,
        /// Number of classes.
        n_classes: u32,
        /// Replicates drawn.
        n_replicates: u64,
    },
    /// The differences of the folds of a cross-validation.
    Folds {
        /// The improvement in each fold, in the order of the folds.
        differences: Vec<f64>,
        /// Their mean.
        mean: f64,
        /// Their sample variance, over the number of folds less one.
        variance: f64,
        /// Nadeau and Bengio's factor, 1 / J + n_test / n_train: times `variance` it is that of the mean.
        factor: f64,
        /// Of Student's t: J − 1, and no more than n_train / n_test.
        degrees_of_freedom: f64,
    },
    /// As if each row that may have changed cost as much as the dearest, since too few changed for the method above.
    ChangedRows {
        /// The counts.
        changed: ChangedRows,
    },
    /// Two samples, of which each has an interval.
    TwoSamples {
        /// The candidate's value.
        new: f64,
        /// Its interval.
        new_interval: Interval,
        /// The baseline's value.
        old: f64,
        /// Its interval.
        old_interval: Interval,
    },
    /// E-values over sets of fresh rows. Either proves its claim once it reaches 1 / `alpha`.
    EProcess {
        /// The improvement a row that the bound asks for at least: a tolerated drop is negative.
        least: f64,
        /// The nominal error of each end.
        alpha: f64,
        /// The sets, in the order in which they were judged.
        sets: Vec<EProcessSet>,
    },
}

/// The e-values after one set of fresh rows, by all sets up to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EProcessSet {
    /// The first digits of the row set's digest.
    pub rows_digest: String,
    /// The rows of this set alone.
    pub rows: PairedRows,
    /// Rows of it that earlier sets held, which do not count again.
    pub n_left_out: u64,
    /// The rows of all sets up to this one.
    pub all_rows: PairedRows,
    /// Natural logarithm of the e-value against "the improvement is at least `least`": large where the bound is missed.
    pub ln_e_missed: f64,
    /// Natural logarithm of the e-value against "the improvement is at most `least`": large where the bound holds.
    pub ln_e_holds: f64,
}

/// How Holm's procedure came to one of the keys that a rule's wildcard stands for. The keys of a rule, in the order of their
/// p-values, are tested at α / m, α / (m − 1), … until one is not rejected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HolmStep {
    /// Keys that were judged, m.
    pub n_tests: u64,
    /// Keys left at the step that proved this miss, or at the last step.
    pub n_left: u64,
    /// The level of that step, α / `n_left`.
    pub level: f64,
    /// The p-value of the miss: the smallest level at which it is proven by itself. Absent where it takes a bootstrap, which is drawn
    /// for the levels that are asked alone, and where there are many keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
    /// What is known of the p-value where `p_value` is its bound alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value_bound: Option<PValueBound>,
    /// Whether the miss is proven.
    pub is_proven: bool,
}

/// On which side of a bound a p-value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PValueBound {
    /// It is the bound or larger: 0.5, beyond which no interval tells p-values apart.
    AtLeast,
    /// It is the bound or smaller.
    AtMost,
}

impl Computation {
    /// What `interval`, that of `change`, was computed from, for a bound of at least `least`.
    pub(super) fn of_change(change: &PairedChange, interval: &Interval, least: f64) -> Self {
        if interval.method == IntervalMethod::ChangedRows
            && let Some(changed) = changed_rows(&change.evidence)
        {
            return Self::ChangedRows { changed };
        }
        match &change.evidence {
            PairedEvidence::Proportion {
                n_gained,
                n_lost,
                n,
            } => Self::tango(*n_gained, *n_lost, *n, interval.confidence, least),
            PairedEvidence::Mean { moments, .. } => Self::Mean {
                moments: *moments,
                degrees_of_freedom: moments.n.saturating_sub(1),
                by_groups: false,
            },
            PairedEvidence::Groups { moments, .. } => Self::Mean {
                moments: *moments,
                degrees_of_freedom: moments.n.saturating_sub(1),
                by_groups: true,
            },
            PairedEvidence::Areas { areas } => Self::Delong {
                areas: *areas,
                variance: areas.variance(),
                widened: areas.student(),
            },
            PairedEvidence::Cells {
                n_classes, cells, ..
            } => Self::Cells {
                n_cells: cells.len() as u64,
                n: cells.iter().map(|cell| cell.3).sum(),
                n_classes: *n_classes,
                n_replicates: n_replicates(interval.confidence) as u64,
            },
            PairedEvidence::Folds {
                scores,
                differences,
            } => Self::Folds {
                differences: differences.clone(),
                mean: scores.mean,
                variance: scores.variance,
                factor: scores.factor(),
                degrees_of_freedom: scores.degrees_of_freedom(),
            },
        }
    }

    /// Tango's test at the bound.
    pub(super) fn tango(n_gained: u64, n_lost: u64, n: u64, confidence: f64, least: f64) -> Self {
        let statistics = tango_statistics(n_gained, n_lost, n, least);
        let [lower, upper] = statistics.map(|found| Some(found).filter(|found| found.is_finite()));
        Self::Tango {
            n_gained,
            n_lost,
            n,
            least,
            statistic_lower: lower,
            statistic_upper: upper,
            quantile: normal_quantile(f64::midpoint(1.0, confidence)),
        }
    }
}

fn changed_rows(evidence: &PairedEvidence) -> Option<ChangedRows> {
    match evidence {
        PairedEvidence::Mean { changed, .. }
        | PairedEvidence::Groups { changed, .. }
        | PairedEvidence::Cells { changed, .. } => Some(*changed),
        PairedEvidence::Proportion { .. }
        | PairedEvidence::Areas { .. }
        | PairedEvidence::Folds { .. } => None,
    }
}
