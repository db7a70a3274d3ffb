//! Metrics of numbers against predicted numbers.

use super::estimate::{Computed, Estimate, mean};
use super::metric::{Compute, Metric};
use super::rows::ValuedRows;
use crate::measurement::{Direction, Evidence, Unit};
use crate::model::{Loss, Task};
use crate::statistics::{Interval, Moments, median_interval};

const INTERVAL_OF_MEAN: &str = "skewness-corrected t of the loss of each row";

const fn metric(
    name: &'static str,
    aliases: &'static [&'static str],
    unit: Unit,
    definition: &'static str,
    interval: &'static str,
    source: &'static str,
    compute: fn(&ValuedRows<'_>, f64) -> Computed,
) -> Metric {
    Metric {
        name,
        aliases,
        unit,
        direction: Direction::LowerIsBetter,
        task: Task::Regression,
        definition,
        interval,
        source,
        compute: Compute::Values(compute),
    }
}

pub(super) static METRICS: &[Metric] = &[
    metric(
        "loss",
        &[],
        Unit::LabelSquared,
        "The loss function of training, without regularisation: the mean squared error, or what `[train] loss` names.",
        INTERVAL_OF_MEAN,
        "Keras `mean_squared_error`, `mean_absolute_error`, `huber`",
        loss,
    ),
    metric(
        "mse",
        &["mean_squared_error"],
        Unit::LabelSquared,
        "Mean squared error.",
        INTERVAL_OF_MEAN,
        "scikit-learn `mean_squared_error`",
        mse,
    ),
    metric(
        "rmse",
        &["root_mean_squared_error"],
        Unit::Label,
        "Square root of the mean squared error.",
        "square roots of the ends of the interval of `mse`",
        "scikit-learn `root_mean_squared_error`",
        rmse,
    ),
    metric(
        "mae",
        &["mean_absolute_error"],
        Unit::Label,
        "Mean absolute error.",
        INTERVAL_OF_MEAN,
        "scikit-learn `mean_absolute_error`",
        mae,
    ),
    metric(
        "median_absolute_error",
        &["median_ae"],
        Unit::Label,
        "Median of the magnitudes of the errors.",
        "two of the sorted magnitudes, by the binomial distribution of the rows below a median",
        "scikit-learn `median_absolute_error`",
        median_absolute_error,
    ),
    Metric {
        direction: Direction::HigherIsBetter,
        ..metric(
            "r2",
            &["r2_score", "r_squared"],
            Unit::None,
            "Coefficient of determination: 1 - SSE / SST. Undefined if all labels are equal.",
            "skewness-corrected t of each row's influence on the value",
            "scikit-learn `r2_score`",
            r2,
        )
    },
];

fn loss(rows: &ValuedRows<'_>, confidence: f64) -> Computed {
    match rows.objective {
        Loss::MeanAbsoluteError => mae(rows, confidence),
        Loss::Huber => mean(Moments::of(rows.errors().map(huber)), confidence),
        _ => mse(rows, confidence),
    }
}

/// P. J. Huber (1964), with Keras's default threshold of 1.
fn huber(error: f64) -> f64 {
    let magnitude = error.abs();
    if magnitude <= 1.0 {
        0.5 * error * error
    } else {
        magnitude - 0.5
    }
}

fn squared_errors(rows: &ValuedRows<'_>) -> Moments {
    Moments::of(rows.errors().map(|error| error * error))
}

fn mse(rows: &ValuedRows<'_>, confidence: f64) -> Computed {
    mean(squared_errors(rows), confidence)
}

fn rmse(rows: &ValuedRows<'_>, confidence: f64) -> Computed {
    let moments = squared_errors(rows);
    if moments.n == 0 {
        return Computed::Undefined("no rows");
    }
    Computed::Value(Estimate {
        value: moments.mean.sqrt(),
        interval: moments.interval(confidence).map(root),
        n_rows: moments.n,
        evidence: Some(Evidence::RootMean(moments)),
    })
}

/// The interval of a mean's square root.
pub(super) fn root(interval: Interval) -> Interval {
    Interval {
        lower: interval.lower.max(0.0).sqrt(),
        upper: interval.upper.sqrt(),
        ..interval
    }
}

fn mae(rows: &ValuedRows<'_>, confidence: f64) -> Computed {
    mean(Moments::of(rows.errors().map(f64::abs)), confidence)
}

fn median_absolute_error(rows: &ValuedRows<'_>, confidence: f64) -> Computed {
    let mut magnitudes: Vec<f64> = rows.errors().map(f64::abs).collect();
    magnitudes.sort_unstable_by(f64::total_cmp);
    let middle = magnitudes.len() / 2;
    let (Some(&above), is_even) = (magnitudes.get(middle), magnitudes.len().is_multiple_of(2))
    else {
        return Computed::Undefined("no rows");
    };
    Computed::Value(Estimate {
        value: if is_even {
            f64::midpoint(magnitudes[middle - 1], above)
        } else {
            above
        },
        interval: median_interval(&magnitudes, confidence),
        n_rows: magnitudes.len() as u64,
        evidence: None,
    })
}

fn r2(rows: &ValuedRows<'_>, confidence: f64) -> Computed {
    let labels = Moments::of(rows.labels.iter().copied());
    let n = rows.labels.len() as f64;
    // The sum's own rounding is not spread.
    let total = labels.variance * (n - 1.0);
    if n < 2.0 || total.is_nan() || total <= 0.0 {
        return Computed::Undefined("all labels are equal");
    }
    let (mse, spread) = (squared_errors(rows).mean, total / n);
    let value = 1.0 - mse / spread;
    // The influence function of 1 - MSE / Var: how much one more such row would move the value, times n.
    let influence = rows.labels.iter().zip(rows.errors()).map(|(label, error)| {
        let deviation = label - labels.mean;
        value - (error * error - mse * deviation * deviation / spread) / spread
    });
    let interval = Moments::of(influence)
        .interval(confidence)
        .map(|interval| Interval {
            upper: interval.upper.min(1.0),
            ..interval
        });
    Computed::Value(Estimate {
        value,
        interval,
        n_rows: rows.labels.len() as u64,
        evidence: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Independent source: scikit-learn's documentation of `median_absolute_error`, whose example gives 0.5; with a fifth
    /// row that is off by 2 the median of 0, 0.5, 0.5, 1 and 2 is 0.5 as well, and of 0, 1, 1, 2 it is 1.
    #[test]
    fn the_median_absolute_error_is_scikit_learns() {
        let value = |labels: &[f64], predicted: &[f64]| {
            let rows = ValuedRows {
                labels,
                predicted,
                objective: Loss::MeanSquaredError,
                weights: None,
                groups: None,
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
