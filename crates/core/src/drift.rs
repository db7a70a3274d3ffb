//! How far a distribution of today lies from a reference: two histograms over the same bins in, distances out.
//!
//! Counts alone, so a server can compute it from a few numbers a feature. Both distances have a distribution without drift that depends
//! on the number of rows behind each histogram, and say where in it they lie.

#[cfg(test)]
mod tests;

/// Added to each bin's count before shares are taken, so that a bin that is empty in one histogram has a finite logarithm in the index: the
/// Jeffreys prior. Its effect on the index without drift is of second order in 1 / rows.
const PRIOR: f64 = 0.5;

/// The population stability index: sum of `(p - q) ln(p / q)` over the bins' shares `p` today and `q` in the reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PopulationStability {
    /// The index as it is usually defined, over shares with [`PRIOR`] added to each count. At least 0.
    pub index: f64,
    /// Its mean where both are samples of one distribution: `(bins - 1) (1 / n + 1 / m)` for `n` and `m` values.
    ///
    /// Yurdakul (2018), *Statistical Properties of Population Stability Index*, Western Michigan University, dissertation 3208: the index
    /// is then distributed as `(1 / n + 1 / m)` times a chi-square of `bins - 1` degrees of freedom.
    pub expected: f64,
}

impl PopulationStability {
    /// Compares two histograms over the same bins. `None` if either is empty or they differ in length.
    ///
    /// A bin that is empty in both does not count.
    pub fn between(reference: &[u64], today: &[u64]) -> Option<Self> {
        let (m, n) = totals(reference, today)?;
        let used = |(of_reference, of_today): &(&u64, &u64)| **of_reference + **of_today > 0;
        let n_bins = reference.iter().zip(today).filter(used).count() as f64;
        let share = |count: u64, n: f64| (count as f64 + PRIOR) / (n + PRIOR * n_bins);
        let bins = reference.iter().zip(today).filter(used);
        let terms = bins.map(|(&of_reference, &of_today)| {
            let (p, q) = (share(of_today, n), share(of_reference, m));
            (p - q) * (p / q).ln()
        });
        Some(Self {
            index: terms.sum(),
            expected: (n_bins - 1.0) * (1.0 / n + 1.0 / m),
        })
    }

    /// The index less its expectation: around 0 without drift, however many rows there are. By convention (Siddiqi 2006, *Credit Risk
    /// Scorecards*) 0.1 is a small shift and 0.25 a large one.
    pub fn excess(self) -> f64 {
        self.index - self.expected
    }
}

/// The two-sample Kolmogorov-Smirnov test over the edges of bins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KolmogorovSmirnov {
    /// The largest difference between the two cumulative shares at an edge: at most that of the values themselves.
    pub distance: f64,
    /// How often a distance at least as large occurs without drift, by Kolmogorov's limiting distribution. Ties within bins make it
    /// conservative.
    pub p_value: f64,
}

impl KolmogorovSmirnov {
    /// Compares two histograms over the same ascending bins. `None` if either is empty or they differ in length.
    pub fn between(reference: &[u64], today: &[u64]) -> Option<Self> {
        let (m, n) = totals(reference, today)?;
        let (mut below_m, mut below_n, mut distance) = (0, 0, 0.0_f64);
        for (of_reference, of_today) in reference.iter().zip(today) {
            below_m += of_reference;
            below_n += of_today;
            distance = distance.max((below_n as f64 / n - below_m as f64 / m).abs());
        }
        let rows = n * m / (n + m);
        Some(Self {
            distance,
            p_value: kolmogorov_tail(rows.sqrt() * distance),
        })
    }
}

/// Values in each histogram, as reference and today.
fn totals(reference: &[u64], today: &[u64]) -> Option<(f64, f64)> {
    let (m, n): (u64, u64) = (reference.iter().sum(), today.iter().sum());
    (reference.len() == today.len() && m > 0 && n > 0).then_some((m as f64, n as f64))
}

/// The probability that Kolmogorov's limiting distribution exceeds `x`, by the series that converges fast there: Marsaglia, Tsang and Wang
/// (2003), *Evaluating Kolmogorov's Distribution*, Journal of Statistical Software 8(18).
fn kolmogorov_tail(x: f64) -> f64 {
    const N_TERMS: u32 = 20;
    const BOTH_CONVERGE: f64 = 1.0;
    if x <= 0.0 {
        return 1.0;
    }
    let terms = (1..=N_TERMS).map(f64::from);
    if x < BOTH_CONVERGE {
        let pi = std::f64::consts::PI;
        let term = |k: f64| (-((2.0 * k - 1.0) * pi / x).powi(2) / 8.0).exp();
        1.0 - (2.0 * pi).sqrt() / x * terms.map(term).sum::<f64>()
    } else {
        let term = |k: f64| {
            let sign = if k % 2.0 == 1.0 { 2.0 } else { -2.0 };
            sign * (-2.0 * (k * x).powi(2)).exp()
        };
        terms.map(term).sum()
    }
}

/// The bin of each class, such that there are at most `max_bins`: where there are more classes, those with the highest counts keep a bin of
/// their own and the last bin holds all others.
pub fn class_bins(counts: &[u64], max_bins: usize) -> Vec<usize> {
    if counts.len() <= max_bins {
        return (0..counts.len()).collect();
    }
    let mut order: Vec<usize> = (0..counts.len()).collect();
    // Stable: of equal counts the first class.
    order.sort_by_key(|&class| std::cmp::Reverse(counts[class]));
    let mut bins = vec![max_bins - 1; counts.len()];
    for (bin, &class) in order.iter().take(max_bins - 1).enumerate() {
        bins[class] = bin;
    }
    bins
}
