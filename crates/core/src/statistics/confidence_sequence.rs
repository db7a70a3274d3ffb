//! Intervals that hold at all times at once, however often they are looked at, and of a quantile known by a histogram.

use std::f64::consts::PI;

use super::quantile::rank;
use super::sequential::ln_beta;

/// The ends of an interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ends {
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

/// Ends of the confidence sequence of a proportion, after `n_successes` of `n`: at each n at once, the true proportion lies outside
/// with probability at most `alpha`.
///
/// The proportions p against which the likelihood ratio of the Beta(1/2, 1/2) mixture stays below 1/α (J. Ville, 1939; H. Robbins (1970),
/// Annals of Mathematical Statistics 41, 1397–1409): B(k + ½, n − k + ½) / B(½, ½) ≤ p^k (1 − p)^(n − k) / α. It is found by bisection on
/// each side of k / n.
pub fn proportion_sequence(n_successes: u64, n: u64, alpha: f64) -> Ends {
    if n == 0 {
        return Ends {
            lower: 0.0,
            upper: 1.0,
        };
    }
    let (k, n) = (n_successes as f64, n as f64);
    let mixture = ln_beta(k + 0.5, n - k + 0.5) - PI.ln();
    let is_inside = |p: f64| {
        let likelihood = xlny(k, p) + xlny(n - k, 1.0 - p);
        mixture - likelihood < -alpha.ln()
    };
    let best = k / n;
    let search = |outside: f64| {
        // The end itself may be inside: no failure was seen, or nothing else.
        if is_inside(outside) {
            return outside;
        }
        let (mut inside, mut outside) = (best, outside);
        for _ in 0..100 {
            let middle = inside.midpoint(outside);
            if is_inside(middle) {
                inside = middle;
            } else {
                outside = middle;
            }
        }
        outside
    };
    Ends {
        lower: search(0.0),
        upper: search(1.0),
    }
}

/// x ln y, 0 where x is.
fn xlny(x: f64, y: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x * y.ln() }
}

/// Requests without any error that each of two arms needs before [`proportion_sequence`] of both at `alpha / 2` proves that the difference is
/// below `increase`.
pub fn requests_to_prove(increase: f64, alpha: f64) -> u64 {
    let is_enough = |n: u64| proportion_sequence(0, n, alpha / 2.0).upper <= increase;
    let mut enough = 1_u64;
    while !is_enough(enough) && enough < 1 << 40 {
        enough *= 2;
    }
    let mut too_few = enough / 2;
    while enough - too_few > 1 {
        let middle = too_few.midpoint(enough);
        if is_enough(middle) {
            enough = middle;
        } else {
            too_few = middle;
        }
    }
    enough
}

/// Durations in buckets: how many were at most each bound, and how many in all.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Buckets {
    /// Upper bounds, rising, without infinity.
    pub bounds: Vec<f64>,
    /// Values in each bucket, not cumulated; one more than bounds.
    pub counts: Vec<u64>,
}

impl Buckets {
    /// Number of values.
    pub fn n(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The `quantile` and its ends at `alpha`, by rank: the number of values below the quantile is Binomial(n, q). Within a bucket values are
    /// taken as evenly spread, as Prometheus's `histogram_quantile` does. `None` where there are too few values, or an end lies above
    /// the last bound, of which nothing is known.
    pub fn quantile(&self, quantile: f64, alpha: f64) -> Option<(f64, Ends)> {
        let n = self.n();
        let tail = alpha / 2.0;
        // So many that all values lie on one side of the quantile with at most the probability of one tail.
        let rarer = quantile.max(1.0 - quantile);
        if (n as f64) < (tail.ln() / rarer.ln()).ceil().max(2.0) {
            return None;
        }
        let lower = rank(n, quantile, tail);
        let upper = n - rank(n, 1.0 - quantile, tail);
        Some((
            self.value_at(quantile * n as f64)?,
            Ends {
                lower: self.value_at(lower as f64)?,
                upper: self.value_at(upper as f64)?,
            },
        ))
    }

    /// Where so many values lie below.
    fn value_at(&self, rank: f64) -> Option<f64> {
        let mut below = 0.0;
        let mut from = 0.0;
        for (&bound, &count) in self.bounds.iter().zip(&self.counts) {
            let count = count as f64;
            if count > 0.0 && rank <= below + count {
                return Some(from + (bound - from) * ((rank - below) / count).clamp(0.0, 1.0));
            }
            below += count;
            from = bound;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::close;

    /// Independent source: the same sequence by SciPy 1.17's `betaln` and `brentq`, `tests/fixtures/statistics/make_confidence_sequence.py`.
    #[test]
    fn the_sequence_is_that_of_scipy() {
        for (k, n, alpha, lower, upper) in [
            (0, 10, 0.05, 0.0, 0.376_987_350_990_677_3),
            (
                3,
                10,
                0.05,
                0.032_515_139_788_058_874,
                0.747_587_109_914_996_6,
            ),
            (0, 1000, 0.025, 0.0, 0.007_685_560_912_427_808),
            (
                20,
                1000,
                0.025,
                0.007_396_853_377_965_043,
                0.041_924_596_080_409_41,
            ),
            (
                500,
                1000,
                0.1,
                0.445_470_851_611_446_1,
                0.554_529_148_388_553_5,
            ),
            (
                7,
                100_000,
                0.01,
                6.194_613_379_969_136e-06,
                0.000_270_551_230_133_297_24,
            ),
        ] {
            let ends = proportion_sequence(k, n, alpha);
            // Of 100,000 requests, the logarithms are of the order of 10^6.
            let is_close =
                |found: f64, wanted: f64| (found - wanted).abs() <= 1e-9 * wanted.max(1e-3);
            assert!(
                is_close(ends.lower, lower) && is_close(ends.upper, upper),
                "{k} of {n}: {ends:?}"
            );
        }
        let unknown = proportion_sequence(0, 0, 0.05);
        assert_eq!((unknown.lower, unknown.upper), (0.0, 1.0));
    }

    #[test]
    fn so_many_requests_prove_and_one_less_does_not() {
        for increase in [0.5, 0.1, 0.01, 0.001] {
            let n = requests_to_prove(increase, 0.05);
            assert!(proportion_sequence(0, n, 0.025).upper <= increase);
            assert!(proportion_sequence(0, n - 1, 0.025).upper > increase);
        }
    }

    /// By hand: 100 values evenly over (0, 1] have their median at 0.5; ranks 40 and 60 of a median of 100 at 95 % (Conover 1999, as
    /// for the sorted values: the 40th and the 61st).
    #[test]
    fn a_quantile_is_found_within_its_bucket() {
        let buckets = Buckets {
            bounds: vec![0.25, 0.5, 1.0],
            counts: vec![25, 25, 50, 0],
        };
        let (median, ends) = buckets.quantile(0.5, 0.05).unwrap();
        close(median, 0.5);
        close(ends.lower, 0.39);
        close(ends.upper, 0.61);
    }

    #[test]
    fn nothing_is_said_of_what_lies_above_the_last_bound_or_of_few_values() {
        let buckets = |counts: [u64; 2]| Buckets {
            bounds: vec![0.1],
            counts: counts.to_vec(),
        };
        assert_eq!(buckets([1000, 60]).quantile(0.95, 0.05), None);
        assert_eq!(buckets([20, 0]).quantile(0.95, 0.05), None);
        assert!(buckets([1000, 1]).quantile(0.95, 0.05).is_some());
        assert_eq!(Buckets::default().quantile(0.5, 0.05), None);
    }
}
