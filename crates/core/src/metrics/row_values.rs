//! A metric as a number a row: what its value, its interval and its change between two models are computed from.

use std::borrow::Cow;

use super::estimate::{Computed, mean, proportion, undefined};
use super::sampling::Sampling;

/// What a metric is made of, row by row.
#[derive(Debug, Clone, PartialEq)]
pub enum RowValues {
    /// Whether each row is right: the value is their share.
    Right(Vec<bool>),
    /// A number of each row: the value is their mean.
    Numbers(Vec<f64>),
    /// The value, and the influence of each row on it, whose weighted mean is 0.
    Influences {
        /// Of the metric.
        value: f64,
        /// Of each row on it.
        influences: Vec<f64>,
    },
}

/// What a metric is made of, or why it has no value, as a clause.
pub(super) type OfRows = Result<RowValues, Cow<'static, str>>;

impl RowValues {
    /// Value and interval: exact of a share of plain rows, else t by the numbers or influences.
    pub(super) fn computed(&self, sampling: &Sampling<'_>, confidence: f64) -> Computed {
        let spread = match self {
            Self::Right(right) if sampling.is_plain() => {
                let n_right = right.iter().filter(|is_right| **is_right).count();
                let n = right.len() as u64;
                return proportion(n_right as u64, n, confidence, "no rows");
            }
            Self::Right(right) => sampling.mean(|row| f64::from(right[row])),
            Self::Numbers(numbers) => sampling.mean(|row| numbers[row]),
            Self::Influences { value, influences } => {
                sampling.spread(*value, |row| influences[row])
            }
        };
        mean(spread, self.n_rows() as u64, confidence)
    }

    /// A number of each row whose weighted mean is the value, and whose spread is that of the value.
    pub(super) fn parts(&self) -> Vec<f64> {
        match self {
            Self::Right(right) => right.iter().map(|&is_right| f64::from(is_right)).collect(),
            Self::Numbers(numbers) => numbers.clone(),
            Self::Influences { value, influences } => influences
                .iter()
                .map(|influence| value + influence)
                .collect(),
        }
    }

    const fn n_rows(&self) -> usize {
        match self {
            Self::Right(right) => right.len(),
            Self::Numbers(numbers) => numbers.len(),
            Self::Influences { influences, .. } => influences.len(),
        }
    }
}

/// The same of what may have no value.
pub(super) fn computed(of_rows: OfRows, sampling: &Sampling<'_>, confidence: f64) -> Computed {
    match of_rows {
        Ok(values) => values.computed(sampling, confidence),
        Err(reason) => undefined(reason),
    }
}
