//! Our statistics against the values of other implementations, which `tests/fixtures/statistics/golden.py` writes and names.

use serde::Deserialize;

use super::{
    Fold, NoInterval, NoRoc, Roc, RocDifference, benjamini_hochberg, holm, k_fold_interval,
    quantile_interval,
};

/// Peers round in the last digits of sums of a few rows.
const TOLERANCE: f64 = 1e-11;

#[derive(Deserialize)]
struct Golden {
    curves: Vec<Curve>,
    families: Vec<Family>,
    quantiles: Vec<Quantile>,
    cross_validations: Vec<CrossValidation>,
}

#[derive(Deserialize)]
struct Curve {
    labels: Vec<u8>,
    new: Vec<f64>,
    old: Vec<f64>,
    expected: Option<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    area: f64,
    average_precision: f64,
    variance: f64,
    difference: f64,
    variance_of_difference: f64,
}

#[derive(Deserialize)]
struct Family {
    p_values: Vec<f64>,
    holm: Vec<f64>,
    benjamini_hochberg: Vec<f64>,
}

#[derive(Deserialize)]
struct Quantile {
    n: u32,
    quantile: f64,
    confidence: f64,
    lower: Option<f64>,
    upper: Option<f64>,
}

#[derive(Deserialize)]
struct CrossValidation {
    scores: Vec<f64>,
    n_train: Vec<u64>,
    n_test: Vec<u64>,
    confidence: f64,
    lower: f64,
    upper: f64,
}

fn golden() -> Golden {
    let text = include_str!("../../../../tests/fixtures/statistics/golden.json");
    serde_json::from_str(text).unwrap()
}

fn near(found: f64, expected: f64, what: &str) {
    assert!(
        (found - expected).abs() <= TOLERANCE,
        "{what}: {found} is not {expected}"
    );
}

#[test]
fn curves_match_scikit_learn_and_mlstatkit() {
    for (index, curve) in golden().curves.into_iter().enumerate() {
        let labels = || curve.labels.iter().map(|&label| label == 1);
        let roc = Roc::of(labels().zip(curve.new.iter().copied()));
        let scores = curve.new.iter().zip(&curve.old);
        let paired = RocDifference::of(
            labels()
                .zip(scores)
                .map(|(label, (&new, &old))| (label, new, old)),
        );
        let Some(expected) = curve.expected else {
            let reason = if labels().all(|label| label) {
                NoRoc::NoNegatives
            } else {
                NoRoc::NoPositives
            };
            assert_eq!(roc.unwrap_err(), reason);
            assert_eq!(paired.unwrap_err(), reason);
            continue;
        };
        let (roc, paired) = (roc.unwrap(), paired.unwrap());
        let what = format!("curve {index}");
        near(roc.area, expected.area, &what);
        near(roc.average_precision, expected.average_precision, &what);
        near(roc.variance(), expected.variance, &what);
        near(paired.difference(), expected.difference, &what);
        near(paired.variance(), expected.variance_of_difference, &what);
        // None has no width, and none is outside its range.
        if roc.n_positives.min(roc.n_negatives) >= 5 {
            let interval = roc.interval(0.95).unwrap();
            assert!(
                0.0 <= interval.lower && interval.lower <= roc.area,
                "{what}"
            );
            assert!(
                roc.area <= interval.upper && interval.upper <= 1.0,
                "{what}"
            );
            assert!(interval.lower < interval.upper, "{what}");
            let interval = paired.interval(0.95).unwrap();
            assert!(
                -1.0 <= interval.lower && interval.lower < interval.upper,
                "{what}"
            );
            assert!(interval.upper <= 1.0, "{what}");
        }
    }
}

#[test]
fn adjusted_p_values_match_statsmodels() {
    for family in golden().families {
        for (found, expected) in [
            (holm(&family.p_values), family.holm),
            (
                benjamini_hochberg(&family.p_values),
                family.benjamini_hochberg,
            ),
        ] {
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.into_iter().zip(expected) {
                near(found, expected, &format!("{:?}", family.p_values));
            }
        }
    }
}

#[test]
fn quantile_intervals_match_scipy() {
    for Quantile {
        n,
        quantile,
        confidence,
        lower,
        upper,
    } in golden().quantiles
    {
        let values: Vec<f64> = (1..=n).map(f64::from).collect();
        let found = quantile_interval(&values, quantile, confidence);
        let what = format!("{n} rows, {quantile}, {confidence}");
        if let (Some(lower), Some(upper)) = (lower, upper) {
            let found = found.unwrap();
            assert_eq!((found.lower, found.upper), (lower, upper), "{what}");
        } else {
            let reason = found.unwrap_err();
            assert!(matches!(reason, NoInterval::TooFewRows { .. }), "{what}");
        }
    }
}

#[test]
fn cross_validations_match_their_formula() {
    for (index, case) in golden().cross_validations.into_iter().enumerate() {
        let folds: Vec<Fold> = case
            .scores
            .iter()
            .zip(case.n_train.iter().zip(&case.n_test))
            .map(|(&score, (&n_train, &n_test))| Fold {
                score,
                n_train,
                n_test,
            })
            .collect();
        let interval = k_fold_interval(&folds, case.confidence).unwrap();
        near(interval.lower, case.lower, &format!("case {index}"));
        near(interval.upper, case.upper, &format!("case {index}"));
    }
}
