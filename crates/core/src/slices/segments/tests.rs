use std::collections::BTreeMap;

use super::*;
use crate::model::Loss;
use crate::random::{Purpose, Stream};
use crate::scored_rows::Column;

const MIN_ROWS: u64 = 30;

/// Rows of two classes with a country, an age and a code; each is predicted wrong with the probability that `chance` gives.
fn rows(seed: u64, n_rows: usize, chance: impl Fn(&str, f64) -> f32) -> ScoredRows {
    let mut stream = Stream::new(seed, Purpose::Shuffle, 0);
    let mut columns = (Vec::new(), Vec::new(), Vec::new());
    let mut predicted = Vec::new();
    for row in 0..n_rows as u32 {
        let country = ["DE", "FR", "US", ""][stream.below(4) as usize];
        let age = f64::from(stream.below(80));
        predicted.push((row + u32::from(stream.uniform() < chance(country, age))) % 2);
        columns.0.push(country.to_owned());
        columns.1.push(age);
        columns.2.push(format!("c{}", stream.below(9)));
    }
    let mut rows = ScoredRows::new(
        Labels::Class((0..n_rows as u32).map(|row| row % 2).collect()),
        Labels::Class(predicted),
        ["a", "b"].map(str::to_owned).to_vec(),
    );
    rows.columns = BTreeMap::from([
        ("country".to_owned(), Column::Texts(columns.0)),
        ("age".to_owned(), Column::Numbers(columns.1)),
        ("code".to_owned(), Column::Texts(columns.2)),
    ]);
    rows
}

fn scoring() -> Scoring {
    Scoring::new(Loss::SparseCategoricalCrossentropy, 0.95)
}

fn found(rows: &ScoredRows) -> WeakSegments {
    weak_segments(rows, &[], MIN_ROWS, &scoring())
        .unwrap()
        .unwrap()
}

#[test]
fn a_planted_segment_is_found_with_its_bounds_and_its_figures_on_the_other_half() {
    let chance = |country: &str, age: f64| {
        if country == "DE" && age >= 50.0 {
            0.5
        } else {
            0.1
        }
    };
    let rows = rows(3, 4000, chance);
    let found = found(&rows);
    let worst = &found.segments[0];
    assert!(worst.name.contains("country=DE"), "{found:?}");
    // The edges are quantiles of a sixteenth of the rows, about five years apart.
    let lower = worst.name.split("age=[").nth(1).expect("an age");
    let lower: f64 = lower.split(',').next().unwrap().parse().unwrap();
    assert!((45.0..=55.0).contains(&lower), "{found:?}");
    assert!((worst.value - 0.5).abs() < 0.12, "{found:?}");
    assert!((worst.rest - 0.9).abs() < 0.05, "{found:?}");
    assert!(
        worst.p_value < 1e-6 && worst.interval.is_some(),
        "{found:?}"
    );
    assert_eq!(
        (found.n_searched + found.n_rows, found.metric.as_str()),
        (4000, "accuracy")
    );
    // Neither the order of the rows nor the half that is searched is by position where there are ids.
    let mut with_ids = rows;
    with_ids.row_ids = Some((0..4000).map(|row| format!("row {row}")).collect());
    let backwards: Vec<usize> = (0..4000).rev().collect();
    assert_eq!(
        self::found(&with_ids),
        self::found(&with_ids.gather(&backwards))
    );
}

/// Of 400 tables of noise, a segment is reported in at most 5 %: by the binomial distribution at most 32 at the 0.1 % level.
#[test]
fn noise_gives_a_segment_no_more_often_than_the_level_says() {
    let is_found = |seed: u64| !found(&rows(seed, 400, |_, _| 0.2)).segments.is_empty();
    let n_found = (1000..1400).filter(|&seed| is_found(seed)).count();
    assert!(n_found <= 32, "{n_found} of 400");
}

/// The same where errors are numbers, and rows come in groups of four that share half of their error: the t test, over groups.
#[test]
fn noise_in_numbers_and_groups_keeps_the_level_too() {
    let is_found = |seed: u64, has_groups: bool| {
        let mut rows = rows(seed, 400, |_, _| 0.2);
        let mut stream = Stream::new(seed, Purpose::Shuffle, 1);
        let of_groups: Vec<f64> = (0..100).map(|_| f64::from(stream.uniform())).collect();
        let error = |row: usize| f64::from(stream.uniform()) + of_groups[row / 4];
        rows.predicted = Labels::Value((0..400).map(error).collect());
        rows.labels = Labels::Value(vec![0.0; 400]);
        if has_groups {
            rows.groups = Some((0..400).map(|row| format!("g{}", row / 4)).collect());
        }
        let scoring = Scoring::new(Loss::MeanSquaredError, 0.95);
        let found = weak_segments(&rows, &[], MIN_ROWS, &scoring).unwrap();
        found.is_some_and(|found| !found.segments.is_empty())
    };
    for has_groups in [false, true] {
        let n_found = (2000..2200)
            .filter(|&seed| is_found(seed, has_groups))
            .count();
        // At most 5 % of 200: 20 at the 0.1 % level.
        assert!(n_found <= 20, "{n_found} of 200, groups: {has_groups}");
    }
}

#[test]
fn without_columns_or_with_few_rows_nothing_is_searched() {
    let mut few = rows(1, 100, |_, _| 0.2);
    let nothing = |rows: &ScoredRows, columns: &[ColumnConfig]| {
        weak_segments(rows, columns, MIN_ROWS, &scoring())
            .unwrap()
            .is_none()
    };
    assert!(nothing(&few, &[]));
    few = rows(1, 400, |_, _| 0.2);
    assert!(!nothing(&few, &[]));
    few.columns.retain(|name, _| name == "age");
    let metric = ColumnConfig {
        name: "age".to_owned(),
        unit: None,
        direction: None,
        quantiles: vec![0.5],
    };
    // A column that is a metric is a result of the model.
    assert!(nothing(&few, &[metric]));
    few.columns.clear();
    assert!(nothing(&few, &[]));
}
