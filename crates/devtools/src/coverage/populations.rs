//! What samples are drawn from, and what is known of each population.

use std::ops::Range;

use trainyard_core::statistics::{
    Average, CellBootstrap, Counts, Interval, Moments, NoInterval, clopper_pearson,
    median_interval, tango,
};

use crate::agreement::{kappa, matthews};
use crate::random::Random;
use crate::simulation::{Claim, Figure, Kind, Population};
use crate::{grouped, scored};

/// Seed of the classes' recalls, which stay the same for all seeds of the samples.
const RECALL_SEED: u64 = 2026;

/// Every population of the table.
pub(crate) fn all() -> Vec<Population> {
    let mut populations: Vec<Population> = [0.8, 0.95, 0.99].map(accuracy).into();
    let zipf: Vec<f64> = (1..=10).map(|rank| 1.0 / f64::from(rank)).collect();
    let (usual, high) = (0.6..0.95, 0.95..1.0);
    populations.push(classes("10 classes, balanced", &[1.0; 10], &usual, true));
    populations.push(classes("10 classes, Zipf", &zipf, &usual, false));
    populations.push(classes("2 classes, 90/10", &[9.0, 1.0], &usual, true));
    populations.push(classes(
        "10 classes, balanced, recall from 0.95",
        &[1.0; 10],
        &high,
        false,
    ));
    populations.push(classes(
        "10 classes, Zipf, recall from 0.95",
        &zipf,
        &high,
        false,
    ));
    populations.push(classes(
        "2 classes, 90/10, recall from 0.95",
        &[9.0, 1.0],
        &high,
        false,
    ));
    populations.push(classes("100 classes, balanced", &[1.0; 100], &usual, false));
    populations.push(values("normal", 1.0, Random::normal, |n| match n {
        0..200 => Claim::None,
        _ => Claim::MissesAndWidth,
    }));
    populations.push(values(
        "t5",
        5.0 / 3.0,
        |random| random.student(5),
        |n| match n {
            0..200 => Claim::None,
            200..2000 => Claim::Misses,
            _ => Claim::MissesAndWidth,
        },
    ));
    let lognormal = |random: &mut Random| random.normal().exp();
    populations.push(values("lognormal", 2.0_f64.exp(), lognormal, |_| {
        Claim::None
    }));
    populations.push(median());
    populations.push(change("1 % gained, 3 % lost", 0.01, 0.03));
    populations.push(change("10 % gained, 10 % lost", 0.1, 0.1));
    populations.push(agreements(classes(
        "2 classes, 90/10",
        &[9.0, 1.0],
        &usual,
        true,
    )));
    populations.push(agreements(classes(
        "2 classes, 90/10, recall from 0.95",
        &[9.0, 1.0],
        &high,
        false,
    )));
    populations.push(agreements(classes(
        "10 classes, Zipf",
        &zipf,
        &usual,
        false,
    )));
    populations.extend(scored::all());
    populations.extend(grouped::all());
    populations
}

fn accuracy(accuracy: f64) -> Population {
    // Where fewer than ten errors are expected, the bootstrap finds too narrow an interval to compare with.
    let claim: fn(usize) -> Claim = match accuracy {
        0.99.. => |n| {
            if n < 1000 {
                Claim::MissesAndDecided
            } else {
                Claim::MissesAndWidth
            }
        },
        0.95.. => |n| {
            if n < 200 {
                Claim::MissesAndDecided
            } else {
                Claim::MissesAndWidth
            }
        },
        _ => |n| {
            if n < 50 {
                Claim::MissesAndDecided
            } else {
                Claim::MissesAndWidth
            }
        },
    };
    Population {
        name: format!("{accuracy}"),
        kind: Kind::Cells(
            vec![accuracy, 1.0 - accuracy],
            vec![Figure {
                metric: "accuracy".to_owned(),
                claim,
                truth: Box::new(move |_| accuracy),
                value: Box::new(|counts| counts[0] as f64 / (counts[0] + counts[1]) as f64),
                interval: Box::new(|counts, confidence| {
                    clopper_pearson(counts[0], counts[0] + counts[1], confidence)
                        .ok_or(NoInterval::NoRows)
                }),
            }],
        ),
    }
}

/// Classes of the given weights; each one's recall is drawn from `recalls`, its errors are spread evenly over the others.
#[expect(clippy::expect_used, reason = "every sample has rows")]
fn classes(name: &str, weights: &[f64], recalls: &Range<f64>, has_width_claim: bool) -> Population {
    let k = weights.len();
    let total: f64 = weights.iter().sum();
    let mut random = Random::new(RECALL_SEED, k as u64);
    let mut cells = Vec::new();
    for (label, weight) in weights.iter().enumerate() {
        let recall = recalls.start + (recalls.end - recalls.start) * random.uniform();
        for predicted in 0..k {
            let share = if label == predicted {
                recall
            } else {
                (1.0 - recall) / (k - 1) as f64
            };
            cells.push(weight / total * share);
        }
    }
    let averages = [
        ("macro precision", Average::MacroPrecision),
        ("macro recall", Average::MacroRecall),
        ("macro F1", Average::MacroF1),
        ("macro Jaccard", Average::MacroJaccard),
        ("balanced accuracy", Average::BalancedAccuracy),
        ("weighted precision", Average::WeightedPrecision),
        ("weighted F1", Average::WeightedF1),
        ("weighted Jaccard", Average::WeightedJaccard),
    ];
    let claim: fn(usize) -> Claim = if has_width_claim {
        |n| match n {
            0..2000 => Claim::Misses,
            _ => Claim::MissesAndWidth,
        }
    } else {
        |_| Claim::Misses
    };
    let figures = averages.map(|(metric, average)| {
        let population = cells.clone();
        Figure {
            metric: metric.to_owned(),
            claim,
            truth: Box::new(move |counts: &[u64]| truth(average, &population, counts)),
            value: Box::new(move |counts: &[u64]| {
                average.value(&matrix(counts)).expect("there are rows")
            }),
            interval: Box::new(move |counts: &[u64], confidence| {
                average.interval(&matrix(counts), confidence)
            }),
        }
    });
    Population {
        name: name.to_owned(),
        kind: Kind::Cells(cells, figures.into()),
    }
}

type Method = fn(&CellBootstrap, f64) -> Result<Interval, NoInterval>;

/// Figures without a closed form, by the bootstrap over the cells of the same classes.
fn agreements(population: Population) -> Population {
    let Population { name, kind } = population;
    let Kind::Cells(cells, _) = kind else {
        unreachable!("classes are cells");
    };
    let figure =
        |metric: &str, statistic: fn(&[f64]) -> f64, method: Method, claim: fn(usize) -> Claim| {
            let truth = statistic(&cells);
            let of_counts = move |counts: &[u64]| {
                statistic(&counts.iter().map(|&count| count as f64).collect::<Vec<_>>())
            };
            Figure {
                metric: metric.to_owned(),
                claim,
                truth: Box::new(move |_| truth),
                value: Box::new(of_counts),
                interval: Box::new(move |counts: &[u64], confidence| {
                    // Any seed will do, if samples differ in it.
                    let seed = counts.iter().fold(0, |sum: u64, count| {
                        sum.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(*count)
                    });
                    // As few as the level allows.
                    let n_replicates = (20.0 / (1.0 - confidence)).ceil() as usize;
                    let all = CellBootstrap::of(counts, n_replicates, seed, &[&of_counts]);
                    method(&all[0], confidence)
                }),
            }
        };
    let figures = vec![
        figure("MCC, BCa", matthews, CellBootstrap::bca, |_| Claim::Misses),
        figure(
            "MCC, percentile",
            matthews,
            CellBootstrap::percentile,
            |_| Claim::None,
        ),
        figure("kappa, BCa", kappa, CellBootstrap::bca, |_| Claim::Misses),
    ];
    Population {
        name,
        kind: Kind::Cells(cells, figures),
    }
}

fn matrix(counts: &[u64]) -> Counts {
    let k = width(counts);
    let cells = counts.iter().enumerate();
    Counts::new(
        k,
        cells.map(|(cell, &n)| ((cell / k) as u32, (cell % k) as u32, n)),
    )
}

fn width<T>(cells: &[T]) -> usize {
    cells.len().isqrt()
}

/// The average of the population's metrics over the classes that the sample holds.
fn truth(average: Average, population: &[f64], counts: &[u64]) -> f64 {
    let k = width(counts);
    let (mut sum, mut weight) = (0.0, 0.0);
    for class in 0..k {
        let sum_of = |cell: &dyn Fn(usize) -> usize| -> (f64, u64) {
            (0..k).fold((0.0, 0), |(share, count), other| {
                let cell = cell(other);
                (share + population[cell], count + counts[cell])
            })
        };
        let (labelled, n_labelled) = sum_of(&|other| class * k + other);
        let (predicted, n_predicted) = sum_of(&|other| other * k + class);
        let right = population[class * k + class];
        let precision = right / predicted;
        let recall = right / labelled;
        let f1 = 2.0 * right / (labelled + predicted);
        let jaccard = right / (labelled + predicted - right);
        let is_held = n_labelled + n_predicted > 0;
        let (value, of_class) = match average {
            Average::MacroPrecision => (precision, f64::from(u8::from(is_held))),
            Average::MacroRecall => (recall, f64::from(u8::from(is_held))),
            Average::MacroF1 => (f1, f64::from(u8::from(is_held))),
            Average::MacroJaccard => (jaccard, f64::from(u8::from(is_held))),
            Average::BalancedAccuracy => (recall, f64::from(u8::from(n_labelled > 0))),
            Average::WeightedPrecision => (precision, labelled),
            Average::WeightedRecall => (recall, labelled),
            Average::WeightedF1 => (f1, labelled),
            Average::WeightedJaccard => (jaccard, labelled),
        };
        sum += of_class * value;
        weight += of_class;
    }
    sum / weight
}

/// The mean squared error of errors drawn by `draw`, whose square has this mean.
fn values(
    name: &str,
    mean: f64,
    draw: fn(&mut Random) -> f64,
    claim: fn(usize) -> Claim,
) -> Population {
    Population {
        name: format!("{name} errors"),
        kind: Kind::Values(
            draw,
            vec![Figure {
                metric: "MSE".to_owned(),
                claim,
                truth: Box::new(move |_| mean),
                value: Box::new(|errors: &[f64]| {
                    errors.iter().map(|error| error * error).sum::<f64>() / errors.len() as f64
                }),
                interval: Box::new(|errors: &[f64], confidence| {
                    Moments::of(errors.iter().map(|error| error * error)).interval(confidence)
                }),
            }],
        ),
    }
}

fn median() -> Population {
    let sorted = |errors: &[f64]| {
        let mut sorted: Vec<f64> = errors.iter().map(|error| error.abs()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted
    };
    Population {
        name: "t5 errors".to_owned(),
        kind: Kind::Values(
            |random| random.student(5),
            vec![Figure {
                metric: "median absolute error".to_owned(),
                claim: |_| Claim::Misses,
                truth: Box::new(|_| trainyard_core::statistics::student_quantile(0.75, 5.0)),
                value: Box::new(move |errors: &[f64]| {
                    let sorted = sorted(errors);
                    f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2])
                }),
                interval: Box::new(move |errors: &[f64], confidence| {
                    median_interval(&sorted(errors), confidence)
                }),
            }],
        ),
    }
}

fn change(name: &str, gained: f64, lost: f64) -> Population {
    Population {
        name: name.to_owned(),
        kind: Kind::Cells(
            vec![gained, lost, 1.0 - gained - lost],
            vec![Figure {
                metric: "change of accuracy".to_owned(),
                claim: |_| Claim::Misses,
                truth: Box::new(move |_| gained - lost),
                value: Box::new(|counts: &[u64]| {
                    (counts[0] as f64 - counts[1] as f64) / counts.iter().sum::<u64>() as f64
                }),
                interval: Box::new(|counts: &[u64], confidence| {
                    tango(counts[0], counts[1], counts.iter().sum(), confidence)
                        .ok_or(NoInterval::NoRows)
                }),
            }],
        ),
    }
}
