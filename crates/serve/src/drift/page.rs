//! Drift as series of Prometheus.

use trainyard_core::drift::{KolmogorovSmirnov, PopulationStability};
use trainyard_core::model::ModelManifest;

use super::{Drift, MAX_FEATURES, PredictionBins};
use crate::exposition::{Page, escaped, model_labels};

/// Stands for the features that have no series of their own: the largest drift of any of them.
const OTHERS: &str = "(others)";

/// What is told of a feature.
#[derive(Clone, Copy)]
struct Distances {
    stability: f64,
    distance: f64,
}

impl Drift {
    /// What is known of the drift of the model with this manifest, as a part of the page that Prometheus reads. Below the minimum of
    /// rows nothing is told but how many there are.
    pub(crate) fn page(&self, manifest: &ModelManifest) -> String {
        let mut page = Page::default();
        self.write(&model_labels(manifest), &mut page);
        page.into_text()
    }

    fn write(&self, label: &str, page: &mut Page) {
        if !self.is_measured() {
            return;
        }
        let latest = self.window.latest();
        page.family(
            "drift_rows",
            "gauge",
            "Rows that drift is measured on: the latest ones, of large requests a part.",
        );
        page.sample("drift_rows", label, latest.n_rows);
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
        let features = bounded(features.collect());
        family(
            page,
            "input_drift_psi",
            "Population stability index of a feature's latest values against training, less its expectation without drift.",
            label,
            &features,
            |distances| distances.stability,
        );
        family(
            page,
            "input_drift_ks",
            "Kolmogorov-Smirnov distance of a feature's latest values from training, over the bins of the training values.",
            label,
            &features,
            |distances| distances.distance,
        );
        let Some(predictions) = &self.predictions else {
            return;
        };
        let Some(distances) = compared(&predictions.reference, predictions.first) else {
            return;
        };
        page.family(
            "prediction_drift_psi",
            "gauge",
            "Population stability index of the latest predictions against those in training, less its expectation without drift.",
        );
        page.sample("prediction_drift_psi", label, distances.stability);
        // Classes have no order.
        if matches!(predictions.bins, PredictionBins::Values(_)) {
            page.family(
                "prediction_drift_ks",
                "gauge",
                "Kolmogorov-Smirnov distance of the latest predictions from those in training, over the bins of these.",
            );
            page.sample("prediction_drift_ks", label, distances.distance);
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

fn family(
    page: &mut Page,
    name: &str,
    help: &str,
    label: &str,
    features: &[(&str, Distances)],
    value: fn(&Distances) -> f64,
) {
    if features.is_empty() {
        return;
    }
    page.family(name, "gauge", help);
    for (feature, distances) in features {
        let labels = format!("{label},feature=\"{}\"", escaped(feature));
        page.sample(name, &labels, value(distances));
    }
}
