//! Rows as metrics see them, checked once.

use crate::model::Loss;

/// How far the scores of a row may sum from 1: f32 softmax over many classes stays well within.
pub(super) const PROBABILITY_TOLERANCE: f64 = 1e-3;

/// A score of each class, `[n, k]`, row-major, columns in the order of the classes; kept as precise as they were read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scores<'a> {
    /// Single precision.
    F32(&'a [f32]),
    /// Double precision.
    F64(&'a [f64]),
}

impl Scores<'_> {
    /// How many there are.
    pub const fn len(&self) -> usize {
        match self {
            Self::F32(scores) => scores.len(),
            Self::F64(scores) => scores.len(),
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The score at `idx`, exactly.
    #[inline]
    pub fn at(&self, idx: usize) -> f64 {
        match self {
            Self::F32(scores) => f64::from(scores[idx]),
            Self::F64(scores) => scores[idx],
        }
    }
}

/// Labelled rows with a predicted class each, and scores where there are any.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassifiedRows<'a> {
    /// Class indices, `[n]`.
    pub labels: &'a [u32],
    /// Class indices, `[n]`.
    pub predicted: &'a [u32],
    /// `[n, k]`: probabilities that sum to 1 in each row.
    pub scores: Option<Scores<'a>>,
    /// Names of the `k` classes.
    pub classes: &'a [String],
    /// How much each row counts, `[n]`; absent where all count the same.
    pub weights: Option<&'a [f64]>,
    /// Which rows belong together, `[n]`; absent where rows are independent.
    pub groups: Option<&'a [String]>,
}

/// Rows labelled with numbers, and the predicted numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValuedRows<'a> {
    /// `[n]`.
    pub labels: &'a [f64],
    /// `[n]`.
    pub predicted: &'a [f64],
    /// What training minimised.
    pub objective: Loss,
    /// How much each row counts, `[n]`; absent where all count the same.
    pub weights: Option<&'a [f64]>,
    /// Which rows belong together, `[n]`; absent where rows are independent.
    pub groups: Option<&'a [String]>,
}

impl ValuedRows<'_> {
    pub(super) fn check(&self) -> Result<(), MetricError> {
        let n_labels = self.labels.len();
        if n_labels == 0 {
            return Err(MetricError::NoRows);
        }
        if self.predicted.len() != n_labels {
            return Err(MetricError::Lengths {
                n_labels,
                n_scores: self.predicted.len(),
                n_columns: 1,
            });
        }
        for column in [self.labels, self.predicted] {
            if let Some(row) = column.iter().position(|value| !value.is_finite()) {
                return Err(MetricError::NotFinite {
                    row,
                    column: 0,
                    value: column[row],
                });
            }
        }
        check_weights(self.weights)
    }
}

impl ClassifiedRows<'_> {
    /// Checks lengths, indices and weights; scores are checked as they are read.
    pub(super) fn check(&self) -> Result<(), MetricError> {
        let (n_labels, n_classes) = (self.labels.len(), self.classes.len());
        if n_labels == 0 {
            return Err(MetricError::NoRows);
        }
        let lengths = |n_scores, n_columns| MetricError::Lengths {
            n_labels,
            n_scores,
            n_columns,
        };
        if self.predicted.len() != n_labels {
            return Err(lengths(self.predicted.len(), 1));
        }
        for column in [self.labels, self.predicted] {
            if let Some(row) = column.iter().position(|&label| label as usize >= n_classes) {
                return Err(MetricError::Label {
                    row,
                    label: column[row],
                    n_classes,
                });
            }
        }
        if let Some(scores) = self.scores
            && scores.len() != n_labels * n_classes
        {
            return Err(lengths(scores.len(), n_classes));
        }
        check_weights(self.weights)
    }

    pub(super) fn misses(&self) -> Vec<usize> {
        let pairs = self.labels.iter().zip(self.predicted).enumerate();
        pairs
            .filter(|(_, (label, predicted))| label != predicted)
            .map(|(row, _)| row)
            .collect()
    }
}

pub(super) fn check_weights(weights: Option<&[f64]>) -> Result<(), MetricError> {
    let Some(weights) = weights else {
        return Ok(());
    };
    let is_weight = |weight: &f64| weight.is_finite() && *weight >= 0.0;
    if let Some(row) = weights.iter().position(|weight| !is_weight(weight)) {
        let weight = weights[row];
        return Err(MetricError::Weight { row, weight });
    }
    if weights.iter().all(|weight| *weight == 0.0) {
        return Err(MetricError::NoWeight);
    }
    Ok(())
}

/// The rows that count, where some do not: those of weight 0 are as if they were not there.
pub(super) fn that_count(weights: Option<&[f64]>) -> Option<Vec<usize>> {
    let weights = weights.filter(|weights| weights.contains(&0.0))?;
    let rows = weights.iter().enumerate();
    let rows = rows.filter(|(_, weight)| **weight > 0.0);
    Some(rows.map(|(row, _)| row).collect())
}

/// The index of the largest score; the first of equals, as NumPy's `argmax`.
pub fn argmax<T: PartialOrd>(scores: &[T]) -> usize {
    let mut best = 0;
    for (idx, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = idx;
        }
    }
    best
}

/// The predicted class of each row of `scores[n, n_classes]`.
pub fn predictions(scores: Scores<'_>, n_classes: usize) -> Vec<u32> {
    match scores {
        Scores::F32(scores) => scores
            .chunks_exact(n_classes)
            .map(|row| argmax(row) as u32)
            .collect(),
        Scores::F64(scores) => scores
            .chunks_exact(n_classes)
            .map(|row| argmax(row) as u32)
            .collect(),
    }
}

/// Why predictions cannot be scored.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MetricError {
    /// Nothing to score.
    #[error("there are no rows to score")]
    NoRows,
    /// Rows to be ranked without groups, or without a number of places.
    #[error("rows are ranked within groups: set `[evaluate.ranking] group` and `k`")]
    NotRanked,
    /// A column that is called a quantile's and is none.
    #[error(
        "the column `{column}` is not of predicted quantiles: {problem}, such as `quantile_0.95` for 95 %"
    )]
    Quantile {
        /// Its name.
        column: String,
        /// Why.
        problem: &'static str,
    },
    /// Rows to be ranked that have several labels.
    #[error("rows are ranked by one number, and each row has several labels")]
    RankedSeveral,
    /// A score that is not a probability by itself.
    #[error("row {row}, class {class}: the score {score} is not a probability between 0 and 1")]
    NotProbability {
        /// Index of the row, from 0.
        row: usize,
        /// Name of the class.
        class: String,
        /// What stands there.
        score: f64,
    },
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
    /// A column of another length.
    #[error("{n_rows} rows, but {len} {column}")]
    Column {
        /// What it holds.
        column: &'static str,
        /// How long it is.
        len: usize,
        /// Number of rows.
        n_rows: usize,
    },
    /// A weight that is not one.
    #[error("row {row}: the weight {weight} is not a finite number of at least 0")]
    Weight {
        /// Index of the row, from 0.
        row: usize,
        /// What stands there.
        weight: f64,
    },
    /// Weights of 0 alone.
    #[error("all weights are 0, so there is nothing to score")]
    NoWeight,
    /// A positive class among other than two.
    #[error("the positive class `{class}` is not one of two classes: {classes}")]
    PositiveClass {
        /// Its name.
        class: String,
        /// The classes.
        classes: String,
    },
    /// A score that is not a number.
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
    /// Scores that are not probabilities.
    #[error("row {row}: the scores are not probabilities that sum to 1 (sum {sum})")]
    NotProbabilities {
        /// Index of the row, from 0.
        row: usize,
        /// Their sum.
        sum: f64,
    },
}
