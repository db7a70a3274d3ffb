//! Every metric against scikit-learn: random rows, and the edges of each definition.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};
use trainyard_core::measurement::MetricKey;
use trainyard_core::metrics::ranking::RankedItems;
use trainyard_core::metrics::{
    ClassifiedRows, Measured, Scores, Scoring, ValuedRows, classify, rank, regress,
};
use trainyard_core::model::Loss;
use trainyard_core::scored_rows::{Column, Labels, ScoredRows};

use super::python_with;
use crate::support::{repository, run};

/// Relative: sums in another order, of a few hundred rows.
const TOLERANCE: f64 = 1e-9;

/// Where scikit-learn gives a number, with or without a warning, or NaN, and we say why there is none: the metric, our reason, and why.
const UNDEFINED: [(&[&str], &str, &str); 17] = [
    (
        &["precision"],
        "never predicted",
        "scikit-learn: 0, by `zero_division`",
    ),
    (
        &["recall"],
        "no labelled rows",
        "scikit-learn: 0, by `zero_division`",
    ),
    (
        &[
            "precision",
            "recall",
            "f1",
            "f_beta",
            "jaccard",
            "specificity",
            "roc_auc",
            "average_precision",
        ],
        "no labelled and no predicted rows",
        "such a class is named, not measured; scikit-learn: 0, or NaN",
    ),
    (
        &["specificity"],
        "no rows of other classes",
        "scikit-learn: 0, by `zero_division`",
    ),
    (
        &["roc_auc", "average_precision"],
        "no labelled rows",
        "scikit-learn: NaN, or 0 with a warning",
    ),
    (
        &["roc_auc", "average_precision"],
        "no rows of other classes",
        "every order is right; scikit-learn: NaN, or 1",
    ),
    (
        &["matthews_corrcoef"],
        "all labels are of one class",
        "0/0; scikit-learn: 0",
    ),
    (
        &["matthews_corrcoef"],
        "all predictions are of one class",
        "0/0; scikit-learn: 0",
    ),
    (
        &["cohen_kappa", "cohen_kappa_linear", "cohen_kappa_quadratic"],
        "all labels and predictions are of one class",
        "0/0; scikit-learn: NaN",
    ),
    (
        &["top_k_accuracy"],
        "no more classes than places",
        "it would be 1 whatever the model; scikit-learn: 1 with a warning",
    ),
    (
        &[
            "r2",
            "explained_variance",
            "d2_absolute_error",
            "d2_pinball",
        ],
        "all labels are equal",
        "x/0; scikit-learn: 0, or 1 without errors, or NaN for one row",
    ),
    (
        &["mape"],
        "label is 0",
        "x/0; scikit-learn: divides by 2.2e-16",
    ),
    (
        &["smape"],
        "row has a label and a prediction of 0",
        "0/0; not in scikit-learn",
    ),
    (
        &["poisson_deviance"],
        "row has a label below 0",
        "scikit-learn: an error",
    ),
    (
        &["poisson_deviance"],
        "rows have a label below 0",
        "scikit-learn: an error",
    ),
    (
        &["gamma_deviance"],
        "row has a label or a prediction that is not above 0",
        "scikit-learn: an error",
    ),
    (
        &["gamma_deviance"],
        "rows have a label or a prediction that is not above 0",
        "scikit-learn: an error",
    ),
];

/// Where both give a number, and another one: the kind of the difference, and why. The intended value comes from scikit-learn, too, on
/// other rows or classes, or from the definition.
const DIFFERENT: [(&str, &str); 3] = [
    (
        "weight",
        "a row of weight 0 is as if it were not there; scikit-learn counts its class in averages and its error in the largest one",
    ),
    (
        "classes",
        "averages over the classes that are labelled, and the report says how many; scikit-learn: NaN for ROC AUC, 0 for a class's \
         average precision",
    ),
    (
        "ties",
        "rows that tie for the last of the k places share it; scikit-learn goes by the order of the classes",
    ),
];

#[derive(Deserialize)]
struct Case {
    name: String,
    #[serde(default)]
    labels: Vec<u32>,
    #[serde(default)]
    predicted: Vec<u32>,
    #[serde(default)]
    n_classes: usize,
    #[serde(default)]
    scores: Option<Vec<f64>>,
    #[serde(default)]
    values: Vec<f64>,
    #[serde(default)]
    predicted_values: Vec<f64>,
    weights: Option<Vec<f64>>,
    /// With `k`: rows that are ranked within these groups.
    #[serde(default)]
    groups: Vec<String>,
    k: Option<u32>,
    /// Columns of predicted quantiles.
    #[serde(default)]
    quantiles: BTreeMap<String, Vec<f64>>,
    #[serde(default)]
    positive: Option<usize>,
    figures: Map<String, Value>,
    /// Metrics that should differ, with the kind of the difference and the value.
    intended: Map<String, Value>,
}

impl Case {
    fn measure(&self) -> Measured {
        let mut scoring = Scoring::new(Loss::MeanSquaredError, 0.95);
        scoring.quantile = 0.3;
        scoring.positive_class = self.positive.map(|class| class.to_string());
        if self.k.is_some() {
            scoring.ranking_k = self.k;
            let items = RankedItems {
                relevance: &self.values,
                scores: &self.predicted_values,
                groups: &self.groups,
            };
            return rank(&items, &scoring).unwrap();
        }
        if !self.quantiles.is_empty() {
            let numbers = |column: &[f64]| Labels::Value(column.to_vec());
            let (labels, predicted) = (numbers(&self.values), numbers(&self.predicted_values));
            let mut rows = ScoredRows::new(labels, predicted, Vec::new());
            rows.weights.clone_from(&self.weights);
            let columns = self.quantiles.clone().into_iter();
            rows.columns = columns
                .map(|(name, column)| (name, Column::Numbers(column)))
                .collect();
            return rows.measure(&scoring).unwrap();
        }
        let classes: Vec<String> = (0..self.n_classes).map(|class| class.to_string()).collect();
        if self.n_classes == 0 {
            let rows = ValuedRows {
                labels: &self.values,
                predicted: &self.predicted_values,
                objective: scoring.objective,
                weights: self.weights.as_deref(),
                groups: None,
            };
            return regress(&rows, &scoring).unwrap();
        }
        let rows = ClassifiedRows {
            labels: &self.labels,
            predicted: &self.predicted,
            scores: self.scores.as_deref().map(Scores::F64),
            classes: &classes,
            weights: self.weights.as_deref(),
            groups: None,
        };
        classify(&rows, &scoring).unwrap()
    }
}

#[test]
fn metrics_are_scikit_learns_but_for_the_differences_listed_here() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cases.json");
    let script = repository().join("tests/fixtures/scikit_learn/metrics.py");
    run(python_with("sklearn", "scikit-learn")
        .arg(script)
        .arg(&file));
    compare(&std::fs::read(&file).unwrap());
}

fn compare(file: &[u8]) {
    let cases: Vec<Case> = serde_json::from_slice(file).unwrap();
    let mut used = [false; UNDEFINED.len()];
    let mut kinds = BTreeSet::new();
    let (mut problems, mut n_compared) = (Vec::new(), 0);
    for case in &cases {
        let measured = case.measure();
        for (name, expected) in &case.figures {
            n_compared += 1;
            let key = match name.split_once('/') {
                Some((metric, class)) => MetricKey::of_class(metric, class),
                None => MetricKey::overall(name),
            };
            let place = format!("{}: {key}: scikit-learn {expected}", case.name);
            let found = measured.measurements.iter().find(|found| found.key == key);
            if let Some(found) = found {
                let intended = case.intended.get(name);
                if let Some(kind) = intended.and_then(|intended| intended[0].as_str()) {
                    kinds.insert(kind.to_owned());
                }
                let wanted = intended.map_or(expected, |intended| &intended[1]);
                if !is_close(found.value, wanted) {
                    problems.push(format!("{place}, intended {wanted}, ours {}", found.value));
                }
                continue;
            }
            let Some(reason) = measured.undefined.iter().find(|found| found.key == key) else {
                problems.push(format!("{place}, ours not there"));
                continue;
            };
            let reason = &reason.reason;
            let listed = UNDEFINED.iter().position(|(metrics, listed, _)| {
                metrics.contains(&key.metric.as_str()) && reason.ends_with(listed)
                    || reason.contains(listed) && metrics.contains(&key.metric.as_str())
            });
            match listed {
                Some(idx) => used[idx] = true,
                None => problems.push(format!("{place}, ours undefined: {reason}")),
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(cases.len() > 200 && n_compared > 10_000, "{n_compared}");
    let listed = DIFFERENT.map(|(kind, _)| kind.to_owned());
    assert_eq!(kinds, BTreeSet::from(listed));
    for (is_used, difference) in used.iter().zip(UNDEFINED) {
        assert!(is_used, "no case shows this difference: {difference:?}");
    }
}

fn is_close(found: f64, expected: &Value) -> bool {
    // Below a thousandth, sums that cancel have fewer digits.
    let is_close = |expected: f64| (found - expected).abs() <= TOLERANCE * expected.abs().max(1e-3);
    expected.as_f64().is_some_and(is_close)
}
