//! Metrics of labels against a probability of each class.

use super::estimate::{Computed, mean};
use super::metric::{Compute, Metric};
use super::rows::Probabilities;
use crate::measurement::{Direction, Unit};
use crate::model::Task;
use crate::statistics::Moments;

/// Keras raises probabilities to this before their logarithm, so that one zero cannot make the loss infinite.
const KERAS_EPSILON: f64 = 1e-7;

const INTERVAL_OF_MEAN: &str = "skewness-corrected t of the loss of each row";

pub(super) static METRICS: &[Metric] = &[
    Metric {
        name: "loss",
        aliases: &[],
        unit: Unit::Nats,
        direction: Direction::LowerIsBetter,
        task: Task::Classification,
        definition: "The loss function of training, without regularisation: the mean negative logarithm of the labelled class's probability, clipped to 1e-7 as Keras does.",
        interval: INTERVAL_OF_MEAN,
        source: "Keras `sparse_categorical_crossentropy`",
        compute: Compute::Probabilities(loss),
    },
    Metric {
        name: "log_loss",
        aliases: &["logloss", "cross_entropy"],
        unit: Unit::Nats,
        direction: Direction::LowerIsBetter,
        task: Task::Classification,
        definition: "Mean negative logarithm of the labelled class's probability, clipped to the spacing of f64 at 1.",
        interval: INTERVAL_OF_MEAN,
        source: "scikit-learn `log_loss`, on f64",
        compute: Compute::Probabilities(log_loss),
    },
];

fn loss(rows: &Probabilities<'_>, confidence: f64) -> Computed {
    clipped(rows, KERAS_EPSILON, confidence)
}

fn log_loss(rows: &Probabilities<'_>, confidence: f64) -> Computed {
    clipped(rows, f64::EPSILON, confidence)
}

fn clipped(rows: &Probabilities<'_>, epsilon: f64, confidence: f64) -> Computed {
    let losses = rows
        .of_labelled_class()
        .map(|p| -p.clamp(epsilon, 1.0 - epsilon).ln());
    mean(Moments::of(losses), confidence)
}
