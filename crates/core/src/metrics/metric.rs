//! What the catalog says of a metric.

use super::curves::Curves;
use super::estimate::Computed;
use super::probability::Probabilities;
use super::ranking::Ranking;
use super::regression::Values;
use super::row_values::{OfRows, RowValues};
use super::rows::Scores;
use super::sets::Sets;
use super::tally::Tally;
use crate::measurement::{Direction, Unit};
use crate::prediction_task::PredictionTask;
use crate::statistics::Interval;

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// The field's standard name, in snake case.
    pub name: &'static str,
    /// Other names that tools give it.
    pub aliases: &'static [&'static str],
    /// What its value counts.
    pub unit: Unit,
    /// Which way is better.
    pub direction: Direction,
    /// Which models it is for.
    pub task: PredictionTask,
    /// What it is, with its formula.
    pub definition: &'static str,
    /// How its interval is made; empty where it has none.
    pub interval: &'static str,
    /// Where the definition comes from.
    pub source: &'static str,
    /// The smallest and the largest value that it can take: no interval reaches beyond.
    pub range: (f64, f64),
    /// Where reports show it.
    pub shown: Shown,
    /// How it is computed, and so what it needs.
    pub compute: Compute,
}

impl Metric {
    /// Whether single classes have it.
    pub(super) const fn is_of_class(&self) -> bool {
        matches!(
            self.compute,
            Compute::PerClass(_)
                | Compute::OfLabel { .. }
                | Compute::Curves {
                    of_class: Some(_),
                    ..
                }
        )
    }

    /// The part of `interval` that the metric can reach.
    pub(super) fn within_range(&self, interval: Interval) -> Interval {
        let (smallest, largest) = self.range;
        Interval {
            lower: interval.lower.max(smallest),
            upper: interval.upper.min(largest),
            ..interval
        }
    }
}

/// Where reports show a metric. Every metric is in `evaluation.json` and `metrics.json`, and rules can name any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// In every report.
    Headline,
    /// Where a rule names it. Single classes have it only where there are few of them.
    Details,
}

/// How a metric is computed. The last argument is the interval's two-sided confidence.
#[derive(Debug, Clone, Copy)]
pub enum Compute {
    /// From labels and predicted classes.
    Confusion(fn(&Tally, f64) -> Computed),
    /// From labels and predicted classes, for the class with this index.
    PerClass(fn(&Tally, usize, f64) -> Computed),
    /// From labels and a probability of each class.
    Probabilities(fn(&Probabilities, f64) -> Computed),
    /// From the order of the rows by the score of each class: of all rows, and of the class with this index where it has such a value.
    Curves {
        /// Of all rows.
        overall: fn(&Curves, f64) -> Computed,
        /// Of one class against the others.
        of_class: Option<fn(&Curves, usize, f64) -> Computed>,
    },
    /// From sets of classes and predicted sets.
    Sets(fn(&Sets<'_>) -> OfRows),
    /// From sets of classes and a score of each class.
    ScoredSets(fn(&Sets<'_>, Scores<'_>) -> OfRows),
    /// Of multilabel rows, for the class with this index: as the metric of this name of one of two classes. What it is made of row by row
    /// is for comparisons that two classes have no method for.
    OfLabel {
        /// From labels and predictions.
        of_rows: Option<fn(&Sets<'_>, usize) -> OfRows>,
        /// From labels and scores.
        of_scores: Option<fn(&Sets<'_>, Scores<'_>, usize) -> OfRows>,
    },
    /// From numbers and predicted numbers, of several outputs the mean over them.
    Values {
        /// Of one output.
        compute: fn(&Values<'_>, f64) -> Computed,
        /// As a number a row, where it has a value; absent where it is none of that kind.
        of_rows: Option<fn(&Values<'_>) -> RowValues>,
    },
    /// From relevances and scores of rows in groups.
    Ranking(fn(&Ranking, f64) -> Computed),
    /// From numbers and predicted quantiles.
    Quantiles,
    /// By other tools only: its name is known where it stands in their files.
    Elsewhere,
}

impl Compute {
    /// What it needs, in words.
    pub const fn needs(&self) -> &'static str {
        match self {
            Self::Confusion(_) => "labels and predicted classes",
            Self::PerClass(_) => {
                "labels and predicted classes; the rule names a `class`, or `[evaluate] positive_class` is set"
            }
            Self::Probabilities(_) | Self::Curves { of_class: None, .. } => {
                "labels and a score of each class"
            }
            Self::Curves { .. } => "labels and a score of each class; the rule may name a `class`",
            Self::Sets(_) => "multilabel rows: columns `label_<class>` and `predicted_<class>`",
            Self::ScoredSets(_) => "multilabel rows: columns `label_<class>` and `score_<class>`",
            Self::OfLabel {
                of_rows: Some(_), ..
            } => "multilabel rows; the rule names a `class`",
            Self::OfLabel { .. } => "multilabel rows with scores; the rule names a `class`",
            Self::Values { .. } => {
                "numbers and predicted numbers; of several outputs the rule may name an `output`"
            }
            Self::Ranking(_) => "relevances, scores and groups; `[evaluate.ranking]` is set",
            Self::Quantiles => "numbers and columns `quantile_<q>`",
            Self::Elsewhere => "another tool that computes it",
        }
    }
}
