//! The area under the ROC curve with DeLong's variance, average precision, and the difference of two models' areas on the same rows.
//!
//! In: a label and a score a row. Out: a few figures that intervals at any level follow from. The area is the probability that a random
//! positive scores above a random negative, ties counted half: the mean of the rows' *placements*, a positive's being the share of
//! negatives below it and a negative's the share of positives above it. The spread of the placements gives the variance:
//! E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson (1988), Biometrics 44, 837–845, in the time of a sort by X. Sun and W. Xu (2014),
//! IEEE Signal Processing Letters 21, 1389–1393. Placements are counted in half rows, so that all sums are exact integers and no order
//! of the rows changes a bit.

mod difference;
mod order;
mod ties;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::difference::{RocDifference, Widened};
pub use self::order::NoRoc;
use self::order::{Order, Ties};
pub use self::ties::RocTies;
use super::special::inverse_regularized_beta;
use super::{Interval, IntervalMethod, NoInterval};

/// Fewest rows of each class from which an area has an interval; the simulation of `docs/benchmarks/coverage.md` begins there.
const MIN_OF_CLASS: u64 = 5;

/// The area under the ROC curve, and what its interval is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Roc {
    /// Rows labelled positive.
    pub n_positives: u64,
    /// Rows labelled negative.
    pub n_negatives: u64,
    /// Area under the ROC curve, ties counted half.
    pub area: f64,
    /// Sum of precision over the steps of recall, without interpolation, as scikit-learn's `average_precision_score`.
    pub average_precision: f64,
    /// What the positives contribute to the variance of the area.
    pub positives: Placements,
    /// What the negatives contribute.
    pub negatives: Placements,
}

/// The placements of one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Placements {
    /// Their sample variance over the number of rows; 0 for a single row.
    pub variance: f64,
    /// How many rows carry it, by L. Kish's effective number (Σ|x|)² / Σx² of the distances from a perfect placement (or from the worst,
    /// whichever is fewer); of a difference, of the changes of placement. 0 where no row is misplaced or none changed.
    pub n_effective: f64,
}

impl Roc {
    /// The curve of rows with a label (true for positive) and a score, the higher the likelier positive.
    pub fn of(rows: impl IntoIterator<Item = (bool, f64)>) -> Result<Self, NoRoc> {
        let (mut positives, mut negatives) = (Vec::new(), Vec::new());
        for (is_positive, score) in rows {
            let key = order::key(score).ok_or(NoRoc::NotFinite)?;
            let class = if is_positive {
                &mut positives
            } else {
                &mut negatives
            };
            class.push(key);
        }
        let order = Order::of(positives, negatives)?;
        let (n_positives, n_negatives) = order.sizes();
        let (mut of_positives, mut of_negatives) = (Sums::default(), Sums::default());
        let mut average_precision = 0.0;
        for tie in Ties::of(&order) {
            of_positives.add(tie.of_positive(), tie.n_positives());
            of_negatives.add(tie.of_negative(&order), tie.n_negatives());
            if tie.n_positives() > 0 {
                let (n_right, n_wrong) = tie.n_at_or_above(&order);
                let precision = n_right as f64 / (n_right + n_wrong) as f64;
                average_precision += tie.n_positives() as f64 / n_positives as f64 * precision;
            }
        }
        Ok(Self {
            n_positives,
            n_negatives,
            area: of_positives.sum as f64 / (2.0 * n_positives as f64 * n_negatives as f64),
            average_precision,
            positives: of_positives.placements(n_positives, n_negatives),
            negatives: of_negatives.placements(n_negatives, n_positives),
        })
    }

    /// DeLong's variance of the area. It is 0 where every placement agrees, as at an area of 1, which is no proof: see [`Self::interval`].
    pub fn variance(&self) -> f64 {
        self.positives.variance + self.negatives.variance
    }

    /// The interval of the area.
    ///
    /// Clopper and Pearson's interval of a proportion, of as many rows as have DeLong's variance: E. L. Korn and B. I. Graubard (1998),
    /// Survey Methodology 24, 193–201. The variance of each class is first moved towards the largest possible one, area (1 − area) / n
    /// (Z. W. Birnbaum and O. M. Klose, 1957, Annals of Mathematical Statistics 28, 933–945), with the weight of one misplaced row
    /// against those there are: where few rows are misplaced their spread is not known. At an area of 1 that leaves a proportion all
    /// right of as many rows as the smaller class has, which is exact for any distribution: that many disjoint pairs are all in order.
    ///
    /// DeLong's variance on the logit scale misses with an end in up to 9 % of samples where 2.5 % are meant, the formula of Newcombe
    /// (2006, method 5) in up to 19 %, where a few positives score like negatives.
    pub fn interval(&self, confidence: f64) -> Result<Interval, NoInterval> {
        let n_of_class = self.n_positives.min(self.n_negatives);
        if n_of_class < MIN_OF_CLASS {
            return Err(NoInterval::TooFewOfClass {
                n: n_of_class,
                needed: MIN_OF_CLASS,
            });
        }
        let spread = self.area * (1.0 - self.area);
        let largest = spread / n_of_class as f64;
        let moved = |placements: &Placements, n: u64| {
            let distance = (spread / n as f64 - placements.variance).max(0.0);
            placements.variance + distance / (1.0 + placements.n_effective)
        };
        let variance =
            moved(&self.positives, self.n_positives) + moved(&self.negatives, self.n_negatives);
        let n = if variance < largest {
            spread / variance
        } else {
            n_of_class as f64
        };
        let (above, below) = (self.area * n, (1.0 - self.area) * n);
        let tail = (1.0 - confidence) / 2.0;
        Ok(Interval {
            lower: if above > 0.0 {
                inverse_regularized_beta(above, below + 1.0, tail)
            } else {
                0.0
            },
            upper: if below > 0.0 {
                inverse_regularized_beta(above + 1.0, below, 1.0 - tail)
            } else {
                1.0
            },
            confidence,
            method: IntervalMethod::Delong,
        })
    }
}

/// Exact sums over the placements of one class, in half rows of the other one.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    sum: u128,
    squares: u128,
}

impl Sums {
    fn add(&mut self, placement: u64, n: u64) {
        self.sum += u128::from(placement) * u128::from(n);
        self.squares += u128::from(placement) * u128::from(placement) * u128::from(n);
    }

    /// Of `n` rows, placed among `n_others`.
    fn placements(self, n: u64, n_others: u64) -> Placements {
        let Self { sum, squares } = self;
        let (rows, full) = (u128::from(n), 2 * u128::from(n_others));
        let missing = full * rows - sum;
        let missing_squares = full * full * rows + squares - 2 * full * sum;
        let spread = rows * squares - sum * sum;
        Placements {
            variance: variance_of_mean(spread, n, n_others),
            n_effective: kish(missing, missing_squares).min(kish(sum, squares)),
        }
    }
}

/// The variance of a mean of `n` values, in half rows of `n_others`, with `spread` = n Σx² − (Σx)².
fn variance_of_mean(spread: u128, n: u64, n_others: u64) -> f64 {
    if n < 2 {
        return 0.0;
    }
    let (rows, full) = (n as f64, 2.0 * n_others as f64);
    spread as f64 / (full * full) / (rows * rows * (rows - 1.0))
}

/// Kish's effective number of rows; 0 without any.
fn kish(sum: u128, squares: u128) -> f64 {
    if squares == 0 {
        return 0.0;
    }
    let sum = sum as f64;
    sum / squares as f64 * sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::close;

    fn roc(positives: &[f64], negatives: &[f64]) -> Roc {
        let rows = |scores: &[f64], label| -> Vec<(bool, f64)> {
            scores.iter().map(|&score| (label, score)).collect()
        };
        Roc::of([rows(positives, true), rows(negatives, false)].concat()).unwrap()
    }

    /// Worked by hand: placements of the positives 1, 5/6, 1/3 and of the negatives 1, 2/3, 1/2.
    #[test]
    fn a_small_curve_matches_its_hand_calculation() {
        let roc = roc(&[0.9, 0.7, 0.4], &[0.1, 0.5, 0.7]);
        close(roc.area, 13.0 / 18.0);
        close(roc.positives.variance, 13.0 / 108.0 / 3.0);
        close(roc.negatives.variance, 7.0 / 108.0 / 3.0);
        // Recall rises by 1/3 at each: precision 1, 2/3 (one tied negative), 3/5.
        close(roc.average_precision, (1.0 + 2.0 / 3.0 + 0.6) / 3.0);
        // (1/6 + 2/3)² / (1/36 + 16/36), and as many of the negatives.
        close(roc.positives.n_effective, 25.0 / 17.0);
        close(roc.negatives.n_effective, 25.0 / 13.0);
    }

    #[test]
    fn ties_count_half_and_zeros_are_equal() {
        let constant = roc(&[0.5; 4], &[0.5; 6]);
        assert_eq!((constant.area, constant.variance()), (0.5, 0.0));
        close(constant.average_precision, 0.4);
        assert_eq!(roc(&[0.0], &[-0.0]).area, 0.5);
        assert_eq!(roc(&[f64::MIN_POSITIVE], &[-f64::MIN_POSITIVE]).area, 1.0);
        assert_eq!(roc(&[-2.0], &[-1.0]).area, 0.0);
    }

    #[test]
    fn a_missing_class_or_score_has_no_curve() {
        assert_eq!(Roc::of([(true, 0.5)]).unwrap_err(), NoRoc::NoNegatives);
        assert_eq!(Roc::of([(false, 0.5)]).unwrap_err(), NoRoc::NoPositives);
        assert_eq!(Roc::of([]).unwrap_err(), NoRoc::NoPositives);
        for score in [f64::NAN, f64::INFINITY] {
            let rows = [(true, score), (false, 0.0)];
            assert_eq!(Roc::of(rows).unwrap_err(), NoRoc::NotFinite);
        }
    }

    /// All pairs in order prove no more than as many disjoint pairs do: 0.025^(1/15).
    #[test]
    fn a_perfect_area_is_not_certain() {
        let positives: Vec<f64> = (0..15).map(|i| 1.0 + f64::from(i)).collect();
        let negatives: Vec<f64> = (0..40).map(|i| -1.0 - f64::from(i)).collect();
        let interval = roc(&positives, &negatives).interval(0.95).unwrap();
        close(interval.lower, 0.025_f64.powf(1.0 / 15.0));
        assert_eq!(interval.upper, 1.0);
        let interval = roc(&negatives, &positives).interval(0.95).unwrap();
        close(interval.upper, 1.0 - 0.025_f64.powf(1.0 / 15.0));
        assert_eq!(interval.lower, 0.0);
        let constant = roc(&[0.5; 20], &[0.5; 20]).interval(0.95).unwrap();
        assert!(constant.lower < 0.45 && constant.upper > 0.55);
        assert_eq!(
            roc(&positives[..4], &negatives).interval(0.95).unwrap_err(),
            NoInterval::TooFewOfClass { n: 4, needed: 5 }
        );
    }

    #[test]
    fn intervals_hold_the_area_and_are_mirrored() {
        let scores = |n: u32, shift: f64| -> Vec<f64> {
            (0..n)
                .map(|i| f64::from(i * 7919 % 101) / 50.0 + shift)
                .collect()
        };
        let (positives, negatives) = (scores(60, 1.0), scores(90, 0.0));
        let (one, other) = (roc(&positives, &negatives), roc(&negatives, &positives));
        close(one.area, 1.0 - other.area);
        close(one.variance(), other.variance());
        let mut inner = (one.area, one.area);
        for confidence in [0.5, 0.95, 0.999] {
            let (one, other) = (
                one.interval(confidence).unwrap(),
                other.interval(confidence).unwrap(),
            );
            close(one.lower, 1.0 - other.upper);
            assert!(one.lower < inner.0 && inner.1 < one.upper);
            inner = (one.lower, one.upper);
        }
    }
}
