//! The interval of a quantile, which holds for every distribution.

use super::special::binomial_cdf;
use super::{Interval, IntervalMethod, NoInterval};

/// The interval of the median of `sorted` values: that of [`quantile_interval`] at one half.
pub fn median_interval(sorted: &[f64], confidence: f64) -> Result<Interval, NoInterval> {
    quantile_interval(sorted, 0.5, confidence)
}

/// The interval of the `quantile` (in (0, 1)) of `sorted` values: two of them, chosen by rank alone.
///
/// The number of rows below the quantile q is Binomial(n, q), so the r-th smallest value lies above it with probability P(X < r).
/// M. Hollander and D. A. Wolfe (1999), "Nonparametric Statistical Methods", section 3.6. Where ties would give an interval of no width,
/// it reaches to the next value on each side.
pub fn quantile_interval(
    sorted: &[f64],
    quantile: f64,
    confidence: f64,
) -> Result<Interval, NoInterval> {
    let n = sorted.len() as u64;
    let (Some(smallest), Some(largest)) = (sorted.first(), sorted.last()) else {
        return Err(NoInterval::NoRows);
    };
    if sorted.iter().any(|value| !value.is_finite()) {
        return Err(NoInterval::NotFinite);
    }
    let tail = (1.0 - confidence) / 2.0;
    // So many that all rows lie on one side of the quantile with at most the probability of one tail.
    let rarer = quantile.max(1.0 - quantile);
    let needed = (tail.ln() / rarer.ln()).ceil().max(2.0) as u64;
    if n < needed {
        return Err(NoInterval::TooFewRows { n, needed });
    }
    if smallest == largest {
        return Err(NoInterval::NoVariation { n });
    }
    let mut lower = rank(n, quantile, tail) as usize;
    let mut upper = sorted.len() - 1 - rank(n, 1.0 - quantile, tail) as usize;
    if sorted[lower] == sorted[upper] {
        let value = sorted[lower];
        lower = sorted
            .partition_point(|&other| other < value)
            .saturating_sub(1);
        upper = sorted
            .partition_point(|&other| other <= value)
            .min(sorted.len() - 1);
    }
    Ok(Interval {
        lower: sorted[lower],
        upper: sorted[upper],
        confidence,
        method: IntervalMethod::OrderStatistics,
    })
}

/// The largest rank, counted from zero, that so few of `n` rows are below with at most the probability `tail`.
pub(super) fn rank(n: u64, quantile: f64, tail: f64) -> u64 {
    let (mut rank, mut too_far) = (0, n);
    while too_far - rank > 1 {
        let middle = rank.midpoint(too_far);
        if binomial_cdf(middle, n, quantile) <= tail {
            rank = middle;
        } else {
            too_far = middle;
        }
    }
    rank
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: u32) -> Vec<f64> {
        (1..=n).map(f64::from).collect()
    }

    /// Independent source: the table of order statistics for a median at 95 %, for instance in W. J. Conover (1999), "Practical
    /// Nonparametric Statistics": ranks 1 and 6 of 6, 6 and 15 of 20, 18 and 33 of 50, 40 and 61 of 100.
    #[test]
    fn ranks_match_published_tables() {
        for (n, lower, upper) in [
            (6, 1.0, 6.0),
            (20, 6.0, 15.0),
            (50, 18.0, 33.0),
            (100, 40.0, 61.0),
        ] {
            let interval = median_interval(&numbers(n), 0.95).unwrap();
            assert_eq!((interval.lower, interval.upper), (lower, upper), "{n} rows");
        }
    }

    #[test]
    fn too_few_rows_for_the_level_have_none() {
        let reason = |n, confidence| median_interval(&numbers(n), confidence).unwrap_err();
        assert_eq!(reason(5, 0.95), NoInterval::TooFewRows { n: 5, needed: 6 });
        assert_eq!(reason(7, 0.99), NoInterval::TooFewRows { n: 7, needed: 8 });
        assert_eq!(reason(0, 0.95), NoInterval::NoRows);
        assert!(median_interval(&numbers(8), 0.99).is_ok());
        assert_eq!(
            median_interval(&[2.0; 9], 0.95).unwrap_err(),
            NoInterval::NoVariation { n: 9 }
        );
    }

    #[test]
    fn ties_do_not_make_it_certain() {
        let mut values = vec![3.0; 98];
        values.insert(0, 1.0);
        values.push(4.5);
        let interval = median_interval(&values, 0.95).unwrap();
        assert_eq!((interval.lower, interval.upper), (1.0, 4.5));
        let mut zeros = vec![0.0; 50];
        zeros.push(2.0);
        let interval = median_interval(&zeros, 0.95).unwrap();
        assert_eq!((interval.lower, interval.upper), (0.0, 2.0));
    }

    /// Independent source: SciPy 1.17 `scipy.stats.quantile_test(range(1, n + 1), p=q).confidence_interval(0.95)`.
    #[test]
    fn ranks_of_other_quantiles_match_scipy() {
        for (n, quantile, lower, upper) in [
            (40, 0.25, 5.0, 17.0),
            (40, 0.75, 24.0, 36.0),
            (100, 0.9, 84.0, 96.0),
            (100, 0.1, 5.0, 17.0),
            (1000, 0.99, 983.0, 997.0),
            (1000, 0.95, 936.0, 964.0),
        ] {
            let interval = quantile_interval(&numbers(n), quantile, 0.95).unwrap();
            assert_eq!(
                (interval.lower, interval.upper),
                (lower, upper),
                "{n} rows, {quantile}"
            );
        }
        assert_eq!(
            quantile_interval(&numbers(71), 0.95, 0.95).unwrap_err(),
            NoInterval::TooFewRows { n: 71, needed: 72 }
        );
        assert!(quantile_interval(&numbers(72), 0.05, 0.95).is_ok());
    }
}
