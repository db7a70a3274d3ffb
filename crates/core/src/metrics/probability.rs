//! Metrics of labels against a probability of each class.

use super::estimate::{Computed, mean, proportion};
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
    Metric {
        name: "top_k_accuracy",
        aliases: &["top_k_categorical_accuracy", "top_k_accuracy_score"],
        unit: Unit::Proportion,
        direction: Direction::HigherIsBetter,
        task: Task::Classification,
        definition: "Share of the rows whose class is among the 2 with the largest probabilities; where it ties with others for the last place, its share of that place.",
        interval: "Clopper–Pearson; with ties skewness-corrected t",
        source: "scikit-learn `top_k_accuracy_score`, which breaks ties by the order of the classes",
        compute: Compute::Probabilities(top_k_accuracy),
    },
];

/// Places that [`top_k_accuracy`] counts: scikit-learn's default.
const TOP_K: usize = 2;

fn top_k_accuracy(rows: &Probabilities<'_>, confidence: f64) -> Computed {
    let n_classes = rows.n_classes;
    if n_classes <= TOP_K {
        return Computed::Undefined("no more classes than places");
    }
    let share = |(row, &label): (usize, &u32)| {
        let scores = || (0..n_classes).map(|class| rows.scores.at(row * n_classes + class));
        let own = rows.scores.at(row * n_classes + label as usize);
        let n_above = scores().filter(|score| *score > own).count();
        let n_equal = scores().filter(|score| *score == own).count();
        let n_free = TOP_K.saturating_sub(n_above);
        (n_free as f64 / n_equal as f64).min(1.0)
    };
    let shares: Vec<f64> = rows.labels.iter().enumerate().map(share).collect();
    if shares.iter().any(|share| share.fract() != 0.0) {
        return mean(Moments::of(shares), confidence);
    }
    let n_right = shares.iter().sum::<f64>() as u64;
    proportion(n_right, shares.len() as u64, confidence, "no rows")
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Scores;

    fn top_k(labels: &[u32], scores: &[f64]) -> Computed {
        let rows = Probabilities {
            labels,
            scores: Scores::F64(scores),
            n_classes: scores.len() / labels.len(),
        };
        top_k_accuracy(&rows, 0.95)
    }

    /// Independent source: scikit-learn's documentation of `top_k_accuracy_score`, whose example gives 0.75 for k = 2.
    #[test]
    fn the_top_k_accuracy_is_scikit_learns() {
        let scores = [0.5, 0.2, 0.2, 0.3, 0.4, 0.2, 0.2, 0.4, 0.3, 0.7, 0.2, 0.1];
        let Computed::Value(estimate) = top_k(&[0, 1, 2, 2], &scores) else {
            panic!("it has a value")
        };
        assert_eq!(estimate.value, 0.75);
    }

    /// By hand: two places for three equal classes, whatever their order.
    #[test]
    fn ties_count_by_their_share_and_too_few_classes_not_at_all() {
        for label in 0..3 {
            let Computed::Value(estimate) = top_k(&[label], &[0.25; 3]) else {
                panic!("it has a value")
            };
            assert_eq!(estimate.value, 2.0 / 3.0);
        }
        assert!(matches!(top_k(&[0], &[0.5, 0.5]), Computed::Undefined(_)));
    }
}
