//! The interval of a mean over classes that is weighted by their labelled rows, from the interval of accuracy.

use super::class::{Class, Part};
use crate::statistics::{Counts, Interval, IntervalMethod, clopper_pearson};

/// An average weighted by support: the exact interval of accuracy, its distances scaled by the ratio of the two standard deviations.
///
/// A weighted average moves with accuracy, by the same errors; scaling keeps the exact interval's shape for few errors, and for many it
/// is the interval of the delta method. The ratio is itself an estimate, for which one part in √n is added.
pub(super) fn weighted(
    part: Part,
    classes: &[Class],
    counts: &Counts,
    value: f64,
    confidence: f64,
) -> Interval {
    let n_right: f64 = classes.iter().map(|class| class.n_right).sum();
    let n: f64 = classes.iter().map(|class| class.n_labelled).sum();
    let accuracy = n_right / n;
    let (lower, upper) = clopper_pearson(n_right as u64, n as u64, confidence)
        .map_or((0.0, 1.0), |interval| (interval.lower, interval.upper));
    if part == Part::Recall {
        return Interval {
            lower,
            upper,
            confidence,
            method: IntervalMethod::ClopperPearson,
        };
    }
    let scale = spread_ratio(part, classes, counts) * (1.0 + n.sqrt().recip());
    let bias = weighted_bias(part, classes);
    // A class that is never predicted has a precision of 0 here, and may have any.
    let unknown: f64 = classes
        .iter()
        .filter(|class| part.n(class) == 0.0)
        .map(|class| class.n_labelled / n)
        .sum();
    Interval {
        lower: (value - (accuracy - lower) * scale - bias.max(0.0)).max(0.0),
        upper: (value + (upper - accuracy) * scale - bias.min(0.0) + unknown).min(1.0),
        confidence,
        method: IntervalMethod::ScaledClopperPearson,
    }
}

/// By how much a weighted average is high on average, to the second order: a row that is right by chance raises both a class's value and
/// its weight. Counts are smoothed, since a class of one row shows no variance.
pub(super) fn weighted_bias(part: Part, classes: &[Class]) -> f64 {
    let n: f64 = classes.iter().map(|class| class.n_labelled).sum();
    let of_class = |class: &Class| {
        let (right, labelled, predicted) = (class.n_right, class.n_labelled, class.n_predicted);
        match part {
            Part::Recall => 0.0,
            Part::Precision => {
                let share = (right + 1.0) / (predicted + 2.0);
                share * (1.0 - share)
            }
            Part::F1 => {
                let both = labelled + predicted;
                2.0 * right * (predicted - labelled) * (both - right) / both.powi(3)
            }
            Part::Jaccard => {
                (right + 1.0) * (predicted - right + 0.5) / (class.n_either() + 2.0).powi(2)
            }
        }
    };
    classes
        .iter()
        .filter(|class| part.n(class) > 0.0)
        .map(of_class)
        .sum::<f64>()
        / n
}

/// The standard deviation of a weighted average over that of accuracy, by the delta method.
///
/// The matrix is smoothed by one row spread over the diagonal and one over the rest, so that neither is zero.
pub(super) fn spread_ratio(part: Part, classes: &[Class], counts: &Counts) -> f64 {
    let k = classes.len() as f64;
    if classes.len() < 2 {
        return 1.0;
    }
    let (on_diagonal, elsewhere) = (1.0 / k, 1.0 / (k * (k - 1.0)));
    let margin = on_diagonal + elsewhere * (k - 1.0);
    let smoothed: Vec<Class> = classes
        .iter()
        .map(|class| Class {
            index: class.index,
            n_right: class.n_right + on_diagonal,
            n_labelled: class.n_labelled + margin,
            n_predicted: class.n_predicted + margin,
        })
        .collect();
    // Of one more row: the class's value by its larger weight, and what a row right or wrong does to the value itself.
    let value = |class: &Class| part.share(class).map_or(0.0, |share| part.of_share(share));
    let right = |class: &Class| {
        let share = value(class);
        class.n_labelled
            * match part {
                Part::Precision => (1.0 - share) / class.n_predicted,
                Part::Recall => (1.0 - share) / class.n_labelled,
                Part::F1 => 2.0 * (1.0 - share) / (class.n_labelled + class.n_predicted),
                Part::Jaccard => (1.0 - share) / class.n_either(),
            }
    };
    let lost = |class: &Class, is_label: bool| {
        let share = value(class);
        class.n_labelled
            * match (part, is_label) {
                (Part::Precision, true) | (Part::Recall, false) => 0.0,
                (Part::Precision, false) => share / class.n_predicted,
                (Part::Recall, true) => share / class.n_labelled,
                (Part::F1, _) => share / (class.n_labelled + class.n_predicted),
                (Part::Jaccard, _) => share / class.n_either(),
            }
    };
    let n: f64 = smoothed.iter().map(|class| class.n_labelled).sum();
    let as_label: Vec<f64> = smoothed
        .iter()
        .map(|class| value(class) - lost(class, true))
        .collect();
    let as_predicted: Vec<f64> = smoothed.iter().map(|class| lost(class, false)).collect();
    let mut positions = vec![0; counts.n_classes()];
    for (position, class) in smoothed.iter().enumerate() {
        positions[class.index] = position;
    }
    let (mut sum, mut squares) = (0.0, 0.0);
    let mut add = |weight: f64, influence: f64| {
        sum += weight * influence;
        squares += weight * influence * influence;
    };
    for (label, class) in smoothed.iter().enumerate() {
        let if_right = value(class) + right(class);
        for (predicted, lost) in as_predicted.iter().enumerate() {
            if predicted != label {
                add(elsewhere, as_label[label] - lost);
            }
        }
        add(on_diagonal, if_right);
        for &(_, predicted, n) in counts.of_label(class.index) {
            let predicted = positions[predicted as usize];
            let influence = if predicted == label {
                if_right
            } else {
                as_label[label] - as_predicted[predicted]
            };
            add(n as f64, influence);
        }
    }
    let mean = sum / n;
    let variance = (squares / n - mean * mean).max(0.0);
    let accuracy = smoothed.iter().map(|class| class.n_right).sum::<f64>() / n;
    (variance / (accuracy * (1.0 - accuracy))).sqrt()
}
