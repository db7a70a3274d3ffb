use proptest::prelude::*;
use serde::Deserialize;

use super::*;

/// A case of `tests/fixtures/folds/golden.py`.
#[derive(Debug, Deserialize)]
struct Case {
    method: FoldMethod,
    n_splits: usize,
    labels: String,
    groups: String,
    folds: Option<String>,
}

fn digits(text: &str) -> Vec<u32> {
    text.chars()
        .map(|digit| digit.to_digit(36).unwrap())
        .collect()
}

const fn splitter(method: FoldMethod, n_splits: usize) -> Splitter {
    Splitter {
        method,
        n_splits,
        n_repeats: 1,
        seed: None,
    }
}

/// For each row the fold that tests it, as the golden file writes it.
fn fold_of(folds: &Folds, n_rows: usize) -> String {
    let mut fold_of = vec!["-1".to_owned(); n_rows];
    for fold in folds.iter() {
        for row in fold.test {
            assert_eq!(fold_of[row], "-1");
            fold_of[row] = fold.fold.to_string();
        }
    }
    fold_of.join(",")
}

#[test]
fn unshuffled_folds_are_scikit_learns() {
    let golden = include_str!("../../../../tests/fixtures/folds/golden.json");
    let cases: Vec<Case> = serde_json::from_str(golden).unwrap();
    assert!(cases.len() > 200);
    for case in cases {
        let (labels, groups) = (digits(&case.labels), digits(&case.groups));
        let rows = Rows {
            n_rows: labels.len(),
            labels: Some(&labels),
            groups: Some(&groups),
            order: None,
        };
        let folds = splitter(case.method, case.n_splits).split(&rows);
        let found = folds
            .as_ref()
            .ok()
            .map(|folds| fold_of(folds, labels.len()));
        assert_eq!(found, case.folds, "{case:?}: {folds:?}");
    }
}

#[test]
fn a_fold_trains_on_what_it_does_not_test_or_by_time_on_what_was_before() {
    let folds = splitter(FoldMethod::KFold, 2)
        .split(&Rows {
            n_rows: 5,
            ..Rows::default()
        })
        .unwrap();
    assert_eq!((folds.len(), folds.is_empty()), (2, false));
    let fold = folds.get(0);
    assert_eq!((fold.train, fold.test), (vec![3, 4], vec![0, 1, 2]));

    let order = [4, 3, 2, 1, 0];
    let folds = splitter(FoldMethod::TimeSeriesSplit, 2)
        .split(&Rows {
            n_rows: 5,
            order: Some(&order),
            ..Rows::default()
        })
        .unwrap();
    // Blocks of one row, the remainder in front.
    let lists: Vec<_> = folds.iter().map(|fold| (fold.train, fold.test)).collect();
    assert_eq!(
        lists,
        [(vec![2, 3, 4], vec![1]), (vec![1, 2, 3, 4], vec![0])]
    );
}

#[test]
fn too_little_of_anything_says_what_to_write() {
    let labels = [0, 0, 1, 1, 1];
    let groups = [0, 0, 1, 1, 1];
    let error = |method, n_splits| {
        let rows = Rows {
            n_rows: 5,
            labels: Some(&labels),
            groups: Some(&groups),
            order: None,
        };
        splitter(method, n_splits)
            .split(&rows)
            .unwrap_err()
            .to_string()
    };
    let said = [
        error(FoldMethod::KFold, 6),
        error(FoldMethod::StratifiedKFold, 4),
        error(FoldMethod::GroupKFold, 3),
        error(FoldMethod::TimeSeriesSplit, 5),
    ];
    insta::assert_snapshot!(said.join("\n"), @"
    5 rows are too few for `n_splits = 6`: write at most `n_splits = 5`
    no class has 4 rows, the largest has 3: write at most `n_splits = 3`, or `method = \"k_fold\"`
    2 groups are too few for `n_splits = 3`: write at most `n_splits = 2`
    5 rows are too few for `n_splits = 5`: `time_series_split` needs one row more than folds
    ");
}

#[test]
fn a_small_class_and_one_that_is_tested_but_not_trained_are_noted() {
    let labels = [0, 0, 0, 0, 1, 2];
    let rows = Rows {
        n_rows: 6,
        labels: Some(&labels),
        ..Rows::default()
    };
    let notes = |method| splitter(method, 2).split(&rows).unwrap().notes;
    let unseen = |class, fold_idx| FoldNote::Unseen { class, fold_idx };
    let small = |class| FoldNote::SmallClass { class, n_rows: 1 };
    assert_eq!(
        notes(FoldMethod::StratifiedKFold),
        [small(1), small(2), unseen(1, 0), unseen(2, 1)]
    );
    assert_eq!(notes(FoldMethod::KFold), [unseen(1, 1), unseen(2, 1)]);
}

#[test]
fn groups_are_numbered_by_value_or_text() {
    let number =
        |names: &[&str]| keys::groups(&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
    assert_eq!(number(&["10", "9", "10", "-1"]), [2, 1, 2, 0]);
    assert_eq!(number(&["b", "9", "10", "b"]), [2, 1, 0, 2]);
    // One number, but two names.
    assert_eq!(number(&["1", "1.0", "0"]), [1, 2, 0]);
    assert_eq!(number(&[]).len(), 0);
}

#[test]
fn times_are_numbers_or_dates_that_are_written_alike() {
    let order =
        |times: &[&str]| keys::by_time(&times.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>());
    assert_eq!(order(&["10", "9.5", "9.5", "-1e3"]).unwrap(), [3, 1, 2, 0]);
    assert_eq!(order(&["2026-05-31", "2025-12-01"]).unwrap(), [1, 0]);
    assert_eq!(
        order(&["2026-05-31T10:00:00Z", "2026-05-31T09:59:59Z"]).unwrap(),
        [1, 0]
    );
    let error = |times: &[&str]| order(times).unwrap_err().to_string();
    let said = [
        error(&["2026-05-31", "31 May"]),
        error(&["2026-05-31T10:00:00+02:00", "2026-05-31T10:00:00+01:00"]),
        error(&["2026-05-31", "2026-05-31T10:00"]),
        error(&["1", ""]),
    ];
    insta::assert_snapshot!(said.join("\n"), @"
    `31 May` is neither a number nor a date such as `2026-05-31` or `2026-05-31T08:00:00Z`
    `2026-05-31T10:00:00+01:00` is written differently from `2026-05-31T10:00:00+02:00`: write all times in one way
    `2026-05-31T10:00` is written differently from `2026-05-31`: write all times in one way
    `` is neither a number nor a date such as `2026-05-31` or `2026-05-31T08:00:00Z`
    ");
}

proptest! {
    #[test]
    fn shuffled_folds_keep_the_promises_of_their_method(
        rows in prop::collection::vec((0..4_u32, 0..9_u32), 12..80),
        n_splits in 2..5_usize,
        seed in 0..1000_u64,
    ) {
        let labels: Vec<u32> = rows.iter().map(|(label, _)| *label).collect();
        let names: Vec<String> = rows.iter().map(|(_, group)| group.to_string()).collect();
        let groups = keys::groups(&names);
        let known = Rows { n_rows: rows.len(), labels: Some(&labels), groups: Some(&groups), order: None };
        for method in [
            FoldMethod::KFold,
            FoldMethod::StratifiedKFold,
            FoldMethod::GroupKFold,
            FoldMethod::StratifiedGroupKFold,
        ] {
            let splitter = Splitter { method, n_splits, n_repeats: 3, seed: Some(seed) };
            let Ok(folds) = splitter.split(&known) else { continue };
            prop_assert_eq!(&folds, &splitter.split(&known).unwrap());
            let mut n_tested = vec![0; rows.len()];
            for fold in folds.iter() {
                prop_assert!(!fold.test.is_empty());
                fold.test.iter().for_each(|&row| n_tested[row] += 1);
                let mut all = [fold.train.clone(), fold.test.clone()].concat();
                all.sort_unstable();
                prop_assert!(all.into_iter().eq(0..rows.len()));
                if method.is_grouped() {
                    prop_assert!(fold.test.iter().all(|&row| fold.train.iter().all(|&other| groups[row] != groups[other])));
                } else {
                    prop_assert!(fold.test.len().abs_diff(rows.len() / n_splits) <= 1);
                }
                if method == FoldMethod::StratifiedKFold {
                    for (class, n_rows) in counts(&labels).into_iter().enumerate() {
                        let n_here = fold.test.iter().filter(|&&row| labels[row] as usize == class).count();
                        prop_assert!(n_here.abs_diff(n_rows / n_splits) <= 1);
                    }
                }
            }
            prop_assert!(n_tested.into_iter().all(|n| n == 3));
        }
    }
}

#[test]
fn repeats_and_seeds_give_other_folds() {
    let rows = Rows {
        n_rows: 40,
        ..Rows::default()
    };
    let draw = |seed| {
        let splitter = Splitter {
            n_repeats: 2,
            seed: Some(seed),
            ..splitter(FoldMethod::KFold, 4)
        };
        splitter.split(&rows).unwrap()
    };
    let folds = draw(1);
    assert_eq!(folds.len(), 8);
    assert_eq!((folds.get(5).repeat, folds.get(5).fold), (1, 1));
    assert_ne!(folds.get(0).test, folds.get(4).test);
    assert_ne!(folds.get(0).test, draw(2).get(0).test);
}
