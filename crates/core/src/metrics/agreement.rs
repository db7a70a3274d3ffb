//! How far labels and predicted classes agree beyond chance: Matthews' correlation and Cohen's kappa.

use super::confusion::BY_INFLUENCE;
use super::estimate::{Computed, mean, undefined};
use super::metric::{Compute, Metric, Shown};
use super::tally::Tally;
use crate::measurement::{Direction, Unit};
use crate::prediction_task::PredictionTask;

const fn metric(
    name: &'static str,
    aliases: &'static [&'static str],
    definition: &'static str,
    source: &'static str,
    shown: Shown,
    compute: fn(&Tally, f64) -> Computed,
) -> Metric {
    Metric {
        name,
        aliases,
        unit: Unit::None,
        direction: Direction::HigherIsBetter,
        task: PredictionTask::Classification,
        definition,
        interval: BY_INFLUENCE,
        source,
        range: (-1.0, 1.0),
        shown,
        compute: Compute::Confusion(compute),
    }
}

pub(super) static METRICS: &[Metric] = &[
    metric(
        "matthews_corrcoef",
        &["mcc", "matthews"],
        "Matthews correlation coefficient; with more than two classes Gorodkin's R_K. Undefined if all labels, or all predictions, are of one class.",
        "scikit-learn `matthews_corrcoef`",
        Shown::Headline,
        matthews,
    ),
    metric(
        "cohen_kappa",
        &["kappa", "cohen_kappa_score"],
        "Cohen's kappa: (observed - expected agreement) / (1 - expected agreement). Undefined if all labels and predictions are of one class.",
        "scikit-learn `cohen_kappa_score`",
        Shown::Details,
        |tally, confidence| kappa(Weights::None, tally, confidence),
    ),
    metric(
        "cohen_kappa_linear",
        &["kappa_linear"],
        "Cohen's kappa with disagreements weighted by how many classes they are apart, in the order of the classes.",
        "scikit-learn `cohen_kappa_score` with `weights=\"linear\"`",
        Shown::Details,
        |tally, confidence| kappa(Weights::Linear, tally, confidence),
    ),
    metric(
        "cohen_kappa_quadratic",
        &["kappa_quadratic", "quadratic_weighted_kappa"],
        "Cohen's kappa with disagreements weighted by the square of how many classes they are apart, in the order of the classes.",
        "scikit-learn `cohen_kappa_score` with `weights=\"quadratic\"`",
        Shown::Details,
        |tally, confidence| kappa(Weights::Quadratic, tally, confidence),
    ),
];

/// Shares of labels and of predictions by class.
fn margins(tally: &Tally) -> (Vec<f64>, Vec<f64>) {
    (0..tally.n_classes())
        .map(|class| {
            let (labelled, predicted, _) = tally.shares(class);
            (labelled, predicted)
        })
        .unzip()
}

/// The class that holds all labels, and the one that holds all predictions.
fn only_classes(tally: &Tally) -> (Option<usize>, Option<usize>) {
    let (counts, n) = (tally.counts(), tally.counts().n_rows());
    let mut classes = 0..tally.n_classes();
    (
        classes.clone().find(|&class| counts.n_labelled(class) == n),
        classes.find(|&class| counts.n_predicted(class) == n),
    )
}

/// J. Gorodkin (2004), "Comparing two K-category assignments by a K-category correlation coefficient", Computational Biology and
/// Chemistry 28, 367–374.
fn matthews(tally: &Tally, confidence: f64) -> Computed {
    match only_classes(tally) {
        (Some(_), _) => return undefined("all labels are of one class"),
        (None, Some(_)) => return undefined("all predictions are of one class"),
        (None, None) => {}
    }
    let (labelled, predicted) = margins(tally);
    let products = |left: &[f64], right: &[f64]| -> f64 {
        left.iter()
            .zip(right)
            .map(|(left, right)| left * right)
            .sum()
    };
    let right: f64 = tally
        .cells()
        .map(|(label, predicted, share)| if label == predicted { share } else { 0.0 })
        .sum();
    let by_chance = products(&labelled, &predicted);
    let (same_label, same_predicted) = (
        products(&labelled, &labelled),
        products(&predicted, &predicted),
    );
    let (label_spread, predicted_spread) = (1.0 - same_label, 1.0 - same_predicted);
    let scale = (label_spread * predicted_spread).sqrt();
    let value = (right - by_chance) / scale;
    let all = 0..tally.counts().cells().len();
    let moments = tally.spread(value, all, |label, guess| {
        let is_right = f64::from(u8::from(label == guess));
        let covariance = is_right - right - (predicted[label] + labelled[guess] - 2.0 * by_chance);
        let of_labels = -2.0 * (labelled[label] - same_label) / label_spread;
        let of_predictions = -2.0 * (predicted[guess] - same_predicted) / predicted_spread;
        covariance / scale - value / 2.0 * (of_labels + of_predictions)
    });
    mean(moments, tally.counts().n_rows(), confidence)
}

/// How much a disagreement counts, by how many classes it is apart.
#[derive(Debug, Clone, Copy)]
enum Weights {
    None,
    Linear,
    Quadratic,
}

impl Weights {
    fn of(self, label: usize, predicted: usize) -> f64 {
        let distance = label.abs_diff(predicted) as f64;
        match self {
            Self::None => f64::from(u8::from(label != predicted)),
            Self::Linear => distance,
            Self::Quadratic => distance * distance,
        }
    }

    /// The expected weight of each class against one drawn with these shares.
    fn expected(self, shares: &[f64]) -> Vec<f64> {
        let total: f64 = shares.iter().sum();
        let positions = || {
            shares
                .iter()
                .enumerate()
                .map(|(i, share)| (i as f64, share))
        };
        let mean: f64 = positions().map(|(i, share)| i * share).sum();
        let squares: f64 = positions().map(|(i, share)| i * i * share).sum();
        let mut below = (0.0, 0.0);
        positions()
            .map(|(i, share)| match self {
                Self::None => total - share,
                Self::Quadratic => i * i * total - 2.0 * i * mean + squares,
                Self::Linear => {
                    // Of the classes below, and of those above.
                    let (share_below, mean_below) = below;
                    below = (share_below + share, mean_below + i * share);
                    let (share_above, mean_above) = (total - below.0, mean - below.1);
                    i * share_below - mean_below + mean_above - i * share_above
                }
            })
            .collect()
    }
}

/// J. Cohen (1968), "Weighted kappa", Psychological Bulletin 70, 213–220.
fn kappa(weights: Weights, tally: &Tally, confidence: f64) -> Computed {
    if let (Some(label), Some(predicted)) = only_classes(tally)
        && label == predicted
    {
        return undefined("all labels and predictions are of one class");
    }
    let (labelled, predicted) = margins(tally);
    let (of_label, of_predicted) = (weights.expected(&predicted), weights.expected(&labelled));
    let expected: f64 = labelled
        .iter()
        .zip(&of_label)
        .map(|(share, weight)| share * weight)
        .sum();
    let observed: f64 = tally
        .cells()
        .map(|(label, predicted, share)| share * weights.of(label, predicted))
        .sum();
    let value = 1.0 - observed / expected;
    let all = 0..tally.counts().cells().len();
    let moments = tally.spread(value, all, |label, guess| {
        let of_observed = weights.of(label, guess) - observed;
        let of_expected = of_label[label] + of_predicted[guess] - 2.0 * expected;
        -(of_observed - observed / expected * of_expected) / expected
    });
    mean(moments, tally.counts().n_rows(), confidence)
}
