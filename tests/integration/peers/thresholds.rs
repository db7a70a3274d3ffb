//! Thresholds by their aim against scikit-learn's `precision_recall_curve` and `roc_curve`.

use serde::Deserialize;
use trainyard_core::threshold::{Aim, ThresholdAim};

use super::python_with;
use crate::support::{repository, run};

#[derive(Deserialize)]
struct Case {
    y: Vec<u8>,
    scores: Vec<f64>,
    aim: Aim,
    at: Option<f64>,
    threshold: Option<f64>,
    value: f64,
}

#[test]
fn thresholds_are_those_of_scikit_learns_curves() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cases.json");
    let script = repository().join("tests/fixtures/scikit_learn/thresholds.py");
    run(python_with("sklearn", "scikit-learn")
        .arg(script)
        .arg(&file));
    let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(cases.len(), 1000);
    let mut n_unmet = 0;
    for (idx, case) in cases.iter().enumerate() {
        let Case {
            y,
            scores,
            aim,
            at,
            threshold,
            value,
        } = case;
        let rows = y.iter().zip(scores);
        let rows = rows.map(|(&y, &score)| (y == 1, score, 1.0));
        let choice = ThresholdAim { aim: *aim, at: *at }.choose(rows).unwrap();
        let found = choice.ok().map(|(threshold, _)| threshold);
        assert_eq!(found, *threshold, "case {idx}: {aim:?} at {at:?}");
        let found = choice.map_or_else(|best| best, |(_, value)| value);
        // Sums of a few rounded quotients.
        assert!(
            (found - value).abs() < 1e-12,
            "case {idx}: {found} is not {value}"
        );
        n_unmet += u32::from(threshold.is_none());
    }
    assert!(n_unmet > 10, "{n_unmet} aims that no threshold meets");
}
