//! Rows as metrics see them, checked once.

use super::matrix::Confusion;
use crate::model::Loss;

/// How far the scores of a row may sum from 1: f32 softmax over many classes stays well within.
const PROBABILITY_TOLERANCE: f64 = 1e-3;

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

/// Labelled rows with a probability of each class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Probabilities<'a> {
    /// Class indices, `[n]`.
    pub labels: &'a [u32],
    /// `[n, k]`.
    pub scores: Scores<'a>,
    /// Number of classes, `k`.
    pub n_classes: usize,
}

impl Probabilities<'_> {
    /// The probability of each row's own class.
    pub fn of_labelled_class(&self) -> impl Iterator<Item = f64> {
        let n_classes = self.n_classes;
        let labels = self.labels.iter().enumerate();
        labels.map(move |(row, &label)| self.scores.at(row * n_classes + label as usize))
    }
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
    /// Prediction minus label, of each row.
    pub fn errors(&self) -> impl Iterator<Item = f64> {
        self.predicted
            .iter()
            .zip(self.labels)
            .map(|(predicted, label)| predicted - label)
    }

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
        Ok(())
    }
}

impl<'a> ClassifiedRows<'a> {
    /// Checks lengths, indices and scores; the rows with their probabilities, where there are scores.
    pub(super) fn check(&self) -> Result<Option<Probabilities<'a>>, MetricError> {
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
        let Some(scores) = self.scores else {
            return Ok(None);
        };
        if scores.len() != n_labels * n_classes {
            return Err(lengths(scores.len(), n_classes));
        }
        for row in 0..n_labels {
            let (mut sum, mut is_negative) = (0.0, false);
            for column in 0..n_classes {
                let value = scores.at(row * n_classes + column);
                if !value.is_finite() {
                    return Err(MetricError::NotFinite { row, column, value });
                }
                sum += value;
                is_negative |= value < 0.0;
            }
            if is_negative || (sum - 1.0).abs() > PROBABILITY_TOLERANCE {
                return Err(MetricError::NotProbabilities { row, sum });
            }
        }
        Ok(Some(Probabilities {
            labels: self.labels,
            scores,
            n_classes,
        }))
    }

    pub(super) fn confusion(&self) -> Confusion {
        let pairs = self.labels.iter().zip(self.predicted);
        let cells = pairs.map(|(&label, &predicted)| (label, predicted, 1));
        Confusion::new(self.classes.to_vec(), cells)
    }

    pub(super) fn misses(&self) -> Vec<usize> {
        let pairs = self.labels.iter().zip(self.predicted).enumerate();
        pairs
            .filter(|(_, (label, predicted))| label != predicted)
            .map(|(row, _)| row)
            .collect()
    }
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
