use super::*;
use crate::config::{Binning, Bins};
use crate::measurement::Direction;
use crate::model::Loss;
use crate::scored_rows::{Column, Labels};

const N_ROWS: u32 = 240;

/// 240 rows of three classes, some predicted wrong, with a country that is missing in six rows and an age.
fn rows() -> ScoredRows {
    let of = |value: fn(u32) -> u32| (0..N_ROWS).map(value).collect::<Vec<u32>>();
    let labels = of(|i| i % 3);
    let predicted = of(|i| (i % 3 + u32::from((i * i + 3 * i) % 7 == 0)) % 3);
    let country = |i: u32| match i {
        i if i % 41 == 0 => "",
        i => ["DE", "FR", "US"][(i / 5 % 3) as usize],
    };
    let countries = (0..N_ROWS).map(|i| country(i).to_owned()).collect();
    let ages = (0..N_ROWS).map(|i| f64::from(i * 37 % 90) + 0.5).collect();
    let mut rows = ScoredRows::new(
        Labels::Class(labels),
        Labels::Class(predicted),
        ["a", "b", "c"].map(str::to_owned).to_vec(),
    );
    rows.columns
        .insert("country".to_owned(), Column::Texts(countries));
    rows.columns.insert("age".to_owned(), Column::Numbers(ages));
    rows
}

fn by(columns: &[&str], bins: impl Into<Option<Bins>>) -> SliceConfig {
    SliceConfig {
        columns: columns.iter().map(|&name| name.to_owned()).collect(),
        bins: bins.into(),
        min_rows: 30,
        metrics: Vec::new(),
    }
}

fn edges(edges: &[f64]) -> Bins {
    Bins::Each(Binning::Edges(edges.to_vec()))
}

fn measured(definitions: &[SliceConfig]) -> MeasuredSlices {
    let metrics = SliceMetrics {
        of_rules: &BTreeSet::new(),
        columns: &[],
    };
    let scoring = Scoring::new(Loss::SparseCategoricalCrossentropy, 0.95);
    measure_slices(&rows(), definitions, metrics, &scoring).unwrap()
}

/// Name, rows and accuracy of each slice.
fn table(measured: &MeasuredSlices) -> Vec<(String, u64, Option<f64>)> {
    let accuracy = |name: &str| {
        let key = MetricKey {
            slice: Some(name.to_owned()),
            ..MetricKey::overall("accuracy")
        };
        let mut all = measured.measurements.iter();
        all.find(|found| found.key == key).map(|found| found.value)
    };
    let slices = measured.slices.iter();
    slices
        .map(|slice| (slice.name.clone(), slice.n_rows, accuracy(&slice.name)))
        .collect()
}

fn assert_table(measured: &MeasuredSlices, expected: &[(&str, u64, Option<f64>)]) {
    let found = table(measured);
    let names: Vec<(&str, u64)> = found
        .iter()
        .map(|(name, n, _)| (name.as_str(), *n))
        .collect();
    let expected_names: Vec<(&str, u64)> =
        expected.iter().map(|(name, n, _)| (*name, *n)).collect();
    assert_eq!(names, expected_names);
    for ((name, _, found), (_, _, expected)) in found.iter().zip(expected) {
        match (found, expected) {
            (Some(found), Some(expected)) => assert!((found - expected).abs() < 1e-12, "{name}"),
            _ => assert_eq!(found, expected, "{name}"),
        }
    }
}

/// Independent source: pandas 2, `frame.groupby("country").right.agg(["size", "mean"])`.
#[test]
fn slices_of_a_column_match_pandas() {
    let measured = measured(&[by(&["country"], None)]);
    assert_table(
        &measured,
        &[
            ("country=DE", 78, Some(57.0 / 78.0)),
            ("country=FR", 79, Some(57.0 / 79.0)),
            ("country=US", 77, Some(53.0 / 77.0)),
            ("country=(missing)", 6, None),
        ],
    );
    assert_eq!(
        measured.slices[3].reason.as_deref(),
        Some("too few rows: fewer than `min_rows = 30`")
    );
    // Each has an interval, and figures of classes are not among them.
    assert!(
        measured
            .measurements
            .iter()
            .all(|found| found.key.class.is_none())
    );
    let names: BTreeSet<&str> = measured
        .measurements
        .iter()
        .map(|found| found.key.metric.as_str())
        .collect();
    assert_eq!(
        names,
        BTreeSet::from(["accuracy", "f1_macro", "recall_macro"])
    );
    assert!(
        measured
            .measurements
            .iter()
            .all(|found| found.interval.is_some())
    );
}

/// Independent source: pandas 2, `groupby(pandas.cut(frame.age, [-inf, 20, 40, inf], right=False))`; for four bins
/// `groupby(pandas.qcut(frame.age, 4))` over the same edges.
#[test]
fn bins_hold_their_lower_edge_and_match_pandas() {
    assert_table(
        &measured(&[by(&["age"], edges(&[20.0, 40.0]))]),
        &[
            ("age=(-inf, 20)", 53, Some(37.0 / 53.0)),
            ("age=[20, 40)", 54, Some(40.0 / 54.0)),
            ("age=[40, inf)", 133, Some(94.0 / 133.0)),
        ],
    );
    let quarters = Some(Bins::Each(Binning::Count(4)));
    assert_table(
        &measured(&[by(&["age"], quarters)]),
        &[
            ("age=(-inf, 22.5)", 59, Some(42.0 / 59.0)),
            ("age=[22.5, 45.5)", 61, Some(45.0 / 61.0)),
            ("age=[45.5, 67.5)", 58, Some(40.0 / 58.0)),
            ("age=[67.5, inf)", 62, Some(44.0 / 62.0)),
        ],
    );
    assert_eq!(bins::bin_of(&[20.0, 40.0], 20.0), 1);
    assert_eq!(bins::bin_of(&[20.0, 40.0], 19.9), 0);
    // Equal values are in one bin, however many bins are asked for.
    let same = bins::edges(&Binning::Count(4), [1.0, 1.0, 1.0, 2.0].into_iter());
    assert_eq!(same, [1.0, 2.0]);
}

/// Independent source: pandas 2, `groupby(["country", cut])`, a missing country as a value of its own.
#[test]
fn columns_are_crossed() {
    let mut crossed = by(&["country", "age"], edges(&[45.0]));
    crossed.min_rows = 40;
    assert_table(
        &measured(&[crossed]),
        &[
            ("country=DE, age=(-inf, 45)", 38, None),
            ("country=DE, age=[45, inf)", 40, Some(29.0 / 40.0)),
            ("country=FR, age=(-inf, 45)", 41, Some(30.0 / 41.0)),
            ("country=FR, age=[45, inf)", 38, None),
            ("country=US, age=(-inf, 45)", 38, None),
            ("country=US, age=[45, inf)", 39, None),
            ("country=(missing), age=(-inf, 45)", 3, None),
            ("country=(missing), age=[45, inf)", 3, None),
        ],
    );
}

/// Independent source: scikit-learn's `recall_score(average=None)`, which is the accuracy among the rows of a class.
#[test]
fn slices_by_class_are_recalls() {
    let measured = measured(&[by(&["label"], None)]);
    assert_table(
        &measured,
        &[
            ("label=a", 80, Some(0.7125)),
            ("label=b", 80, Some(0.7)),
            ("label=c", 80, Some(0.725)),
        ],
    );
    let is_macro = |found: &Measurement| found.key.metric.ends_with("_macro");
    assert!(!measured.measurements.iter().any(is_macro));
}

#[test]
fn one_slice_of_two_definitions_is_measured_once() {
    let measured = measured(&[by(&["country"], None), by(&["country"], None)]);
    assert_eq!(measured.slices.len(), 4);
    assert_eq!(measured.measurements.len(), 9);
}

#[test]
fn what_rules_and_definitions_name_is_measured_too() {
    let mut definition = by(&["country"], None);
    definition.metrics = vec!["balanced_accuracy".to_owned(), "age.mean".to_owned()];
    let columns = [ColumnConfig {
        name: "age".to_owned(),
        unit: Some("years".to_owned()),
        direction: Some(Direction::HigherIsBetter),
        quantiles: vec![0.5],
    }];
    let of_rules = BTreeSet::from(["precision_macro".to_owned()]);
    let metrics = SliceMetrics {
        of_rules: &of_rules,
        columns: &columns,
    };
    let scoring = Scoring::new(Loss::SparseCategoricalCrossentropy, 0.95);
    let measure = |definition: &SliceConfig| {
        measure_slices(&rows(), std::slice::from_ref(definition), metrics, &scoring)
    };
    let found = measure(&definition).unwrap();
    let names: BTreeSet<&str> = found
        .measurements
        .iter()
        .map(|found| found.key.metric.as_str())
        .collect();
    let expected = [
        "accuracy",
        "age.mean",
        "balanced_accuracy",
        "f1_macro",
        "precision_macro",
        "recall_macro",
    ];
    assert_eq!(names, BTreeSet::from(expected));
    definition.metrics = vec!["log_loss".to_owned()];
    let error = measure(&definition).unwrap_err().to_string();
    assert!(error.contains("asks for the metric `log_loss`"), "{error}");
}

#[test]
fn mistakes_name_the_column_and_the_cell() {
    let error = |definition: SliceConfig| cut(&rows(), &definition).unwrap_err().to_string();
    let found = error(by(&["county"], None));
    assert!(
        found.contains("there are `age`, `country`, `label`, `predicted`"),
        "{found}"
    );
    let found = error(by(&["country"], edges(&[1.0])));
    assert!(
        found.contains("`DE`, which is not a number (row 1, from 0)"),
        "{found}"
    );
    let by_table = Bins::ByColumn([("country".to_owned(), Binning::Count(4))].into());
    let found = error(by(&["country", "age"], Some(by_table)));
    assert!(found.contains("`DE`"), "{found}");
    let mut many = rows().gather(&vec![0; 10_001]);
    let numbers = (0..10_001).map(f64::from).collect();
    many.columns
        .insert("price".to_owned(), Column::Numbers(numbers));
    let found = cut(&many, &by(&["price"], None)).unwrap_err().to_string();
    assert!(
        found.contains("10001 slices") && found.contains("bins = 4"),
        "{found}"
    );
}

#[test]
fn a_number_without_a_value_is_a_slice_of_its_own() {
    let mut some = rows().gather(&[0, 1, 2, 3]);
    let texts = ["7", "", "nan", "25"].map(str::to_owned).to_vec();
    some.columns.insert("age".to_owned(), Column::Texts(texts));
    let slices = cut(&some, &by(&["age"], edges(&[20.0]))).unwrap();
    let named: Vec<(&str, &[usize])> = slices
        .iter()
        .map(|slice| (slice.name.as_str(), slice.rows.as_slice()))
        .collect();
    assert_eq!(
        named,
        [
            ("age=(-inf, 20)", [0].as_slice()),
            ("age=[20, inf)", &[3]),
            ("age=(missing)", &[1, 2])
        ]
    );
    // As a name, `nan` is a text like any other, and zero has one sign.
    let names = |definition: &SliceConfig, rows: &ScoredRows| -> Vec<String> {
        cut(rows, definition)
            .unwrap()
            .into_iter()
            .map(|slice| slice.name)
            .collect()
    };
    assert_eq!(
        names(&by(&["age"], None), &some),
        ["age=25", "age=7", "age=nan", "age=(missing)"]
    );
    some.columns.insert(
        "age".to_owned(),
        Column::Numbers(vec![10.0, -0.0, 0.0, 9.5]),
    );
    assert_eq!(
        names(&by(&["age"], None), &some),
        ["age=0", "age=9.5", "age=10"]
    );
}

/// Ten times as many slices of as many rows do not take ten times as long; in work, not in seconds: every row is in one slice.
#[test]
fn every_row_is_in_one_slice() {
    for definition in [
        by(&["country"], None),
        by(
            &["country", "age", "label"],
            Some(Bins::Each(Binning::Count(7))),
        ),
    ] {
        let slices = cut(&rows(), &definition).unwrap();
        let mut all: Vec<usize> = slices.into_iter().flat_map(|slice| slice.rows).collect();
        all.sort_unstable();
        assert_eq!(all, (0..N_ROWS as usize).collect::<Vec<_>>());
    }
}
