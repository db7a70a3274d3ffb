//! Metrics of numbers against predicted numbers.

use super::estimate::{Computed, Estimate, Spread, mean, undefined, without_interval};
use super::sampling::Sampling;
use crate::measurement::Evidence;
use crate::model::Loss;
use crate::statistics::{Interval, NoInterval, median_interval};

/// Rows labelled with numbers, checked.
#[derive(Debug)]
pub struct Values<'a> {
    pub(super) labels: &'a [f64],
    pub(super) predicted: &'a [f64],
    pub(super) sampling: &'a Sampling<'a>,
    /// What training minimised.
    pub(super) objective: Loss,
    /// The quantile that the predictions are of.
    pub(super) quantile: f64,
}

impl Values<'_> {
    pub(super) fn n_rows(&self) -> u64 {
        self.labels.len() as u64
    }

    /// Prediction minus label.
    pub(super) fn error(&self, row: usize) -> f64 {
        self.predicted[row] - self.labels[row]
    }

    pub(super) fn mean_of(&self, of_row: impl Fn(usize) -> f64 + Sync) -> Spread {
        self.sampling.mean(of_row)
    }

    /// Rows for which `is_so` holds.
    pub(super) fn count(&self, is_so: impl Fn(usize) -> bool) -> usize {
        (0..self.labels.len()).filter(|&row| is_so(row)).count()
    }
}

const EQUAL_LABELS: &str = "all labels are equal";

pub(super) fn loss(rows: &Values<'_>, confidence: f64) -> Computed {
    let spread = match rows.objective {
        Loss::MeanAbsoluteError => absolute_errors(rows),
        Loss::Huber => rows.mean_of(|row| huber(rows.error(row))),
        _ => squared_errors(rows),
    };
    mean(spread, rows.n_rows(), confidence)
}

/// P. J. Huber (1964), with Keras's default threshold of 1.
pub(super) fn huber(error: f64) -> f64 {
    let magnitude = error.abs();
    if magnitude <= 1.0 {
        0.5 * error * error
    } else {
        magnitude - 0.5
    }
}

pub(super) fn squared_errors(rows: &Values<'_>) -> Spread {
    rows.mean_of(|row| rows.error(row).powi(2))
}

pub(super) fn absolute_errors(rows: &Values<'_>) -> Spread {
    rows.mean_of(|row| rows.error(row).abs())
}

pub(super) fn rmse(rows: &Values<'_>, confidence: f64) -> Computed {
    let spread = squared_errors(rows);
    let value = spread.value().sqrt();
    match spread {
        Spread::Rows(moments) => Computed::Value(Estimate {
            value,
            interval: moments.interval(confidence).map(root),
            n_rows: rows.n_rows(),
            evidence: Some(Evidence::RootMean(moments)),
        }),
        Spread::Groups(_) if value > 0.0 => {
            let influence = |row: usize| (rows.error(row).powi(2) - value * value) / (2.0 * value);
            let spread = rows.sampling.spread(value, influence);
            mean(spread, rows.n_rows(), confidence)
        }
        Spread::Groups(_) => mean(spread, rows.n_rows(), confidence),
    }
}

/// The interval of a mean's square root.
pub(super) fn root(interval: Interval) -> Interval {
    Interval {
        lower: interval.lower.max(0.0).sqrt(),
        upper: interval.upper.sqrt(),
        ..interval
    }
}

/// The rows in ascending order of a number each; of the same number, in their own order.
fn order(n_rows: usize, key: impl Fn(usize) -> f64) -> Vec<(f64, usize)> {
    let mut sorted: Vec<(f64, usize)> = (0..n_rows).map(|row| (key(row), row)).collect();
    sorted.sort_unstable_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
    sorted
}

/// The quantile of `sorted` numbers of rows: the smallest that has this share of the weight at or below it, or its mean with the next
/// where it has exactly that share. R. J. Hyndman and Y. Fan (1996), definition 2.
pub(super) fn quantile(sorted: &[(f64, usize)], share: f64, sampling: &Sampling<'_>) -> f64 {
    let target = share * sampling.total();
    let mut below = 0.0;
    let reaches = |&(_, row): &(f64, usize)| {
        below += sampling.weight(row);
        below >= target
    };
    let place = sorted.iter().position(reaches).unwrap_or(sorted.len() - 1);
    let value = sorted[place].0;
    match sorted.get(place + 1) {
        Some(next) if below - target <= f64::EPSILON => f64::midpoint(value, next.0),
        _ => value,
    }
}

pub(super) fn median_absolute_error(rows: &Values<'_>, confidence: f64) -> Computed {
    let sorted = order(rows.labels.len(), |row| rows.error(row).abs());
    let interval = if rows.sampling.is_plain() {
        let magnitudes: Vec<f64> = sorted.iter().map(|(magnitude, _)| *magnitude).collect();
        median_interval(&magnitudes, confidence)
    } else {
        Err(NoInterval::NoMethod)
    };
    Computed::Value(Estimate {
        value: quantile(&sorted, 0.5, rows.sampling),
        interval,
        n_rows: rows.n_rows(),
        evidence: None,
    })
}

/// The mean label; `None` where they are all equal, since a sum's own rounding is not spread.
pub(super) fn mean_label(rows: &Values<'_>) -> Option<f64> {
    if rows.labels.iter().all(|label| *label == rows.labels[0]) {
        return None;
    }
    Some(rows.mean_of(|row| rows.labels[row]).value())
}

/// A mean square below which its parts have lost digits: the smallest number with all digits, over the precision.
const SMALLEST_MEAN: f64 = f64::MIN_POSITIVE / f64::EPSILON;

const TOO_CLOSE: &str = "the labels lie so close to each other that their squares are beyond 64-bit floating point: score them in a smaller unit";

/// 1 - `lost` / `possible`, the means of the losses of a row by each.
pub(super) fn explained(
    rows: &Values<'_>,
    lost: impl Fn(usize) -> f64 + Sync,
    possible: impl Fn(usize) -> f64 + Sync,
    confidence: f64,
) -> Computed {
    let of_possible = rows.mean_of(&possible).value();
    if of_possible < SMALLEST_MEAN {
        return undefined(TOO_CLOSE);
    }
    let ratio = rows.mean_of(&lost).value() / of_possible;
    let influence = |row| (ratio * possible(row) - lost(row)) / of_possible;
    let spread = rows.sampling.spread(1.0 - ratio, influence);
    mean(spread, rows.n_rows(), confidence)
}

pub(super) fn r2(rows: &Values<'_>, confidence: f64) -> Computed {
    let Some(label) = mean_label(rows) else {
        return undefined(EQUAL_LABELS);
    };
    // To the first order, the mean label that is estimated as well does not matter: the spread around it is smallest there.
    explained(
        rows,
        |row| rows.error(row).powi(2),
        |row| (rows.labels[row] - label).powi(2),
        confidence,
    )
}

pub(super) fn explained_variance(rows: &Values<'_>, confidence: f64) -> Computed {
    let Some(label) = mean_label(rows) else {
        return undefined(EQUAL_LABELS);
    };
    let error = rows.mean_of(|row| rows.error(row)).value();
    explained(
        rows,
        |row| (rows.error(row) - error).powi(2),
        |row| (rows.labels[row] - label).powi(2),
        confidence,
    )
}

pub(super) fn pinball(quantile: f64, error: f64) -> f64 {
    if error < 0.0 {
        -quantile * error
    } else {
        (1.0 - quantile) * error
    }
}

/// The quantile of the labels at `share`.
pub(super) fn labels_at(share: f64, rows: &Values<'_>) -> f64 {
    let sorted = order(rows.labels.len(), |row| rows.labels[row]);
    quantile(&sorted, share, rows.sampling)
}

pub(super) fn d2_pinball(share: f64, rows: &Values<'_>, confidence: f64) -> Computed {
    let label = labels_at(share, rows);
    let possible = |row: usize| pinball(share, label - rows.labels[row]);
    if rows.mean_of(possible).value() <= 0.0 {
        return undefined(EQUAL_LABELS);
    }
    explained(
        rows,
        |row| pinball(share, rows.error(row)),
        possible,
        confidence,
    )
}

/// A metric that `n` rows leave without a value.
fn outside(n: usize, one: &str, several: &str) -> Computed {
    undefined(match n {
        1 => format!("1 {one}"),
        n => format!("{n} {several}"),
    })
}

/// The magnitude of the error as a share of the label's.
pub(super) fn share_of_label(rows: &Values<'_>, row: usize) -> f64 {
    rows.error(row).abs() / rows.labels[row].abs()
}

pub(super) fn mape(rows: &Values<'_>, confidence: f64) -> Computed {
    match rows.count(|row| rows.labels[row] == 0.0) {
        0 => {
            let share = |row: usize| share_of_label(rows, row);
            mean(rows.mean_of(share), rows.n_rows(), confidence)
        }
        n => outside(n, "label is 0", "labels are 0"),
    }
}

/// The sum of the magnitudes of label and prediction.
fn size(rows: &Values<'_>, row: usize) -> f64 {
    rows.labels[row].abs() + rows.predicted[row].abs()
}

/// Twice the magnitude of the error as a share of the size.
pub(super) fn symmetric_share(rows: &Values<'_>, row: usize) -> f64 {
    2.0 * rows.error(row).abs() / size(rows, row)
}

pub(super) fn smape(rows: &Values<'_>, confidence: f64) -> Computed {
    match rows.count(|row| size(rows, row) == 0.0) {
        0 => {
            let share = |row: usize| symmetric_share(rows, row);
            mean(rows.mean_of(share), rows.n_rows(), confidence)
        }
        n => outside(
            n,
            "row has a label and a prediction of 0",
            "rows have a label and a prediction of 0",
        ),
    }
}

pub(super) fn max_error(rows: &Values<'_>, _: f64) -> Computed {
    let errors = (0..rows.labels.len()).map(|row| rows.error(row).abs());
    without_interval(errors.fold(0.0, f64::max), rows.n_rows())
}

/// 2 (y ln(y / p) - y + p)
pub(super) fn poisson_of_row(rows: &Values<'_>, row: usize) -> f64 {
    let (label, predicted) = (rows.labels[row], rows.predicted[row]);
    let term = if label > 0.0 {
        label * (label / predicted).ln()
    } else {
        0.0
    };
    2.0 * (term - label + predicted)
}

pub(super) fn poisson_deviance(rows: &Values<'_>, confidence: f64) -> Computed {
    let is_outside = |row: usize| rows.labels[row] < 0.0 || rows.predicted[row] <= 0.0;
    match rows.count(is_outside) {
        0 => {
            let deviance = |row: usize| poisson_of_row(rows, row);
            mean(rows.mean_of(deviance), rows.n_rows(), confidence)
        }
        n => outside(
            n,
            "row has a label below 0, or a prediction that is not above it",
            "rows have a label below 0, or a prediction that is not above it",
        ),
    }
}

/// 2 (ln(p / y) + y / p - 1)
pub(super) fn gamma_of_row(rows: &Values<'_>, row: usize) -> f64 {
    let (label, predicted) = (rows.labels[row], rows.predicted[row]);
    2.0 * ((predicted / label).ln() + label / predicted - 1.0)
}

pub(super) fn gamma_deviance(rows: &Values<'_>, confidence: f64) -> Computed {
    let is_outside = |row: usize| rows.labels[row] <= 0.0 || rows.predicted[row] <= 0.0;
    match rows.count(is_outside) {
        0 => {
            let deviance = |row: usize| gamma_of_row(rows, row);
            mean(rows.mean_of(deviance), rows.n_rows(), confidence)
        }
        n => outside(
            n,
            "row has a label or a prediction that is not above 0",
            "rows have a label or a prediction that is not above 0",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Squares of some 1e-320 have four digits.
    #[test]
    fn shares_of_squares_that_lose_digits_have_no_value() {
        let r2_of = |scale: f64| {
            let rows = Values {
                labels: &[scale, 2.0 * scale, 4.0 * scale],
                predicted: &[1.5 * scale, 2.0 * scale, 4.0 * scale],
                sampling: &Sampling::new(3, None, None).unwrap(),
                objective: Loss::MeanSquaredError,
                quantile: 0.5,
            };
            match r2(&rows, 0.95) {
                Computed::Value(estimate) => Some(estimate.value),
                Computed::Undefined(_) => None,
            }
        };
        // 1 - 0.25 / (14 / 3), by hand.
        let expected = 1.0 - 0.75 / 14.0;
        assert!((r2_of(1e-140).unwrap() - expected).abs() < 1e-12);
        assert_eq!(r2_of(1e-160), None);
    }

    /// Independent source: scikit-learn's documentation of `median_absolute_error`, whose example gives 0.5; with a fifth
    /// row that is off by 2 the median of 0, 0.5, 0.5, 1 and 2 is 0.5 as well, and of 0, 1, 1, 2 it is 1.
    #[test]
    fn the_median_absolute_error_is_scikit_learns() {
        let value = |labels: &[f64], predicted: &[f64]| {
            let rows = Values {
                labels,
                predicted,
                sampling: &Sampling::new(labels.len(), None, None).unwrap(),
                objective: Loss::MeanSquaredError,
                quantile: 0.5,
            };
            match median_absolute_error(&rows, 0.95) {
                Computed::Value(estimate) => (estimate.value, estimate.interval.is_ok()),
                Computed::Undefined(reason) => panic!("{reason}"),
            }
        };
        // Four rows cannot give an interval at this level.
        assert_eq!(
            value(&[3.0, -0.5, 2.0, 7.0], &[2.5, 0.0, 2.0, 8.0]),
            (0.5, false)
        );
        assert_eq!(value(&[0.0; 4], &[0.0, 1.0, -1.0, 2.0]).0, 1.0);
        assert_eq!(value(&[0.0; 5], &[0.0, 0.5, -0.5, 1.0, 2.0]).0, 0.5);
        let errors: Vec<f64> = (1..=9).map(f64::from).collect();
        assert_eq!(value(&[0.0; 9], &errors), (5.0, true));
    }
}
