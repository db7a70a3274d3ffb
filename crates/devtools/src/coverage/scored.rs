//! Populations of rows with a label and the scores of two models.

use trainyard_core::statistics::{NoInterval, NoRoc, Roc, RocDifference, normal_quantile};

use crate::random::Random;
use crate::simulation::{Claim, Figure, Kind, Population, ScoredRow};

/// How positives score; negatives score by a standard normal distribution.
#[derive(Clone, Copy)]
enum Positives {
    /// A normal distribution, with this correlation of the two models' scores within a class.
    Normal(f64),
    /// As negatives do in a share of them, else above all others.
    Mislabelled,
    /// Below all others in shares that do not overlap, else above them.
    Lost,
}

pub(crate) fn all() -> Vec<Population> {
    let mut populations = Vec::new();
    for area in [0.7, 0.9, 0.99] {
        populations.push(alone(area, Positives::Normal(0.0), 0.5));
    }
    for area in [0.9, 0.99] {
        populations.push(alone(area, Positives::Normal(0.0), 0.1));
    }
    for area in [0.9, 0.99] {
        populations.push(alone(area, Positives::Mislabelled, 0.5));
    }
    populations.push(paired(0.9, 0.9, Positives::Normal(0.9), 0.5));
    populations.push(paired(0.88, 0.9, Positives::Normal(0.5), 0.5));
    populations.push(paired(0.98, 0.99, Positives::Normal(0.5), 0.5));
    populations.push(paired(0.98, 0.99, Positives::Normal(0.5), 0.1));
    populations.push(paired(0.94, 0.99, Positives::Lost, 0.5));
    populations
}

fn name(positives: Positives, share: f64, areas: &str) -> String {
    let scores = match positives {
        Positives::Normal(0.0) => "normal scores".to_owned(),
        Positives::Normal(correlation) => format!("normal scores, correlation {correlation}"),
        Positives::Mislabelled => "some positives score like negatives".to_owned(),
        Positives::Lost => "some positives score lowest".to_owned(),
    };
    format!("{areas}, {scores}, {:.0} % positive", 100.0 * share)
}

fn alone(area: f64, positives: Positives, share: f64) -> Population {
    let alone = |rows: &[ScoredRow]| Roc::of(rows.iter().map(|row| (row.0, row.1)));
    Population {
        name: name(positives, share, &format!("area {area}")),
        kind: Kind::Scored(
            Box::new(move |n, random| draw(n, area, area, positives, share, random)),
            vec![Figure {
                metric: "ROC AUC".to_owned(),
                claim: |_| Claim::Misses,
                truth: Box::new(move |_| area),
                value: Box::new(move |rows| alone(rows).map_or(f64::NAN, |roc| roc.area)),
                interval: Box::new(move |rows, confidence| {
                    alone(rows).map_err(no_curve)?.interval(confidence)
                }),
            }],
        ),
    }
}

fn paired(new: f64, old: f64, positives: Positives, share: f64) -> Population {
    let paired = |rows: &[ScoredRow]| RocDifference::of(rows.iter().copied());
    Population {
        name: name(positives, share, &format!("areas {new} and {old}")),
        kind: Kind::Scored(
            Box::new(move |n, random| draw(n, new, old, positives, share, random)),
            vec![Figure {
                metric: "change of ROC AUC".to_owned(),
                claim: |_| Claim::Misses,
                truth: Box::new(move |_| new - old),
                value: Box::new(move |rows| {
                    paired(rows).map_or(f64::NAN, |paired| paired.difference())
                }),
                interval: Box::new(move |rows, confidence| {
                    paired(rows).map_err(no_curve)?.interval(confidence)
                }),
            }],
        ),
    }
}

fn no_curve(reason: NoRoc) -> NoInterval {
    match reason {
        NoRoc::NoPositives | NoRoc::NoNegatives => NoInterval::NoRows,
        NoRoc::NotFinite => NoInterval::NotFinite,
    }
}

/// As many positives as the share says, since the areas are of given classes.
fn draw(
    n: usize,
    new: f64,
    old: f64,
    positives: Positives,
    share: f64,
    random: &mut Random,
) -> Vec<ScoredRow> {
    let n_positives = (n as f64 * share).round() as usize;
    (0..n)
        .map(|index| {
            let is_positive = index < n_positives;
            let (new_score, old_score) = match positives {
                Positives::Normal(correlation) => {
                    let shared = correlation.sqrt() * random.normal();
                    let mut score = |area| {
                        let distance = if is_positive {
                            f64::sqrt(2.0) * normal_quantile(area)
                        } else {
                            0.0
                        };
                        distance + shared + (1.0 - correlation).sqrt() * random.normal()
                    };
                    (score(new), score(old))
                }
                Positives::Mislabelled => {
                    let is_mislabelled = random.uniform() < 2.0 * (1.0 - new);
                    let above = if is_positive && !is_mislabelled {
                        50.0
                    } else {
                        0.0
                    };
                    (above + random.normal(), above + random.normal())
                }
                Positives::Lost => {
                    let place = random.uniform();
                    let score = |is_lost, noise: f64| match (is_positive, is_lost) {
                        (false, _) => noise,
                        (true, true) => noise - 50.0,
                        (true, false) => noise + 50.0,
                    };
                    let (is_new_lost, is_old_lost) = (place < 1.0 - new, place > old);
                    (
                        score(is_new_lost, random.normal()),
                        score(is_old_lost, random.normal()),
                    )
                }
            };
            (is_positive, new_score, old_score)
        })
        .collect()
}
