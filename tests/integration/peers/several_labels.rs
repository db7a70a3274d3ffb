//! Metrics of rows of several labels against scikit-learn: random rows, and the edges of each definition.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value};
use trainyard_core::measurement::MetricKey;
use trainyard_core::metrics::{Measured, Scoring};
use trainyard_core::model::Loss;
use trainyard_core::scored_rows::{Labels, ScoreTable, ScoredRows};
use trainyard_core::table::Table;

use super::python_with;
use crate::support::{repository, run};

/// Relative: sums in another order, of a few hundred rows.
const TOLERANCE: f64 = 1e-9;

/// Where scikit-learn gives a number, with or without a warning, or NaN, and we say why there is none: our reason, and why.
const UNDEFINED: [(&str, &str); 15] = [
    ("never predicted", "scikit-learn: 0, by `zero_division`"),
    (
        "no labelled rows",
        "scikit-learn: 0, by `zero_division`, or NaN",
    ),
    (
        "no labelled and no predicted rows",
        "such a class is named, not measured; scikit-learn: 0, or NaN",
    ),
    (
        "every row has it",
        "0/0, and every order is right; scikit-learn: 0, NaN, or 1",
    ),
    (
        "no row has a class",
        "0/0; scikit-learn: 0, by `zero_division`",
    ),
    (
        "no class is predicted for any row",
        "0/0; scikit-learn: 0, by `zero_division`",
    ),
    (
        "no row has a class, and none is predicted",
        "0/0; scikit-learn: 0, by `zero_division`",
    ),
    (
        "no class has both rows with it and rows without it",
        "every order is right; scikit-learn: NaN, 0 or 1",
    ),
    (
        "all classes are there in every row, or none in any",
        "every order is right; scikit-learn: NaN, 0 or 1",
    ),
    (
        "all labels are equal",
        "x/0; scikit-learn: 0, or 1 without errors, or NaN for one row",
    ),
    ("1 label is 0", "x/0; scikit-learn: divides by 2.2e-16"),
    ("labels are 0", "x/0; scikit-learn: divides by 2.2e-16"),
    ("a label and a prediction of 0", "0/0; not in scikit-learn"),
    (
        "a label below 0, or a prediction that is not above it",
        "scikit-learn: an error",
    ),
    (
        "a label or a prediction that is not above 0",
        "scikit-learn: an error",
    ),
];

/// Where both give a number, and another one: the kind of the difference, and why. The intended value comes from scikit-learn, too, on
/// other rows or classes.
const DIFFERENT: [(&str, &str); 2] = [
    (
        "weight",
        "a row of weight 0 is as if it were not there; scikit-learn counts its error in the largest one",
    ),
    (
        "classes",
        "averages over the classes that occur in labels or predictions, and of areas over those that some rows have and others have not; \
         scikit-learn: 0 for a class that occurs nowhere, NaN for an area that is not defined",
    ),
];

#[derive(Deserialize)]
struct Case {
    name: String,
    n_columns: usize,
    /// Labels and predictions of classes, row by row.
    sets: Option<[Vec<u8>; 2]>,
    /// Labels and predictions of outputs, row by row.
    values: Option<[Vec<f64>; 2]>,
    #[serde(default)]
    scores: Option<Vec<f64>>,
    weights: Option<Vec<f64>>,
    figures: Map<String, Value>,
    /// Metrics that should differ, with the kind of the difference and the value.
    intended: Map<String, Value>,
}

impl Case {
    fn rows(&self) -> ScoredRows {
        let n = self.n_columns;
        let names = (0..n).map(|column| column.to_string()).collect();
        let [labels, predicted] = match (&self.sets, &self.values) {
            (Some(sets), _) => sets.each_ref().map(|cells| {
                let cells = cells.iter().map(|&cell| cell == 1).collect();
                Labels::Sets(Table::new(cells, n).unwrap())
            }),
            (_, Some(values)) => values
                .each_ref()
                .map(|cells| Labels::Values(Table::new(cells.clone(), n).unwrap())),
            (None, None) => panic!("{} has no rows", self.name),
        };
        ScoredRows {
            scores: self.scores.clone().map(ScoreTable::F64),
            weights: self.weights.clone(),
            ..ScoredRows::new(labels, predicted, names)
        }
    }

    fn measure(&self) -> Measured {
        let scoring = Scoring {
            quantile: 0.3,
            ..Scoring::new(Loss::MeanSquaredError, 0.95)
        };
        self.rows().measure(&scoring).unwrap()
    }

    fn key(&self, name: &str) -> MetricKey {
        match (name.split_once('/'), &self.sets) {
            (Some((metric, class)), Some(_)) => MetricKey::of_class(metric, class),
            (Some((metric, output)), None) => MetricKey::of_output(metric, output),
            (None, _) => MetricKey::overall(name),
        }
    }
}

#[test]
fn metrics_of_several_labels_are_scikit_learns_but_for_the_differences_listed_here() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cases.json");
    let script = repository().join("tests/fixtures/scikit_learn/several_labels.py");
    run(python_with("sklearn", "scikit-learn")
        .arg(script)
        .arg(&file));
    let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let mut used = [false; UNDEFINED.len()];
    let mut kinds = BTreeSet::new();
    let (mut problems, mut n_compared) = (Vec::new(), 0);
    for case in &cases {
        let measured = case.measure();
        for (name, expected) in &case.figures {
            n_compared += 1;
            let key = case.key(name);
            let place = format!("{}: {key}: scikit-learn {expected}", case.name);
            if let Some(found) = measured.measurements.iter().find(|found| found.key == key) {
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
            let Some(absent) = measured.undefined.iter().find(|found| found.key == key) else {
                problems.push(format!("{place}, ours not there"));
                continue;
            };
            // Of an average: which output has no value.
            let reason = absent.reason.split_once("`: ");
            let reason = reason.map_or(absent.reason.as_str(), |(_, reason)| reason);
            let listed = UNDEFINED.iter().position(|(listed, _)| {
                reason == *listed || key.class.is_none() && reason.ends_with(listed)
            });
            match listed {
                Some(idx) => used[idx] = true,
                None => problems.push(format!("{place}, ours undefined: {reason}")),
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let n_random = |kind: &str| {
        let begin = format!("{kind}: random");
        cases
            .iter()
            .filter(|case| case.name.starts_with(&begin))
            .count()
    };
    assert!(n_random("sets") >= 200 && n_random("numbers") >= 200);
    assert!(n_compared > 15_000, "{n_compared}");
    assert_eq!(kinds, DIFFERENT.map(|(kind, _)| kind.to_owned()).into());
    for (is_used, difference) in used.iter().zip(UNDEFINED) {
        assert!(is_used, "no case shows this difference: {difference:?}");
    }
}

fn is_close(found: f64, expected: &Value) -> bool {
    // Below a thousandth, sums that cancel have fewer digits.
    let is_close = |expected: f64| (found - expected).abs() <= TOLERANCE * expected.abs().max(1e-3);
    expected.as_f64().is_some_and(is_close)
}
