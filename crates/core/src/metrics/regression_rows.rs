//! Metrics of numbers as a number a row, for averages over several outputs and for comparisons. Where the metric is not defined they say
//! nothing of value: whether it is, `regression` says.

use super::regression::{
    Values, gamma_of_row, huber, labels_at, mean_label, pinball, poisson_of_row, share_of_label,
    symmetric_share,
};
use super::row_values::RowValues;
use crate::model::Loss;

fn numbers(rows: &Values<'_>, of_row: impl Fn(usize) -> f64) -> RowValues {
    RowValues::Numbers((0..rows.labels.len()).map(of_row).collect())
}

pub(super) fn loss(rows: &Values<'_>) -> RowValues {
    match rows.objective {
        Loss::MeanAbsoluteError => absolute_errors(rows),
        Loss::Huber => numbers(rows, |row| huber(rows.error(row))),
        _ => squared_errors(rows),
    }
}

pub(super) fn squared_errors(rows: &Values<'_>) -> RowValues {
    numbers(rows, |row| rows.error(row).powi(2))
}

pub(super) fn absolute_errors(rows: &Values<'_>) -> RowValues {
    numbers(rows, |row| rows.error(row).abs())
}

pub(super) fn rmse(rows: &Values<'_>) -> RowValues {
    let mean = rows.mean_of(|row| rows.error(row).powi(2)).value();
    let value = mean.sqrt();
    let influence = |row: usize| {
        if value > 0.0 {
            (rows.error(row).powi(2) - mean) / (2.0 * value)
        } else {
            0.0
        }
    };
    RowValues::Influences {
        value,
        influences: (0..rows.labels.len()).map(influence).collect(),
    }
}

/// 1 - `lost` / `possible`, the means of the losses of a row by each.
fn explained(
    rows: &Values<'_>,
    lost: impl Fn(usize) -> f64 + Sync,
    possible: impl Fn(usize) -> f64 + Sync,
) -> RowValues {
    let of_possible = rows.mean_of(&possible).value();
    let ratio = rows.mean_of(&lost).value() / of_possible;
    let influence = |row| (ratio * possible(row) - lost(row)) / of_possible;
    RowValues::Influences {
        value: 1.0 - ratio,
        influences: (0..rows.labels.len()).map(influence).collect(),
    }
}

pub(super) fn r2(rows: &Values<'_>) -> RowValues {
    let label = mean_label(rows).unwrap_or(f64::NAN);
    explained(
        rows,
        |row| rows.error(row).powi(2),
        |row| (rows.labels[row] - label).powi(2),
    )
}

pub(super) fn explained_variance(rows: &Values<'_>) -> RowValues {
    let label = mean_label(rows).unwrap_or(f64::NAN);
    let error = rows.mean_of(|row| rows.error(row)).value();
    explained(
        rows,
        |row| (rows.error(row) - error).powi(2),
        |row| (rows.labels[row] - label).powi(2),
    )
}

fn d2(share: f64, rows: &Values<'_>) -> RowValues {
    let label = labels_at(share, rows);
    explained(
        rows,
        |row| pinball(share, rows.error(row)),
        |row| pinball(share, label - rows.labels[row]),
    )
}

pub(super) fn d2_absolute_error(rows: &Values<'_>) -> RowValues {
    d2(0.5, rows)
}

pub(super) fn d2_pinball(rows: &Values<'_>) -> RowValues {
    d2(rows.quantile, rows)
}

pub(super) fn mape(rows: &Values<'_>) -> RowValues {
    numbers(rows, |row| share_of_label(rows, row))
}

pub(super) fn smape(rows: &Values<'_>) -> RowValues {
    numbers(rows, |row| symmetric_share(rows, row))
}

pub(super) fn pinball_loss(rows: &Values<'_>) -> RowValues {
    numbers(rows, |row| pinball(rows.quantile, rows.error(row)))
}

pub(super) fn poisson_deviance(rows: &Values<'_>) -> RowValues {
    numbers(rows, |row| poisson_of_row(rows, row))
}

pub(super) fn gamma_deviance(rows: &Values<'_>) -> RowValues {
    numbers(rows, |row| gamma_of_row(rows, row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalog;
    use crate::metrics::estimate::Computed;
    use crate::metrics::metric::Compute;
    use crate::metrics::sampling::Sampling;

    /// The mean of the numbers of the rows is the metric, with and without weights, and their interval is near its own (which of RMSE is the
    /// root of another).
    #[test]
    fn the_numbers_of_the_rows_come_to_the_metric() {
        let labels: Vec<f64> = (0..40).map(|row| f64::from(row * 7 % 13) + 1.0).collect();
        let predicted: Vec<f64> = (0..40).map(|row| f64::from(row * 5 % 11) + 1.5).collect();
        let weights: Vec<f64> = (0..40).map(|row| 1.0 + f64::from(row % 3)).collect();
        let mut n_compared = 0;
        for weights in [None, Some(weights.as_slice())] {
            for objective in [Loss::MeanSquaredError, Loss::MeanAbsoluteError, Loss::Huber] {
                let sampling = Sampling::new(40, weights, None).unwrap();
                let rows = Values {
                    labels: &labels,
                    predicted: &predicted,
                    sampling: &sampling,
                    objective,
                    quantile: 0.3,
                };
                for metric in catalog::all() {
                    let Compute::Values {
                        compute,
                        of_rows: Some(of_rows),
                    } = metric.compute
                    else {
                        continue;
                    };
                    let (own, found) = (
                        compute(&rows, 0.95),
                        of_rows(&rows).computed(&sampling, 0.95),
                    );
                    let (Computed::Value(own), Computed::Value(found)) = (own, found) else {
                        panic!("{} has a value", metric.name)
                    };
                    assert!((own.value - found.value).abs() < 1e-12, "{}", metric.name);
                    let (own, found) = (own.interval.unwrap(), found.interval.unwrap());
                    let reach = own.upper - own.lower;
                    assert!(
                        (own.lower - found.lower).abs() < 0.2 * reach,
                        "{}",
                        metric.name
                    );
                    assert!(
                        (own.upper - found.upper).abs() < 0.2 * reach,
                        "{}",
                        metric.name
                    );
                    n_compared += 1;
                }
            }
        }
        assert_eq!(n_compared, 6 * 13);
    }
}
