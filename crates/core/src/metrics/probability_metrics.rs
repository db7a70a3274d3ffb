//! Metrics of the probability of each class, as the catalog lists them.

use super::estimate::{Computed, mean};
use super::metric::{Compute, Metric, Shown};
use super::probability::{Probabilities, top_k_accuracy};
use crate::measurement::{Direction, Unit};
use crate::prediction_task::PredictionTask;

const INTERVAL_OF_MEAN: &str = "skewness-corrected t of the loss of each row";

const fn metric(
    name: &'static str,
    aliases: &'static [&'static str],
    unit: Unit,
    definition: &'static str,
    interval: &'static str,
    source: &'static str,
    compute: fn(&Probabilities, f64) -> Computed,
) -> Metric {
    Metric {
        name,
        aliases,
        unit,
        direction: Direction::LowerIsBetter,
        task: PredictionTask::Classification,
        definition,
        interval,
        source,
        range: (0.0, f64::INFINITY),
        shown: Shown::Headline,
        compute: Compute::Probabilities(compute),
    }
}

pub(super) static METRICS: &[Metric] = &[
    metric(
        "loss",
        &[],
        Unit::Nats,
        "The loss function of training, without regularisation: the mean negative logarithm of the labelled class's probability, clipped to 1e-7 as Keras does.",
        INTERVAL_OF_MEAN,
        "Keras `sparse_categorical_crossentropy`",
        |rows, confidence| mean(rows.loss, rows.n_rows, confidence),
    ),
    metric(
        "log_loss",
        &["logloss", "cross_entropy"],
        Unit::Nats,
        "Mean negative logarithm of the labelled class's probability, clipped to the spacing of f64 at 1; the report counts the rows that were clipped.",
        INTERVAL_OF_MEAN,
        "scikit-learn `log_loss`, on f64",
        |rows, confidence| mean(rows.log_loss, rows.n_rows, confidence),
    ),
    Metric {
        range: (0.0, 2.0),
        ..metric(
            "brier_score",
            &["brier", "brier_score_loss"],
            Unit::None,
            "Mean squared error of the probabilities: with two classes of the positive (else the second) one, from 0 to 1; with more the sum over the classes, from 0 to 2.",
            INTERVAL_OF_MEAN,
            "scikit-learn `brier_score_loss`",
            |rows, confidence| mean(rows.brier, rows.n_rows, confidence),
        )
    },
    Metric {
        direction: Direction::HigherIsBetter,
        range: (0.0, 1.0),
        ..metric(
            "top_k_accuracy",
            &["top_k_categorical_accuracy", "top_k_accuracy_score"],
            Unit::Proportion,
            "Share of the rows whose class is among the k with the largest probabilities, 2 by default; where it ties with others for the last place, its share of that place.",
            "Clopper–Pearson; with ties, and of weighted or grouped rows, t by influence",
            "scikit-learn `top_k_accuracy_score`, which breaks ties by the order of the classes",
            top_k_accuracy,
        )
    },
    Metric {
        range: (0.0, 1.0),
        ..metric(
            "expected_calibration_error",
            &["ece"],
            Unit::Proportion,
            "Mean distance between the probability of the predicted class and the share of rows that are right, over 15 bins of equal width (right-closed), less the bias that chance adds to it.",
            "none: no method with known coverage",
            "A. Kumar, P. Liang and T. Ma (2019), \"Verified uncertainty calibration\", for the bias",
            |rows, _| rows.bins.error(rows.n_rows),
        )
    },
];
