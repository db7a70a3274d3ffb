use super::*;
use crate::measurement::{Evidence, Measurement, MetricKey};
use crate::model::Loss;
use crate::statistics::Moments;

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

/// A small generator of numbers between 0 and 1, so that rows are many and varied.
fn numbers(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Labels, scores of three classes (which tie now and then) and weights.
fn sample(n: usize, n_classes: usize) -> (Vec<u32>, Vec<f64>, Vec<f64>) {
    let mut number = numbers(9);
    let (mut labels, mut scores) = (Vec::new(), Vec::new());
    for row in 0..n {
        let raw: Vec<f64> = (0..n_classes)
            .map(|_| (number() * 8.0).ceil() / 8.0)
            .collect();
        let total: f64 = raw.iter().sum();
        let likely = argmax(&raw) as u32;
        let label = if number() < 0.6 { likely } else { row as u32 };
        labels.push(label % n_classes as u32);
        scores.extend(raw.iter().map(|score| score / total));
    }
    let weights = (0..n).map(|_| 0.2 + number()).collect();
    (labels, scores, weights)
}

/// Values and spreads by key, of those that have moments.
fn moments(measured: &Measured) -> Vec<(MetricKey, Moments)> {
    let found = measured.measurements.iter();
    found
        .filter_map(|found| match found.evidence {
            Some(Evidence::Mean(moments) | Evidence::Groups(moments)) => {
                Some((found.key.clone(), moments))
            }
            _ => None,
        })
        .collect()
}

/// The spread of every metric against that from finite differences: how far each row's weight moves the value.
#[track_caller]
fn assert_spreads(
    measure: impl Fn(&[f64]) -> Measured,
    weights: &[f64],
    groups: Option<&[String]>,
    n_least: usize,
) {
    let step = 1e-6;
    let found = moments(&measure(weights));
    assert!(found.len() >= n_least, "{} metrics", found.len());
    let mut sums: Vec<std::collections::BTreeMap<String, f64>> =
        vec![std::collections::BTreeMap::default(); found.len()];
    for row in 0..weights.len() {
        let moved = |by: f64| {
            let mut moved = weights.to_vec();
            moved[row] += by;
            moments(&measure(&moved))
        };
        let (more, less) = (moved(step), moved(-step));
        let group = groups.map_or_else(|| row.to_string(), |groups| groups[row].clone());
        for (idx, (more, less)) in more.iter().zip(&less).enumerate() {
            assert_eq!(more.0, found[idx].0);
            let slope = (more.1.mean - less.1.mean) / (2.0 * step);
            *sums[idx].entry(group.clone()).or_default() += weights[row] * slope;
        }
    }
    for ((key, moments), sums) in found.iter().zip(sums) {
        let n = sums.len() as f64;
        assert_eq!(moments.n, sums.len() as u64, "{key}");
        let expected = Moments::of(sums.values().map(|sum| n * sum));
        let is_close = |left: f64, right: f64| (left - right).abs() <= 1e-3 * right.abs() + 1e-6;
        assert!(
            is_close(moments.variance, expected.variance)
                && is_close(moments.skewness, expected.skewness),
            "{key}: {moments:?}, {expected:?}"
        );
    }
}

#[test]
fn spreads_of_weighted_and_grouped_rows_follow_from_finite_differences() {
    for n_classes in [2, 4] {
        let n = 60;
        let (labels, scores, weights) = sample(n, n_classes);
        let names = classes(n_classes);
        let predicted = predictions(Scores::F64(&scores), n_classes);
        let groups: Vec<String> = (0..n).map(|row| (row % 37).to_string()).collect();
        for groups in [None, Some(groups.as_slice())] {
            let measure = |weights: &[f64]| {
                let rows = ClassifiedRows {
                    scores: Some(Scores::F64(&scores)),
                    weights: Some(weights),
                    groups,
                    ..rows(&labels, &predicted, &names)
                };
                classify(&rows, &SCORING).unwrap()
            };
            assert_spreads(measure, &weights, groups, 30);
        }
    }
}

#[test]
fn spreads_of_weighted_and_grouped_numbers_follow_from_finite_differences() {
    let mut number = numbers(3);
    let n = 50;
    let labels: Vec<f64> = (0..n).map(|_| 1.0 + 4.0 * number()).collect();
    let predicted: Vec<f64> = labels
        .iter()
        .map(|label| label * (0.5 + number()))
        .collect();
    let weights: Vec<f64> = (0..n).map(|_| 0.2 + number()).collect();
    let groups: Vec<String> = (0..n).map(|row| (row % 33).to_string()).collect();
    for groups in [None, Some(groups.as_slice())] {
        let measure = |weights: &[f64]| {
            let rows = ValuedRows {
                weights: Some(weights),
                groups,
                ..valued(&labels, &predicted)
            };
            regress(&rows, &SCORING).unwrap()
        };
        assert_spreads(measure, &weights, groups, 11);
    }
}

/// A row of weight 2 is two rows, one of weight 0 is none, and rows that weigh the same are a plain sample.
#[test]
fn weights_count_rows() {
    let (labels, scores, _) = sample(40, 3);
    let names = classes(3);
    let predicted = predictions(Scores::F64(&scores), 3);
    let weights: Vec<f64> = (0..40).map(|row| f64::from(row % 3)).collect();
    let measure = |labels: &[u32], predicted: &[u32], scores: &[f64], weights: Option<&[f64]>| {
        let rows = ClassifiedRows {
            scores: Some(Scores::F64(scores)),
            weights,
            ..rows(labels, predicted, &names)
        };
        classify(&rows, &SCORING).unwrap()
    };
    let repeated: Vec<usize> = (0..40).flat_map(|row| vec![row; row % 3]).collect();
    let of_repeated = measure(
        &repeated.iter().map(|&row| labels[row]).collect::<Vec<_>>(),
        &repeated
            .iter()
            .map(|&row| predicted[row])
            .collect::<Vec<_>>(),
        &repeated
            .iter()
            .flat_map(|&row| scores[3 * row..3 * row + 3].to_vec())
            .collect::<Vec<_>>(),
        None,
    );
    let weighted = measure(&labels, &predicted, &scores, Some(&weights));
    assert_eq!(weighted.measurements.len(), of_repeated.measurements.len());
    for found in &weighted.measurements {
        // Its bias depends on the number of rows.
        if found.key.metric != "expected_calibration_error" {
            assert!(
                (found.value - value(&of_repeated, &found.key)).abs() < 1e-9,
                "{}",
                found.key
            );
        }
    }
    let plain = measure(&labels, &predicted, &scores, None);
    assert_eq!(
        measure(&labels, &predicted, &scores, Some(&[0.5; 40])),
        plain
    );
    // A row of weight 0 is as if it were not there.
    let counting = plain.misses.iter().copied();
    let counting: Vec<usize> = counting.filter(|&row| weights[row] > 0.0).collect();
    assert!(counting.len() < plain.misses.len());
    assert_eq!(weighted.misses, counting);
    let error = |weights: &[f64]| {
        let rows = ClassifiedRows {
            weights: Some(weights),
            ..rows(&labels, &predicted, &names)
        };
        classify(&rows, &SCORING).unwrap_err()
    };
    let mut negative = vec![1.0; 40];
    negative[3] = -1.0;
    assert!(matches!(
        error(&negative),
        MetricError::Weight { row: 3, .. }
    ));
    assert_eq!(error(&[0.0; 40]), MetricError::NoWeight);
    assert!(matches!(
        error(&[1.0; 3]),
        MetricError::Column { len: 3, .. }
    ));
}

/// With two classes and one of them positive, precision and so on of all rows are of that class.
#[test]
fn metrics_of_the_positive_class_stand_for_all_rows() {
    let names = classes(2);
    let (labels, predicted) = ([0, 0, 0, 1], [0, 1, 0, 1]);
    let mut scoring = SCORING;
    scoring.positive_class = Some("0".to_owned());
    let measured = classify(&rows(&labels, &predicted, &names), &scoring).unwrap();
    close(overall(&measured, "precision"), 1.0);
    close(overall(&measured, "recall"), 2.0 / 3.0);
    close(overall(&measured, "specificity"), 1.0);
    close(overall(&measured, "f_beta"), 5.0 * 2.0 / (5.0 * 2.0 + 4.0));
    scoring.positive_class = Some("cat".to_owned());
    let error = classify(&rows(&labels, &predicted, &names), &scoring).unwrap_err();
    assert!(error.to_string().contains("`cat`"), "{error}");
}

/// Blocks are merged in their order, whatever thread had them.
#[test]
fn many_rows_are_measured_alike_each_time() {
    let (labels, scores, _) = sample(100_000, 3);
    let single: Vec<f32> = scores.iter().map(|&score| score as f32).collect();
    let names = classes(3);
    let predicted = predictions(Scores::F32(&single), 3);
    let measure = || {
        let rows = ClassifiedRows {
            scores: Some(Scores::F32(&single)),
            ..rows(&labels, &predicted, &names)
        };
        classify(&rows, &SCORING).unwrap()
    };
    let first = measure();
    assert_eq!(first, measure());
    assert!(first.notes.is_empty(), "{:?}", first.notes);
    let wide: f64 = labels
        .iter()
        .zip(scores.chunks(3))
        .map(|(&label, scores)| -scores[label as usize].ln())
        .sum();
    assert!((overall(&first, "log_loss") - wide / 1e5).abs() < 1e-6);
}
