//! Bootstrap intervals of any function of counted cells, such as a confusion matrix or the cells (label, old prediction, new prediction).
//!
//! Drawing n rows with replacement is drawing the cells' counts from the multinomial distribution, one binomial a cell, whatever n is:
//! B. Efron and R. J. Tibshirani (1993), "An Introduction to the Bootstrap". All statistics share their draws, so that they can be compared.
//!
//! Claim: the ends miss as `docs/benchmarks/coverage.md` shows. Where a few rows decide the value, the resampled rows are too much alike
//! and there is no interval: see [`MIN_EFFECTIVE_ROWS`].

use super::normal::{normal_cdf, normal_quantile};
use super::random::Random;
use super::{Interval, IntervalMethod, NoInterval};

/// Replicates that must lie beyond an end, lest the end be a matter of chance.
const MIN_BEYOND: f64 = 10.0;

/// Fewest rows that the value's variation must rest on, by Kish's effective number of the jackknife's influences.
///
/// By simulation: some ten errors among many right rows are 40.
const MIN_EFFECTIVE_ROWS: f64 = 40.0;

/// Shows `visit` the counts of `n_replicates` resamples of the rows behind `counts`.
pub fn resample_cells(
    counts: &[u64],
    n_replicates: usize,
    seed: u64,
    mut visit: impl FnMut(&[u64]),
) {
    let mut random = Random::new(seed);
    let n_rows: u64 = counts.iter().sum();
    let mut replicate = vec![0; counts.len()];
    for _ in 0..n_replicates {
        let (mut undrawn, mut of_others) = (n_rows, n_rows);
        for (count, drawn) in counts.iter().zip(&mut replicate) {
            // Both are whole numbers, so the last cell's share is exactly one and takes the rest.
            *drawn = match count {
                0 => 0,
                _ => random.binomial(undrawn, *count as f64 / of_others as f64),
            };
            undrawn -= *drawn;
            of_others -= count;
        }
        visit(&replicate);
    }
}

/// A function of the cells' counts, NaN where it is not defined.
pub type CellStatistic<'a> = dyn Fn(&[u64]) -> f64 + 'a;

/// Resampled values of one statistic, and what its intervals are computed from.
#[derive(Debug, Clone, PartialEq)]
pub struct CellBootstrap {
    /// The statistic of the rows themselves.
    pub value: f64,
    /// Rows behind it.
    pub n_rows: u64,
    /// Defined values of the resamples, ascending.
    pub replicates: Vec<f64>,
    /// Resamples in which the statistic was not defined (NaN).
    pub n_undefined: u64,
    /// Efron's acceleration, from the jackknife.
    pub acceleration: f64,
    /// Kish's effective number of rows by the jackknife's influences; 0 where none has any.
    pub n_effective: f64,
}

impl CellBootstrap {
    /// Each of `statistics` on the same `n_replicates` resamples of the rows behind `counts`.
    pub fn of(
        counts: &[u64],
        n_replicates: usize,
        seed: u64,
        statistics: &[&CellStatistic<'_>],
    ) -> Vec<Self> {
        let mut replicates = vec![Vec::with_capacity(n_replicates); statistics.len()];
        resample_cells(counts, n_replicates, seed, |drawn| {
            for (statistic, values) in statistics.iter().zip(&mut replicates) {
                values.push(statistic(drawn));
            }
        });
        statistics
            .iter()
            .zip(replicates)
            .map(|(statistic, mut values)| {
                values.retain(|value| !value.is_nan());
                values.sort_unstable_by(f64::total_cmp);
                let (acceleration, n_effective) = jackknife(counts, statistic);
                Self {
                    value: statistic(counts),
                    n_rows: counts.iter().sum(),
                    n_undefined: (n_replicates - values.len()) as u64,
                    replicates: values,
                    acceleration,
                    n_effective,
                }
            })
            .collect()
    }

    /// The percentile interval.
    pub fn percentile(&self, confidence: f64) -> Result<Interval, NoInterval> {
        self.check(confidence)?;
        let tail = (1.0 - confidence) / 2.0;
        self.between(tail, tail, confidence, IntervalMethod::BootstrapPercentile)
    }

    /// The bias-corrected and accelerated interval.
    ///
    /// B. Efron (1987), "Better bootstrap confidence intervals", Journal of the American Statistical Association 82, 171–185; half of the
    /// replicates equal to the value count as below it.
    pub fn bca(&self, confidence: f64) -> Result<Interval, NoInterval> {
        self.check(confidence)?;
        let n = self.replicates.len() as f64;
        let below = self.replicates.partition_point(|&other| other < self.value);
        let up_to = self
            .replicates
            .partition_point(|&other| other <= self.value);
        let share = f64::midpoint(below as f64, up_to as f64) / n;
        let bias = normal_quantile(share.clamp(0.5 / n, 1.0 - 0.5 / n));
        let tail = (1.0 - confidence) / 2.0;
        let adjusted = |z: f64| {
            let shifted = bias + z;
            normal_cdf(bias + shifted / (1.0 - self.acceleration * shifted))
        };
        let (lower, upper) = (
            adjusted(normal_quantile(tail)),
            adjusted(normal_quantile(1.0 - tail)),
        );
        self.between(lower, 1.0 - upper, confidence, IntervalMethod::BootstrapBca)
    }

    /// What stands against an interval by any of the methods.
    fn check(&self, confidence: f64) -> Result<(), NoInterval> {
        if self.n_rows == 0 {
            return Err(NoInterval::NoRows);
        }
        if !self.value.is_finite() || self.replicates.iter().any(|value| value.is_infinite()) {
            return Err(NoInterval::NotFinite);
        }
        let n_replicates = self.replicates.len() as u64 + self.n_undefined;
        let needed = (2.0 * MIN_BEYOND / (1.0 - confidence) - 1e-9).ceil() as u64;
        if n_replicates < needed {
            return Err(NoInterval::TooFewReplicates {
                n: n_replicates,
                needed,
            });
        }
        if self.replicates.first() == self.replicates.last() && self.n_undefined == 0 {
            return Err(NoInterval::NoVariation { n: self.n_rows });
        }
        if self.n_effective < MIN_EFFECTIVE_ROWS {
            return Err(NoInterval::FewDecide {
                n_effective: self.n_effective,
                needed: MIN_EFFECTIVE_ROWS,
            });
        }
        Ok(())
    }

    /// The replicates with these shares of all beyond them. An undefined one may have been anything, so it counts as beyond both ends.
    fn between(
        &self,
        share_below: f64,
        share_above: f64,
        confidence: f64,
        method: IntervalMethod,
    ) -> Result<Interval, NoInterval> {
        let n_replicates = self.replicates.len() as u64 + self.n_undefined;
        let rank = |share: f64| {
            let rank = ((n_replicates + 1) as f64 * share + 1e-9).floor() as u64;
            if rank == 0 {
                return Err(NoInterval::TooFewReplicates {
                    n: n_replicates,
                    needed: (MIN_BEYOND / share.max(1e-12)).ceil() as u64,
                });
            }
            match rank.checked_sub(self.n_undefined + 1) {
                Some(rank) => Ok(rank as usize),
                None => Err(NoInterval::UndefinedReplicates {
                    n: self.n_undefined,
                    n_replicates,
                }),
            }
        };
        let sorted = &self.replicates;
        let last = sorted.len() - 1;
        let (mut lower, mut upper) = (
            rank(share_below)?.min(last),
            last.saturating_sub(rank(share_above)?),
        );
        // Ties do not make it certain: it reaches to the next value on each side.
        if sorted[lower] >= sorted[upper] {
            let (low, high) = (sorted[upper], sorted[lower]);
            lower = sorted
                .partition_point(|&other| other < low)
                .saturating_sub(1);
            upper = sorted.partition_point(|&other| other <= high).min(last);
        }
        Ok(Interval {
            lower: sorted[lower].min(self.value),
            upper: sorted[upper].max(self.value),
            confidence,
            method,
        })
    }
}

/// The acceleration and the effective number of rows, from the statistic without one row of each cell.
fn jackknife(counts: &[u64], statistic: &CellStatistic<'_>) -> (f64, f64) {
    let mut without = counts.to_vec();
    let mut left_out = Vec::new();
    for (cell, &count) in counts.iter().enumerate() {
        if count > 0 {
            without[cell] -= 1;
            let value = statistic(&without);
            without[cell] += 1;
            // A cell whose last row decides whether there is a value has no influence that could be counted.
            if value.is_finite() {
                left_out.push((count as f64, value));
            }
        }
    }
    let n: f64 = left_out.iter().map(|(count, _)| count).sum();
    let mean = left_out
        .iter()
        .map(|(count, value)| count * value)
        .sum::<f64>()
        / n;
    let (mut absolute, mut squares, mut cubes) = (0.0, 0.0, 0.0);
    for (count, value) in left_out {
        let influence = mean - value;
        absolute += count * influence.abs();
        squares += count * influence * influence;
        cubes += count * influence * influence * influence;
    }
    if squares > 0.0 {
        (
            cubes / (6.0 * squares.powf(1.5)),
            absolute * absolute / squares,
        )
    } else {
        (0.0, 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::{clopper_pearson, close};

    fn accuracy(counts: &[u64]) -> f64 {
        counts[0] as f64 / (counts[0] + counts[1]) as f64
    }

    #[test]
    fn replicates_keep_the_number_of_rows_and_the_expected_counts() {
        let counts = [500, 0, 20, 3, 1477];
        let mut sums = [0; 5];
        resample_cells(&counts, 2000, 7, |drawn| {
            assert_eq!(drawn.iter().sum::<u64>(), 2000);
            for (sum, count) in sums.iter_mut().zip(drawn) {
                *sum += count;
            }
        });
        for (sum, count) in sums.iter().zip(counts) {
            // Four standard errors of the mean of 2,000 counts.
            let allowed = 4.0 * (count as f64 / 2000.0).sqrt();
            assert!((*sum as f64 / 2000.0 - count as f64).abs() <= allowed);
        }
        let draws = |seed| {
            let mut all = Vec::new();
            resample_cells(&counts, 3, seed, |drawn| all.extend_from_slice(drawn));
            all
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
    }

    /// Independent source: SciPy 1.17 `scipy.stats.bootstrap` of 1,000 rows with 850 ones, 20,000 resamples: both intervals from
    /// 0.827 to 0.871. A replicate moves in thousandths.
    #[test]
    fn intervals_of_accuracy_match_scipy() {
        let [bootstrap] = &CellBootstrap::of(&[850, 150], 20_000, 1, &[&accuracy])[..] else {
            unreachable!("one statistic");
        };
        let percentile = bootstrap.percentile(0.95).unwrap();
        let bca = bootstrap.bca(0.95).unwrap();
        for (found, expected) in [
            (percentile.lower, 0.827),
            (percentile.upper, 0.871),
            (bca.lower, 0.827),
            (bca.upper, 0.871),
        ] {
            assert!((found - expected).abs() <= 0.001_001, "{found} {expected}");
        }
        let exact = clopper_pearson(850, 1000, 0.95).unwrap();
        assert!((bca.lower - exact.lower).abs() < 0.002);
    }

    /// The acceleration of a mean is its skewness over 6 √n: for 850 ones in 1,000, (1 − 2p) / √(p (1 − p)) / (6 √n).
    #[test]
    fn the_acceleration_of_a_mean_is_its_skewness() {
        let (acceleration, n_effective) = jackknife(&[850, 150], &accuracy);
        let skewness = (1.0 - 2.0 * 0.85) / (0.85_f64 * 0.15).sqrt();
        close(acceleration, skewness / (6.0 * 1000.0_f64.sqrt()));
        // (Σ|x|)² / Σx² of 850 times 0.15 and 150 times 0.85.
        close(n_effective, 255.0 * 255.0 / 127.5);
    }

    #[test]
    fn common_draws_keep_a_difference_of_equal_statistics_at_zero() {
        let all = CellBootstrap::of(&[85, 15], 500, 1, &[&accuracy, &accuracy]);
        assert_eq!(all[0], all[1]);
    }

    #[test]
    fn outside_the_claim_there_is_a_reason() {
        let reason = |counts: &[u64], n_replicates, statistic: &dyn Fn(&[u64]) -> f64| {
            CellBootstrap::of(counts, n_replicates, 1, &[statistic])[0]
                .bca(0.95)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(reason(&[0, 0], 1000, &|_| 1.0), "no rows");
        assert_eq!(
            reason(&[50, 50], 399, &accuracy),
            "too few bootstrap replicates: 399, at least 400 needed"
        );
        assert_eq!(
            reason(&[100, 0], 400, &accuracy),
            "no variation: all 100 rows have the same value"
        );
        assert_eq!(
            reason(&[998, 2], 400, &accuracy),
            "a few rows decide the value: as good as 8 rows, at least 40 needed"
        );
        let often_undefined = |counts: &[u64]| match counts[0] {
            0..45 => f64::NAN,
            _ => accuracy(counts),
        };
        let message = reason(&[50, 50], 400, &often_undefined);
        assert!(
            message.ends_with("of 400 bootstrap replicates"),
            "{message}"
        );
    }

    #[test]
    fn undefined_replicates_widen_it() {
        let sometimes = |counts: &[u64]| match counts[2] {
            0 => f64::NAN,
            _ => accuracy(counts),
        };
        let all = CellBootstrap::of(&[80, 20, 5], 4000, 3, &[&accuracy, &sometimes]);
        assert!((1..80).contains(&all[1].n_undefined));
        let (plain, widened) = (
            all[0].percentile(0.95).unwrap(),
            all[1].percentile(0.95).unwrap(),
        );
        assert!(widened.lower < plain.lower && plain.upper < widened.upper);
    }
}
