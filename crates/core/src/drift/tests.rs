use serde::Deserialize;

use super::*;
use crate::model::RowSummary;

/// Another order of summation differs in the last digits.
const TOLERANCE: f64 = 1e-11;

/// `tests/fixtures/drift/golden.py` writes it, from SciPy and NumPy.
const GOLDEN: &str = include_str!("../../../../tests/fixtures/drift/golden.json");

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
    simulated: Vec<Simulated>,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Case {
    reference: Vec<u64>,
    today: Vec<u64>,
    index: f64,
    expected: f64,
    distance: f64,
    p_value: f64,
}

#[derive(Deserialize)]
struct Simulated {
    n_bins: u64,
    n: u64,
    m: u64,
    mean: f64,
    standard_error: f64,
}

#[derive(Deserialize)]
struct Row {
    values: Vec<f32>,
    mean: f64,
    std: f64,
}

fn golden() -> Golden {
    serde_json::from_str(GOLDEN).unwrap()
}

#[test]
fn distances_are_those_of_scipy() {
    let cases = golden().cases;
    assert!(cases.len() > 100);
    for case in cases {
        let index = PopulationStability::between(&case.reference, &case.today).unwrap();
        let test = KolmogorovSmirnov::between(&case.reference, &case.today).unwrap();
        for (ours, theirs) in [
            (index.index, case.index),
            (index.expected, case.expected),
            (test.distance, case.distance),
            (test.p_value, case.p_value),
        ] {
            assert!(
                (ours - theirs).abs() <= TOLERANCE * theirs.max(1.0),
                "{ours} instead of {theirs}: {:?} {:?}",
                case.reference,
                case.today
            );
        }
    }
}

/// NumPy's simulation of the index without drift, whose mean the expectation is: to within four standard errors and the terms of second
/// order, which the formula leaves out.
#[test]
fn the_expectation_is_the_mean_of_a_simulation() {
    const SECOND_ORDER: f64 = 0.03;
    for Simulated {
        n_bins,
        n,
        m,
        mean,
        standard_error,
    } in golden().simulated
    {
        let counts = |n: u64| vec![n; n_bins as usize];
        let expected = (n_bins - 1) as f64 * (1.0 / n as f64 + 1.0 / m as f64);
        assert!(
            (mean - expected).abs() < 4.0 * standard_error + SECOND_ORDER * expected,
            "{mean} instead of {expected}"
        );
        // The function's own, at totals of `n_bins` times as many.
        let ours = PopulationStability::between(&counts(m), &counts(n)).unwrap();
        assert!((ours.expected * n_bins as f64 - expected).abs() < TOLERANCE);
        assert!((ours.excess() + ours.expected).abs() < TOLERANCE);
    }
}

#[test]
fn nothing_is_said_of_no_rows_or_of_other_bins() {
    for (reference, today) in [
        (&[0, 0][..], &[1, 2][..]),
        (&[1, 2], &[0, 0]),
        (&[1], &[1, 2]),
        (&[], &[]),
    ] {
        assert_eq!(PopulationStability::between(reference, today), None);
        assert_eq!(KolmogorovSmirnov::between(reference, today), None);
    }
}

#[test]
fn both_series_of_kolmogorovs_distribution_meet() {
    assert!((kolmogorov_tail(1.0 - 1e-9) - kolmogorov_tail(1.0)).abs() < 1e-8);
    assert_eq!((kolmogorov_tail(0.0), kolmogorov_tail(40.0)), (1.0, 0.0));
}

#[test]
fn rare_classes_share_a_bin() {
    assert_eq!(class_bins(&[5, 9, 1], 3), [0, 1, 2]);
    assert_eq!(class_bins(&[5, 9, 1, 7, 5], 3), [2, 0, 2, 1, 2]);
}

#[test]
fn a_row_is_summarised_as_numpy_does() {
    for Row { values, mean, std } in golden().rows {
        let (ours_mean, ours_std) = RowSummary::of_row(&values).unwrap();
        assert!(
            (ours_mean - mean).abs() <= 1e-12 * mean.abs(),
            "{ours_mean} {mean}"
        );
        assert!((ours_std - std).abs() <= 1e-9 * std, "{ours_std} {std}");
    }
    assert_eq!(RowSummary::of_row(&[]), None);
    assert_eq!(RowSummary::of_row(&[1.0, f32::NAN]), None);
}
