//! Metrics of numbers against predicted numbers.

use super::estimate::{Computed, Estimate, mean};
use super::metric::{Compute, Metric};
use super::rows::ValuedRows;
use crate::measurement::{Direction, Evidence, Unit};
use crate::model::{Loss, Task};
use crate::statistics::{Interval, Moments};

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

fn r2(rows: &ValuedRows<'_>, confidence: f64) -> Computed {
    let labels = Moments::of(rows.labels.iter().copied());
    let n = rows.labels.len() as f64;
    // The sum's own rounding is no spread.
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
