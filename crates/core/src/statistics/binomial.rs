//! Intervals of proportions, and of F1 and Jaccard's index of one class, which are functions of one.

use super::special::inverse_regularized_beta;
use super::{Interval, IntervalMethod};

/// Clopper and Pearson's exact interval for `n_successes` of `n`; `None` when `n` is zero.
///
/// Each end is missed by at most (1 − confidence) / 2 whatever the true proportion, which holds of no shorter closed form.
/// C. J. Clopper and E. S. Pearson (1934), Biometrika 26, 404–413.
pub fn clopper_pearson(n_successes: u64, n: u64, confidence: f64) -> Option<Interval> {
    if n == 0 {
        return None;
    }
    let n_successes = n_successes.min(n);
    let (successes, failures) = (n_successes as f64, (n - n_successes) as f64);
    let tail = (1.0 - confidence) / 2.0;
    let lower = if n_successes == 0 {
        0.0
    } else {
        inverse_regularized_beta(successes, failures + 1.0, tail)
    };
    let upper = if n_successes == n {
        1.0
    } else {
        inverse_regularized_beta(successes + 1.0, failures, 1.0 - tail)
    };
    Some(Interval {
        lower,
        upper,
        confidence,
        method: IntervalMethod::ClopperPearson,
    })
}

/// The exact interval of Jaccard's index of one class; `None` where the class occurs in neither labels nor predictions.
///
/// Of the rows that are labelled or predicted as the class, the share labelled and predicted so is a proportion.
pub fn jaccard_interval(
    n_true_positives: u64,
    n_false_positives: u64,
    n_false_negatives: u64,
    confidence: f64,
) -> Option<Interval> {
    let n = n_true_positives + n_false_positives + n_false_negatives;
    clopper_pearson(n_true_positives, n, confidence)
}

/// The exact interval of F1 of one class; `None` where the class occurs in neither labels nor predictions.
///
/// F1 = 2J / (1 + J) rises with Jaccard's index J, so the ends of J's interval become the ends of F1's.
pub fn f1_interval(
    n_true_positives: u64,
    n_false_positives: u64,
    n_false_negatives: u64,
    confidence: f64,
) -> Option<Interval> {
    let jaccard = jaccard_interval(
        n_true_positives,
        n_false_positives,
        n_false_negatives,
        confidence,
    )?;
    Some(Interval {
        lower: f1_of_jaccard(jaccard.lower),
        upper: f1_of_jaccard(jaccard.upper),
        ..jaccard
    })
}

pub(super) fn f1_of_jaccard(jaccard: f64) -> f64 {
    2.0 * jaccard / (1.0 + jaccard)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::{binomial_cdf, close};

    /// Independent source: SciPy 1.17 `binomtest(k, n).proportion_ci(confidence, method="exact")`, whose root search stops at 1e-12.
    #[test]
    fn clopper_pearson_matches_scipy() {
        for (k, n, confidence, lower, upper) in [
            (0, 10, 0.95, 0.0, 0.308_497_107_818_762_94),
            (10, 10, 0.95, 0.691_502_892_181_237_1, 1.0),
            (2, 2, 0.99, 0.070_710_678_118_654_02, 1.0),
            (
                8,
                10,
                0.95,
                0.443_904_537_692_358_5,
                0.974_789_273_673_166_7,
            ),
            (
                9_850,
                10_000,
                0.95,
                0.982_421_245_038_800_6,
                0.987_290_326_391_455,
            ),
            (
                9_999_990,
                10_000_000,
                0.95,
                0.999_998_160_965_166_4,
                0.999_999_520_460_683_9,
            ),
        ] {
            let interval = clopper_pearson(k, n, confidence).unwrap();
            close(interval.lower, lower);
            close(interval.upper, upper);
        }
        assert!(clopper_pearson(0, 0, 0.95).is_none());
    }

    #[test]
    fn ends_of_clopper_pearson_are_exact_at_the_edges() {
        for n in 1..200 {
            assert_eq!(clopper_pearson(0, n, 0.95).unwrap().lower, 0.0);
            assert_eq!(clopper_pearson(n, n, 0.95).unwrap().upper, 1.0);
        }
    }

    /// The definition: at the upper end, so few successes have exactly the probability of one tail.
    #[test]
    fn clopper_pearson_solves_its_definition() {
        for (k, n) in [(0, 3), (1, 7), (19, 20), (300, 1000), (1, 1_000_000)] {
            let interval = clopper_pearson(k, n, 0.9).unwrap();
            close(binomial_cdf(k, n, interval.upper), 0.05);
            if k > 0 {
                close(binomial_cdf(k - 1, n, interval.lower), 0.95);
            }
        }
    }

    #[test]
    fn f1_and_jaccard_are_exact_through_the_proportion() {
        let jaccard = jaccard_interval(8, 1, 1, 0.95).unwrap();
        close(jaccard.lower, 0.443_904_537_692_358_5);
        let f1 = f1_interval(8, 1, 1, 0.95).unwrap();
        close(f1.lower, 2.0 * jaccard.lower / (1.0 + jaccard.lower));
        close(f1.upper, 2.0 * jaccard.upper / (1.0 + jaccard.upper));
        assert_eq!(f1_interval(5, 0, 0, 0.95).unwrap().upper, 1.0);
        assert_eq!(f1_interval(0, 3, 2, 0.95).unwrap().lower, 0.0);
        assert!(f1_interval(0, 0, 0, 0.95).is_none());
    }
}
