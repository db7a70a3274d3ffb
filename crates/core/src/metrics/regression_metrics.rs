//! Metrics of numbers against predicted numbers, as the catalog lists them.

use super::estimate::{Computed, mean};
use super::metric::{Compute, Metric, Shown};
use super::regression::{
    Values, absolute_errors, d2_pinball, explained_variance, gamma_deviance, loss, mape, max_error,
    median_absolute_error, pinball, poisson_deviance, r2, rmse, smape, squared_errors,
};
use super::regression_rows as of_rows;
use super::row_values::RowValues;
use crate::measurement::{Direction, Unit};
use crate::prediction_task::PredictionTask;

const INTERVAL_OF_MEAN: &str = "skewness-corrected t of the loss of each row";
const BY_INFLUENCE: &str = "t by influence";
const NONE: &str = "none: no method with known coverage";

const fn metric(
    name: &'static str,
    aliases: &'static [&'static str],
    unit: Unit,
    definition: &'static str,
    interval: &'static str,
    source: &'static str,
    compute: fn(&Values<'_>, f64) -> Computed,
    of_rows: Option<fn(&Values<'_>) -> RowValues>,
) -> Metric {
    Metric {
        name,
        aliases,
        unit,
        direction: Direction::LowerIsBetter,
        task: PredictionTask::Regression,
        definition,
        interval,
        source,
        range: (0.0, f64::INFINITY),
        shown: Shown::Headline,
        compute: Compute::Values { compute, of_rows },
    }
}

/// The share of something that is explained: at most 1, and more is better.
const fn share(metric: Metric) -> Metric {
    Metric {
        direction: Direction::HigherIsBetter,
        range: (f64::NEG_INFINITY, 1.0),
        ..metric
    }
}

/// One that only lists of all metrics show.
const fn detail(metric: Metric) -> Metric {
    Metric {
        shown: Shown::Details,
        ..metric
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
        Some(of_rows::loss),
    ),
    metric(
        "mse",
        &["mean_squared_error"],
        Unit::LabelSquared,
        "Mean squared error.",
        INTERVAL_OF_MEAN,
        "scikit-learn `mean_squared_error`",
        |rows, level| mean(squared_errors(rows), rows.n_rows(), level),
        Some(of_rows::squared_errors),
    ),
    metric(
        "rmse",
        &["root_mean_squared_error"],
        Unit::Label,
        "Square root of the mean squared error.",
        "square roots of the ends of the interval of `mse`; of grouped rows t by influence",
        "scikit-learn `root_mean_squared_error`",
        rmse,
        Some(of_rows::rmse),
    ),
    metric(
        "mae",
        &["mean_absolute_error"],
        Unit::Label,
        "Mean absolute error.",
        INTERVAL_OF_MEAN,
        "scikit-learn `mean_absolute_error`",
        |rows, level| mean(absolute_errors(rows), rows.n_rows(), level),
        Some(of_rows::absolute_errors),
    ),
    metric(
        "median_absolute_error",
        &["median_ae"],
        Unit::Label,
        "Median of the magnitudes of the errors.",
        "two of the sorted magnitudes, by the binomial distribution of the rows below a median; of weighted or grouped rows none",
        "scikit-learn `median_absolute_error`",
        median_absolute_error,
        None,
    ),
    share(metric(
        "r2",
        &["r2_score", "r_squared"],
        Unit::None,
        "Coefficient of determination: 1 - SSE / SST. Undefined if all labels are equal.",
        BY_INFLUENCE,
        "scikit-learn `r2_score`",
        r2,
        Some(of_rows::r2),
    )),
    share(detail(metric(
        "explained_variance",
        &["explained_variance_score"],
        Unit::None,
        "1 - variance of the errors / variance of the labels: as `r2`, but a constant error costs nothing. Undefined if all labels are equal.",
        BY_INFLUENCE,
        "scikit-learn `explained_variance_score`",
        explained_variance,
        Some(of_rows::explained_variance),
    ))),
    share(detail(metric(
        "d2_absolute_error",
        &["d2_absolute_error_score"],
        Unit::None,
        "1 - mean absolute error / that of predicting the median label. Undefined if all labels are equal.",
        BY_INFLUENCE,
        "scikit-learn `d2_absolute_error_score`",
        |rows, level| d2_pinball(0.5, rows, level),
        Some(of_rows::d2_absolute_error),
    ))),
    share(detail(metric(
        "d2_pinball",
        &["d2_pinball_score"],
        Unit::None,
        "1 - pinball loss / that of predicting the same quantile of the labels; of the median by default. Undefined if all labels are equal.",
        BY_INFLUENCE,
        "scikit-learn `d2_pinball_score`",
        |rows, level| d2_pinball(rows.quantile, rows, level),
        Some(of_rows::d2_pinball),
    ))),
    detail(metric(
        "mape",
        &["mean_absolute_percentage_error"],
        Unit::Proportion,
        "Mean magnitude of the error as a share of the label's magnitude: 0.1 is 10 %. Undefined if a label is 0.",
        INTERVAL_OF_MEAN,
        "scikit-learn `mean_absolute_percentage_error`",
        mape,
        Some(of_rows::mape),
    )),
    detail(Metric {
        range: (0.0, 2.0),
        ..metric(
            "smape",
            &["symmetric_mape"],
            Unit::Proportion,
            "Mean of 2 |error| / (|label| + |prediction|), from 0 to 2. Undefined if both are 0 in a row.",
            INTERVAL_OF_MEAN,
            "S. Makridakis (1993), in the form of the M4 competition",
            smape,
            Some(of_rows::smape),
        )
    }),
    detail(metric(
        "max_error",
        &[],
        Unit::Label,
        "Largest magnitude of an error.",
        NONE,
        "scikit-learn `max_error`",
        max_error,
        None,
    )),
    detail(metric(
        "pinball_loss",
        &["mean_pinball_loss", "quantile_loss"],
        Unit::Label,
        "Mean pinball loss at a quantile q: q times an error below the label, 1 - q times one above. At the default, the median, half the mean absolute error.",
        INTERVAL_OF_MEAN,
        "scikit-learn `mean_pinball_loss`",
        |rows, level| {
            let loss = rows.mean_of(|row| pinball(rows.quantile, rows.error(row)));
            mean(loss, rows.n_rows(), level)
        },
        Some(of_rows::pinball_loss),
    )),
    detail(metric(
        "poisson_deviance",
        &["mean_poisson_deviance"],
        Unit::None,
        "Mean of 2 (y ln(y / p) - y + p). Undefined if a label y is below 0 or a prediction p is not above it.",
        INTERVAL_OF_MEAN,
        "scikit-learn `mean_poisson_deviance`",
        poisson_deviance,
        Some(of_rows::poisson_deviance),
    )),
    detail(metric(
        "gamma_deviance",
        &["mean_gamma_deviance"],
        Unit::None,
        "Mean of 2 (ln(p / y) + y / p - 1). Undefined if a label y or a prediction p is not above 0.",
        INTERVAL_OF_MEAN,
        "scikit-learn `mean_gamma_deviance`",
        gamma_deviance,
        Some(of_rows::gamma_deviance),
    )),
];
