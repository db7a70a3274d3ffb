use super::*;
use crate::measurement::{Measurement, MetricKey};
use crate::model::Loss;

/// With the defaults.
const SCORING: Scoring = Scoring::new(Loss::MeanSquaredError, 0.95);

fn classes(n: usize) -> Vec<String> {
    (0..n).map(|class| class.to_string()).collect()
}

fn rows<'a>(labels: &'a [u32], predicted: &'a [u32], classes: &'a [String]) -> ClassifiedRows<'a> {
    ClassifiedRows {
        labels,
        predicted,
        scores: None,
        classes,
        weights: None,
        groups: None,
    }
}

fn value(measured: &Measured, key: &MetricKey) -> f64 {
    let found = measured.measurements.iter().find(|found| found.key == *key);
    found.unwrap_or_else(|| panic!("no `{key}`")).value
}

fn overall(measured: &Measured, name: &str) -> f64 {
    value(measured, &MetricKey::overall(name))
}

fn reason<'a>(measured: &'a Measured, key: &MetricKey) -> &'a str {
    let found = measured.undefined.iter().find(|found| found.key == *key);
    &found.unwrap_or_else(|| panic!("`{key}` is defined")).reason
}

#[track_caller]
fn close(left: f64, right: f64) {
    assert!((left - right).abs() < 1e-12, "{left} is not {right}");
}

/// Independent source: scikit-learn 1.9 `classification_report` and `log_loss` on these rows.
#[test]
fn figures_match_scikit_learn() {
    let labels = [0, 0, 1, 1, 2, 2, 2];
    let scores: [f64; 21] = [
        0.7, 0.2, 0.1, 0.3, 0.6, 0.1, 0.1, 0.8, 0.1, 0.2, 0.5, 0.3, 0.1, 0.2, 0.7, 0.2, 0.2, 0.6,
        0.5, 0.3, 0.2,
    ];
    let scores = Scores::F64(&scores);
    let predicted = predictions(scores, 3);
    assert_eq!(predicted, [0, 1, 1, 1, 2, 2, 0]);
    let classes = classes(3);
    let rows = ClassifiedRows {
        scores: Some(scores),
        ..rows(&labels, &predicted, &classes)
    };
    let measured = classify(&rows, &SCORING).unwrap();
    close(overall(&measured, "accuracy"), 5.0 / 7.0);
    close(
        overall(&measured, "precision_macro"),
        (0.5 + 2.0 / 3.0 + 1.0) / 3.0,
    );
    close(
        overall(&measured, "recall_macro"),
        (0.5 + 1.0 + 2.0 / 3.0) / 3.0,
    );
    close(overall(&measured, "f1_macro"), (0.5 + 0.8 + 0.8) / 3.0);
    let loss = -[0.7_f64, 0.3, 0.8, 0.5, 0.7, 0.6, 0.2]
        .iter()
        .map(|p| p.ln())
        .sum::<f64>()
        / 7.0;
    close(overall(&measured, "loss"), loss);
    close(overall(&measured, "log_loss"), loss);
    assert_eq!(measured.misses, [1, 6]);
    assert_eq!(
        measured.confusion.unwrap().counts().cells(),
        [(0, 0, 1), (0, 1, 1), (1, 1, 2), (2, 0, 1), (2, 2, 2)]
    );
}

/// Independent source: scikit-learn 1.9, `log_loss([0, 1], [[0, 1], [0, 1]])` on f64 is 18.02…, half of
/// -ln(2.2e-16); Keras clips to 1e-7, so its loss is half of -ln(1e-7), plus 5e-8 for the certain right row.
#[test]
fn a_certain_wrong_row_costs_what_keras_and_scikit_learn_say() {
    let names = classes(2);
    let rows = ClassifiedRows {
        scores: Some(Scores::F64(&[0.0, 1.0, 0.0, 1.0])),
        ..rows(&[0, 1], &[1, 1], &names)
    };
    let measured = classify(&rows, &SCORING).unwrap();
    close(overall(&measured, "log_loss"), 18.021_826_694_558_577);
    assert!((overall(&measured, "loss") - 8.059_047_8).abs() < 1e-6);
}

/// Independent source: scikit-learn 1.9 with `labels=None`: only classes in labels or predictions count, 0/0 as 0.
/// `precision_score([0, 0, 1], [0, 2, 1], average="macro")` is 2/3, `recall_score` 1/2, `f1_score` 5/9.
#[test]
fn averages_are_over_the_classes_that_occur() {
    let names = classes(5);
    let measured = classify(&rows(&[0, 0, 1], &[0, 2, 1], &names), &SCORING).unwrap();
    close(overall(&measured, "precision_macro"), 2.0 / 3.0);
    close(overall(&measured, "recall_macro"), 0.5);
    close(overall(&measured, "f1_macro"), 5.0 / 9.0);
    let of = |metric, class| MetricKey::of_class(metric, class);
    // Only predicted: recall has no rows, F1 is 0.
    assert_eq!(reason(&measured, &of("recall", "2")), "no labelled rows");
    close(value(&measured, &of("f1", "2")), 0.0);
    // In neither: nothing is defined, and the class is named.
    for metric in ["precision", "recall", "f1"] {
        assert_eq!(
            reason(&measured, &of(metric, "4")),
            "no labelled and no predicted rows"
        );
    }
    assert_eq!(measured.confusion.unwrap().absent_classes(), ["3", "4"]);
    let measured = classify(&rows(&[0, 1], &[0, 0], &names), &SCORING).unwrap();
    assert_eq!(reason(&measured, &of("precision", "1")), "never predicted");
}

/// Independent source: SciPy 1.17 `binomtest(2, 2).proportion_ci(0.99, method="exact")` is 0.0707 to 1. The class has ten
/// rows, of which two are predicted as it: the rows behind its precision are those two.
#[test]
fn the_rows_behind_a_precision_are_those_predicted() {
    let labels = [vec![0; 10], vec![1; 10]].concat();
    let predicted = [vec![0; 2], vec![1; 18]].concat();
    let names = classes(2);
    let measured = classify(&rows(&labels, &predicted, &names), &SCORING).unwrap();
    let key = MetricKey::of_class("precision", "0");
    let precision = measured
        .measurements
        .iter()
        .find(|found| found.key == key)
        .unwrap();
    assert_eq!(precision.n_rows, Some(2));
    let interval = interval_at(precision, measured.confusion.as_ref(), 0.99).unwrap();
    assert!(
        (interval.lower - 0.070_710_678).abs() < 1e-8,
        "{interval:?}"
    );
    assert_eq!(interval.upper, 1.0);
}

#[test]
fn an_average_has_its_interval_at_any_level_and_a_foreign_metric_says_why_not() {
    let labels: Vec<u32> = (0..400).map(|row| row % 2).collect();
    let predicted: Vec<u32> = (0..400)
        .map(|row| (row % 2) ^ u32::from(row % 10 == 0))
        .collect();
    let names = classes(2);
    let measured = classify(&rows(&labels, &predicted, &names), &SCORING).unwrap();
    let find = |name: &str| {
        let key = MetricKey::overall(name);
        measured
            .measurements
            .iter()
            .find(|found| found.key == key)
            .unwrap()
    };
    let confusion = measured.confusion.as_ref();
    let width = |level| {
        let interval = interval_at(find("f1_macro"), confusion, level).unwrap();
        interval.upper - interval.lower
    };
    assert!(width(0.99) > width(0.95) && width(0.95) > width(0.8));
    let without = interval_at(find("f1_macro"), None, 0.99).unwrap_err();
    assert!(
        without.to_string().contains("[evaluate] confidence = 0.99"),
        "{without}"
    );
    let foreign = Measurement::bare(MetricKey::overall("score"), 0.5, None, None);
    assert_eq!(interval_at(&foreign, None, 0.95), Err(IntervalError::None));
}

#[test]
fn what_is_not_a_prediction_is_refused() {
    let names = classes(2);
    let bad = |scores: &[f64]| {
        let rows = ClassifiedRows {
            scores: Some(Scores::F64(scores)),
            ..rows(&[0], &[0], &names)
        };
        classify(&rows, &SCORING).unwrap_err()
    };
    assert!(matches!(
        bad(&[f64::NAN, 0.5]),
        MetricError::NotFinite {
            row: 0,
            column: 0,
            ..
        }
    ));
    assert!(matches!(
        bad(&[3.0, -2.0]),
        MetricError::NotProbabilities { .. }
    ));
    assert!(matches!(bad(&[1.0]), MetricError::Lengths { .. }));
    assert_eq!(
        classify(&rows(&[], &[], &names), &SCORING),
        Err(MetricError::NoRows)
    );
    assert!(matches!(
        classify(&rows(&[2], &[0], &names), &SCORING),
        Err(MetricError::Label { label: 2, .. })
    ));
}

fn valued<'a>(labels: &'a [f64], predicted: &'a [f64]) -> ValuedRows<'a> {
    ValuedRows {
        labels,
        predicted,
        objective: Loss::MeanSquaredError,
        weights: None,
        groups: None,
    }
}

/// Independent source: scikit-learn's documentation of `mean_squared_error`, `mean_absolute_error` and `r2_score`,
/// whose examples use these rows (0.375, 0.5 and 0.948…).
#[test]
fn figures_of_numbers_match_scikit_learns_documentation() {
    let measured = regress(
        &valued(&[3.0, -0.5, 2.0, 7.0], &[2.5, 0.0, 2.0, 8.0]),
        &SCORING,
    )
    .unwrap();
    assert_eq!(overall(&measured, "mse"), 0.375);
    assert_eq!(overall(&measured, "mae"), 0.5);
    close(overall(&measured, "r2"), 0.948_608_137_044_967_9);
    close(overall(&measured, "rmse"), 0.612_372_435_695_794_5);
}

/// By hand: each prediction is off by 25 at a magnitude of 1e9, beyond what single precision holds.
#[test]
fn predictions_of_large_numbers_keep_every_digit() {
    let labels: Vec<f64> = (0..8).map(|row| 1e9 + f64::from(row) * 10.0).collect();
    let off: Vec<f64> = labels.iter().map(|label| label + 25.0).collect();
    let measured = regress(&valued(&labels, &off), &SCORING).unwrap();
    close(overall(&measured, "mae"), 25.0);
    let perfect = regress(&valued(&labels, &labels), &SCORING).unwrap();
    assert_eq!(overall(&perfect, "r2"), 1.0);
}

/// Independent source: Keras 3 `Huber()` of errors 0.5 and 3 is (0.125 + 2.5) / 2.
#[test]
fn loss_is_what_training_minimised() {
    let loss = |objective| {
        let rows = ValuedRows {
            objective,
            ..valued(&[0.0, 0.0], &[0.5, -3.0])
        };
        overall(&regress(&rows, &SCORING).unwrap(), "loss")
    };
    close(loss(Loss::MeanSquaredError), 4.625);
    close(loss(Loss::MeanAbsoluteError), 1.75);
    close(loss(Loss::Huber), 1.3125);
}

#[test]
fn what_has_no_value_says_why() {
    let measured = regress(&valued(&[1.0, 1.0], &[1.0, 2.0]), &SCORING).unwrap();
    assert_eq!(
        reason(&measured, &MetricKey::overall("r2")),
        "all labels are equal"
    );
    for (labels, predicted) in [([1.0], [f64::INFINITY]), ([f64::NAN], [1.0])] {
        assert!(matches!(
            regress(&valued(&labels, &predicted), &SCORING),
            Err(MetricError::NotFinite { .. })
        ));
    }
    assert!(matches!(
        regress(&valued(&[], &[]), &SCORING),
        Err(MetricError::NoRows)
    ));
}

#[test]
fn one_row_and_rows_without_variation_have_no_interval_of_width_0() {
    let one = regress(&valued(&[1.0], &[2.0]), &SCORING).unwrap();
    let equal = regress(&valued(&[1.0; 50], &[2.0; 50]), &SCORING).unwrap();
    for measured in [one, equal] {
        for found in &measured.measurements {
            let width = found
                .interval
                .map(|interval| interval.upper - interval.lower);
            assert!(width.is_none_or(|width| width > 0.0), "{found:?}");
            assert_eq!(
                found.interval.is_none(),
                found.no_interval.is_some(),
                "{found:?}"
            );
        }
    }
    let names = classes(2);
    let single = classify(&rows(&[0], &[0], &names), &SCORING).unwrap();
    let accuracy = single.measurements[0].interval.unwrap();
    assert!(
        accuracy.lower < 0.1 && accuracy.upper == 1.0,
        "{accuracy:?}"
    );
}
