//! Intervals and tests: counts or samples in, estimates with their uncertainty out. All in f64.
//!
//! Every interval follows from a few stored figures (counts, a confusion matrix, moments, placements), in closed form or by a seeded
//! bootstrap over counts, so that a rule can ask for another level than the evaluation's without the rows.
//! `docs/benchmarks/coverage.md` holds how often each end misses, by simulation.

mod averages;
mod binomial;
mod cells;
mod clusters;
mod confidence_sequence;
mod counts;
mod difference;
mod fisher;
#[cfg(test)]
mod golden;
mod k_fold;
mod mean;
mod multiplicity;
mod normal;
mod paired;
mod quantile;
mod random;
mod roc;
mod sequential;
mod special;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use averages::Average;
pub use binomial::{clopper_pearson, f1_interval, jaccard_interval};
pub use cells::{CellBootstrap, CellStatistic, resample_cells};
pub use clusters::{cluster_interval, cluster_mean, interval_of_group_sums};
pub use confidence_sequence::{Buckets, Ends, proportion_sequence, requests_to_prove};
pub use counts::Counts;
pub use difference::difference;
pub use fisher::fisher_greater;
pub use k_fold::{Fold, FoldMoments, k_fold_interval};
pub use mean::Moments;
pub use multiplicity::{
    HolmTest, SMALLEST_LEVEL, benjamini_hochberg, holm, holm_by_level, smallest_level,
};
pub use normal::{normal_cdf, normal_quantile};
pub use paired::{smallest_detectable, tango, tango_statistics};
pub use quantile::{median_interval, quantile_interval};
pub use roc::{NoRoc, Placements, Roc, RocDifference, RocTies, Widened};
pub use sequential::{PairedRows, e_rejects, look_level};
pub use special::{binomial_cdf, inverse_regularized_beta, regularized_beta, student_quantile};

/// A confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
    /// Two-sided level, such as 0.95.
    pub confidence: f64,
    /// How it was found.
    pub method: IntervalMethod,
}

/// How an interval was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IntervalMethod {
    /// Clopper and Pearson's exact interval of a proportion, or of a function of one.
    ClopperPearson,
    /// Student's t interval of a mean, corrected for the skewness of the values.
    SkewnessCorrectedT,
    /// Two of the sorted values, by the binomial distribution of the rows below a quantile.
    OrderStatistics,
    /// Intervals of the classes, combined by the method of variance estimates recovery (MOVER).
    Mover,
    /// The exact interval of accuracy, scaled to the spread of a weighted average.
    ScaledClopperPearson,
    /// Tango's score interval of a difference of paired proportions.
    Tango,
    /// Intervals of two samples, combined to that of their difference by MOVER.
    MoverDifference,
    /// Clopper and Pearson's interval of as many rows as have DeLong's variance of an area under the ROC curve.
    Delong,
    /// Student's t interval by DeLong's variance of the difference of two areas on the same rows.
    PairedDelong,
    /// Quantiles of a statistic of resampled rows.
    BootstrapPercentile,
    /// The same, bias-corrected and accelerated (BCa).
    BootstrapBca,
    /// Nadeau and Bengio's corrected resampled t interval of the mean of cross-validation scores.
    CorrectedResampledT,
    /// Student's t interval of a mean.
    StudentT,
    /// As if each row that may have changed cost as much as the dearest, where too few differ to show more.
    ChangedRows,
    /// Student's t interval by the sums of whole groups of rows, corrected for their skewness.
    Clustered,
}

impl IntervalMethod {
    /// What the method is called, for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::ClopperPearson => "Clopper–Pearson",
            Self::SkewnessCorrectedT => "skewness-corrected t",
            Self::OrderStatistics => "order statistics",
            Self::Mover => "MOVER over the classes",
            Self::ScaledClopperPearson => "Clopper–Pearson of accuracy, scaled",
            Self::Tango => "Tango",
            Self::MoverDifference => "MOVER, as two samples",
            Self::Delong => "DeLong",
            Self::PairedDelong => "paired DeLong",
            Self::BootstrapPercentile => "percentile bootstrap",
            Self::BootstrapBca => "BCa bootstrap",
            Self::CorrectedResampledT => "Nadeau–Bengio corrected resampled t",
            Self::StudentT => "Student's t",
            Self::ChangedRows => "bound by the rows that changed",
            Self::Clustered => "skewness-corrected t by groups",
        }
    }
}

/// Why there is no interval.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum NoInterval {
    /// Nothing was judged.
    #[error("no rows")]
    NoRows,
    /// The level cannot be reached, or the method's claim does not begin, with so few.
    #[error("too few rows: {n}, at least {needed} needed")]
    TooFewRows {
        /// How many there are.
        n: u64,
        /// How many would do.
        needed: u64,
    },
    /// The smaller class has too few rows.
    #[error("too few rows of one class: {n}, at least {needed} needed")]
    TooFewOfClass {
        /// How many there are.
        n: u64,
        /// How many would do.
        needed: u64,
    },
    /// A sample without variation says nothing about how far another one would differ.
    #[error("no variation: all {n} rows have the same value")]
    NoVariation {
        /// How many rows there are.
        n: u64,
    },
    /// A few rows decide the mean.
    #[error("errors too heavy-tailed for {n} rows: skewness {skewness:.1}")]
    TooSkewed {
        /// How many rows there are.
        n: u64,
        /// Skewness of the values.
        skewness: f64,
    },
    /// Too few resamples for the level.
    #[error("too few bootstrap replicates: {n}, at least {needed} needed")]
    TooFewReplicates {
        /// How many there are.
        n: u64,
        /// How many would do.
        needed: u64,
    },
    /// The statistic has no value in more resamples than lie beyond an end.
    #[error("not defined in {n} of {n_replicates} bootstrap replicates")]
    UndefinedReplicates {
        /// In how many.
        n: u64,
        /// How many there are.
        n_replicates: u64,
    },
    /// Most rows have no influence on the value.
    #[error(
        "a few rows decide the value: as good as {n_effective:.0} rows, at least {needed:.0} needed"
    )]
    FewDecide {
        /// Kish's effective number of rows.
        n_effective: f64,
        /// How many would do.
        needed: f64,
    },
    /// A single fold shows no spread.
    #[error("too few folds: {n}, at least 2 needed")]
    TooFewFolds {
        /// How many there are.
        n: u64,
    },
    /// The smallest fold's score is of too few rows.
    #[error("too few tested rows in a fold: {n}, at least {needed} needed")]
    TooFewTested {
        /// How many there are.
        n: u64,
        /// How many would do.
        needed: u64,
    },
    /// Scores without variation say nothing about how far another fold's would differ.
    #[error("no variation: all {n} folds have the same score")]
    EqualFolds {
        /// How many folds there are.
        n: u64,
    },
    /// The variance between so few groups is not known well enough.
    #[error("too few groups: {n}, at least {needed} needed")]
    TooFewGroups {
        /// How many there are.
        n: u64,
        /// How many would do.
        needed: u64,
    },
    /// Groups without variation say nothing about how far another one would differ.
    #[error("no variation: all {n} groups have the same value")]
    EqualGroups {
        /// How many groups there are.
        n: u64,
    },
    /// Nothing is known to hold, such as of an extreme, which depends on the tail that was not drawn.
    #[error("no method with known coverage")]
    NoMethod,
    /// A sum overflowed, or a value was not a number.
    #[error("some values, or their squares, are not finite")]
    NotFinite,
}

impl NoInterval {
    /// As a clause about a metric that is counted over `counted`, such as `group`: what is said of rows is said of these.
    pub fn over(&self, counted: &str) -> String {
        let text = self.to_string();
        match counted {
            "row" => text,
            counted => text.replace("rows", &format!("{counted}s")),
        }
    }
}

#[cfg(test)]
fn close(left: f64, right: f64) {
    assert!(
        (left - right).abs() <= 1e-12 * right.abs().max(1.0),
        "{left} is not {right}"
    );
}
