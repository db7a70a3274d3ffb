//! Populations of rows in groups, and of cross-validation scores.

use trainyard_core::statistics::{Fold, cluster_mean, k_fold_interval};

use crate::random::Random;
use crate::simulation::{Claim, Figure, GroupedRow, Kind, Population};

const N_FOLDS: usize = 5;

pub(crate) fn all() -> Vec<Population> {
    vec![
        groups("normal values in pairs, correlation 0.3", 0.0, normal),
        groups("0 and 1 in groups of 1 to 3, skewed rates", 0.75, rates),
        folds("mean of the training rows", 1, |n_train| {
            1.0 + 1.0 / n_train as f64
        }),
        folds("nearest neighbour among the training rows", 1, |_| 2.0),
        folds("nearest neighbour, 4 repeats", 4, |_| 2.0),
    ]
}

fn groups(name: &str, mean: f64, draw: fn(usize, &mut Random) -> Vec<GroupedRow>) -> Population {
    Population {
        name: name.to_owned(),
        kind: Kind::Grouped(
            draw,
            vec![Figure {
                metric: "mean over groups".to_owned(),
                claim: |_| Claim::Misses,
                truth: Box::new(move |_| mean),
                value: Box::new(|rows: &[GroupedRow]| {
                    rows.iter().map(|row| row.1).sum::<f64>() / rows.len() as f64
                }),
                interval: Box::new(cluster_mean),
            }],
        ),
    }
}

fn normal(n: usize, random: &mut Random) -> Vec<GroupedRow> {
    let mut rows = Vec::with_capacity(n);
    let mut of_group = 0.0;
    for index in 0..n {
        if index % 2 == 0 {
            of_group = 0.3_f64.sqrt() * random.normal();
        }
        rows.push((
            index as u64 / 2,
            of_group + 0.7_f64.sqrt() * random.normal(),
        ));
    }
    rows
}

/// A group's rate is the cube root of a uniform number, of mean 3/4.
fn rates(n: usize, random: &mut Random) -> Vec<GroupedRow> {
    let mut rows = Vec::with_capacity(n);
    for group in 0.. {
        let rate = random.uniform().cbrt();
        for _ in 0..=random.below(3) {
            if rows.len() == n {
                return rows;
            }
            rows.push((group, f64::from(u8::from(random.uniform() < rate))));
        }
    }
    rows
}

/// Squared errors of a predictor whose mean score is known for any number of training rows: normal targets that the one feature says
/// nothing about.
fn folds(predictor: &str, n_repeats: usize, truth: fn(usize) -> f64) -> Population {
    let is_neighbour = predictor.starts_with("nearest");
    // Squared errors are skewed, and a neighbour's are shared by many rows.
    let claim: fn(usize) -> Claim = if is_neighbour {
        |n| match n {
            0..2000 => Claim::None,
            _ => Claim::Misses,
        }
    } else {
        |_| Claim::Misses
    };
    Population {
        name: format!("{N_FOLDS} folds, {predictor}"),
        kind: Kind::Folds(
            Box::new(move |n, random| cross_validate(n, n_repeats, is_neighbour, random)),
            vec![Figure {
                metric: "mean fold MSE".to_owned(),
                claim,
                truth: Box::new(move |folds: &[Fold]| truth(folds[0].n_train as usize)),
                value: Box::new(|folds: &[Fold]| {
                    folds.iter().map(|fold| fold.score).sum::<f64>() / folds.len() as f64
                }),
                interval: Box::new(k_fold_interval),
            }],
        ),
    }
}

fn cross_validate(
    n: usize,
    n_repeats: usize,
    is_neighbour: bool,
    random: &mut Random,
) -> Vec<Fold> {
    let rows: Vec<(f64, f64)> = (0..n)
        .map(|_| (random.uniform(), random.normal()))
        .collect();
    let mut folds = Vec::new();
    for _ in 0..n_repeats {
        let mut order: Vec<usize> = (0..n).collect();
        for last in (1..n).rev() {
            order.swap(last, random.below(last + 1));
        }
        for fold in 0..N_FOLDS {
            let is_tested = |place: usize| place % N_FOLDS == fold;
            let mut train: Vec<(f64, f64)> = Vec::new();
            let mut test = Vec::new();
            for (place, &row) in order.iter().enumerate() {
                if is_tested(place) {
                    test.push(rows[row]);
                } else {
                    train.push(rows[row]);
                }
            }
            train.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
            let mean = train.iter().map(|row| row.1).sum::<f64>() / train.len() as f64;
            let predict = |feature: f64| {
                if !is_neighbour {
                    return mean;
                }
                let above = train.partition_point(|row| row.0 < feature);
                let distance = |index: usize| {
                    train
                        .get(index)
                        .map_or(f64::INFINITY, |row| (row.0 - feature).abs())
                };
                let below = above.wrapping_sub(1);
                if distance(below) < distance(above) {
                    train[below].1
                } else {
                    train[above].1
                }
            };
            let sum: f64 = test
                .iter()
                .map(|(feature, target)| (target - predict(*feature)).powi(2))
                .sum();
            folds.push(Fold {
                score: sum / test.len() as f64,
                n_train: train.len() as u64,
                n_test: test.len() as u64,
            });
        }
    }
    folds
}
