//! Drift as series of Prometheus.

use trainyard_core::drift::{KolmogorovSmirnov, PopulationStability};

use super::{Drift, MAX_FEATURES, PredictionBins};
use crate::exposition::{Page, escaped};

/// Stands for the features that have no series of their own: the largest drift of any of them.
const OTHERS: &str = "(others)";

/// What is told of a feature.
#[derive(Clone, Copy)]
struct Distances {
    stability: f64,
    distance: f64,
}

/// What is told of a model.
struct Told<'a> {
    label: &'a str,
    n_rows: u64,
    features: Vec<(&'a str, Distances)>,
    predictions: Option<Distances>,
    /// Whether what is predicted has an order: classes have none.
    are_ordered: bool,
}

impl Drift {
    fn told<'a>(&'a self, label: &'a str) -> Told<'a> {
        let latest = self.window.latest();
        let compared = |reference: &[u64], first: usize| {
            let today = &latest.counts[first..first + reference.len()];
            if today.iter().sum::<u64>() < self.min_rows {
                return None;
            }
            Some(Distances {
                stability: PopulationStability::between(reference, today)?.excess(),
                distance: KolmogorovSmirnov::between(reference, today)?.distance,
            })
        };
        let features = self.features.iter().filter_map(|feature| {
            let distances = compared(&feature.reference.counts, feature.first)?;
            Some((feature.name.as_str(), distances))
        });
        let predictions = self.predictions.as_ref();
        Told {
            label,
            n_rows: latest.n_rows,
            features: bounded(features.collect()),
            predictions: predictions.and_then(|it| compared(&it.reference, it.first)),
            are_ordered: predictions.is_some_and(|it| matches!(it.bins, PredictionBins::Values(_))),
        }
    }
}

/// Appends what is known of the drift of models, each with the labels that its series carry. Below the minimum of rows nothing is told but
/// how many there are.
pub(crate) fn write(models: &[(&str, &Drift)], page: &mut Page) {
    let measured = models.iter().filter(|(_, drift)| drift.is_measured());
    let told: Vec<Told<'_>> = measured.map(|(label, drift)| drift.told(label)).collect();
    if told.is_empty() {
        return;
    }
    page.family(
        "drift_rows",
        "gauge",
        "Rows that drift is measured on: the latest ones, of large requests a part.",
    );
    for it in &told {
        page.sample("drift_rows", it.label, it.n_rows);
    }
    of_features(
        page,
        "input_drift_psi",
        "Population stability index of a feature's latest values against training, less its expectation without drift.",
        &told,
        |distances| distances.stability,
    );
    of_features(
        page,
        "input_drift_ks",
        "Kolmogorov-Smirnov distance of a feature's latest values from training, over the bins of the training values.",
        &told,
        |distances| distances.distance,
    );
    let predicted = told.iter().filter_map(|it| Some((it, it.predictions?)));
    let predicted: Vec<(&Told<'_>, Distances)> = predicted.collect();
    if !predicted.is_empty() {
        page.family(
            "prediction_drift_psi",
            "gauge",
            "Population stability index of the latest predictions against those in training, less its expectation without drift.",
        );
        for (it, distances) in &predicted {
            page.sample("prediction_drift_psi", it.label, distances.stability);
        }
    }
    if predicted.iter().any(|(it, _)| it.are_ordered) {
        page.family(
            "prediction_drift_ks",
            "gauge",
            "Kolmogorov-Smirnov distance of the latest predictions from those in training, over the bins of these.",
        );
        for (it, distances) in predicted.iter().filter(|(it, _)| it.are_ordered) {
            page.sample("prediction_drift_ks", it.label, distances.distance);
        }
    }
}

/// At most [`MAX_FEATURES`]: the first in the order of the columns, and the worst of the others as one.
fn bounded(mut features: Vec<(&str, Distances)>) -> Vec<(&str, Distances)> {
    if features.len() > MAX_FEATURES {
        let others = features.split_off(MAX_FEATURES - 1);
        let worst = others.into_iter().map(|(_, distances)| distances);
        let worst = worst.reduce(|worst, other| Distances {
            stability: worst.stability.max(other.stability),
            distance: worst.distance.max(other.distance),
        });
        features.extend(worst.map(|worst| (OTHERS, worst)));
    }
    features
}

fn of_features(
    page: &mut Page,
    name: &str,
    help: &str,
    told: &[Told<'_>],
    value: fn(&Distances) -> f64,
) {
    if told.iter().all(|it| it.features.is_empty()) {
        return;
    }
    page.family(name, "gauge", help);
    for it in told {
        for (feature, distances) in &it.features {
            let labels = format!("{},feature=\"{}\"", it.label, escaped(feature));
            page.sample(name, &labels, value(distances));
        }
    }
}
