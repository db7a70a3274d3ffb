//! Several hypotheses at once: Holm's procedure where a false alarm must stay rare over all of them, Benjamini and Hochberg's where only
//! the share of false ones among those flagged must.

/// Holm's adjusted p-values, in the order given: a hypothesis is rejected at a familywise level of at least its value, whatever the
/// dependence between the tests. NaN counts as 1.
///
/// S. Holm (1979), "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 65–70.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let order = ascending(p_values);
    let n = order.len();
    let mut adjusted = vec![1.0; n];
    let mut largest = 0.0_f64;
    for (rank, index) in order.into_iter().enumerate() {
        largest = largest.max((n - rank) as f64 * known(p_values[index]));
        adjusted[index] = largest.min(1.0);
    }
    adjusted
}

/// Benjamini and Hochberg's adjusted p-values, in the order given: flagging those up to a level keeps the expected share of false ones
/// among them at most there, for independent or positively dependent tests. NaN counts as 1.
///
/// Y. Benjamini and Y. Hochberg (1995), Journal of the Royal Statistical Society B 57, 289–300.
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let order = ascending(p_values);
    let n = order.len();
    let mut adjusted = vec![1.0; n];
    let mut smallest = 1.0_f64;
    for (rank, index) in order.into_iter().enumerate().rev() {
        smallest = smallest.min(n as f64 / (rank + 1) as f64 * known(p_values[index]));
        adjusted[index] = smallest;
    }
    adjusted
}

/// Smaller levels are not told apart by [`smallest_level`].
pub const SMALLEST_LEVEL: f64 = 1e-15;

/// The smallest level at which a test rejects, which is its p-value: for tests that are an interval asked at a level. 1 where none does.
///
/// `rejects_at` must be monotone: what it rejects at one level it rejects at every larger one. Levels below [`SMALLEST_LEVEL`] are not told apart.
pub fn smallest_level(rejects_at: impl Fn(f64) -> bool) -> f64 {
    let (mut accepted, mut rejected) = (SMALLEST_LEVEL, 1.0);
    if rejects_at(accepted) {
        return accepted;
    }
    // Below one, so that no interval of confidence 0 is asked for.
    let largest = 1.0 - 1e-9;
    if !rejects_at(largest) {
        return 1.0;
    }
    // Halves the logarithm: 1e-12 of the level after some fifty steps.
    while rejected / accepted > 1.0 + 1e-12 {
        let middle = f64::sqrt(accepted * rejected);
        if rejects_at(middle.min(largest)) {
            rejected = middle;
        } else {
            accepted = middle;
        }
    }
    rejected
}

/// One of several tests, as Holm's procedure came to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HolmTest {
    /// All tests.
    pub n_tests: usize,
    /// Tests left at the step that rejected this one, or at the last step.
    pub n_left: usize,
    /// The level at which it was asked there: the familywise one over the tests left.
    pub level: f64,
    /// Whether it is rejected.
    pub is_rejected: bool,
}

/// Holm's decisions at a familywise `level` for tests that are an interval asked at a level.
///
/// Each test is asked at the level that Holm's procedure has come to, and no other: a bootstrap needs the more replicates the smaller its
/// level. With as many tests left as there are, all that reject at level / n do; then again with the rest, until none does.
pub fn holm_by_level(level: f64, tests: &[&dyn Fn(f64) -> bool]) -> Vec<HolmTest> {
    let mut decided = vec![None; tests.len()];
    let mut n_left = tests.len();
    while n_left > 0 {
        let level = level / n_left as f64;
        let found: Vec<usize> = (0..tests.len())
            .filter(|&idx| decided[idx].is_none() && tests[idx](level))
            .collect();
        if found.is_empty() {
            break;
        }
        for idx in &found {
            decided[*idx] = Some(n_left);
        }
        n_left -= found.len();
    }
    decided
        .into_iter()
        .map(|at| HolmTest {
            n_tests: tests.len(),
            n_left: at.unwrap_or(n_left),
            level: level / at.unwrap_or(n_left) as f64,
            is_rejected: at.is_some(),
        })
        .collect()
}

/// The indices by ascending p-value; equal ones keep their order.
fn ascending(p_values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&left, &right| known(p_values[left]).total_cmp(&known(p_values[right])));
    order
}

const fn known(p_value: f64) -> f64 {
    if p_value.is_nan() { 1.0 } else { p_value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::{close, normal_quantile, tango};

    const P_VALUES: [f64; 6] = [0.01, 0.04, 0.03, 0.005, 0.5, 0.03];

    /// Independent source: statsmodels 0.15 `multipletests(p, method="holm")` and `method="fdr_bh"`.
    #[test]
    fn adjusted_p_values_match_statsmodels() {
        for (found, expected) in holm(&P_VALUES)
            .into_iter()
            .zip([0.05, 0.12, 0.12, 0.03, 0.5, 0.12])
        {
            close(found, expected);
        }
        for (found, expected) in benjamini_hochberg(&P_VALUES)
            .into_iter()
            .zip([0.03, 0.048, 0.045, 0.03, 0.5, 0.045])
        {
            close(found, expected);
        }
        assert_eq!(holm(&[]), [0.0; 0]);
        assert_eq!(holm(&[f64::NAN, 0.01]), [1.0, 0.02]);
        assert_eq!(benjamini_hochberg(&[f64::NAN, 0.01]), [1.0, 0.02]);
    }

    /// A normal mean z standard errors above zero is rejected, one-sided, at every level from 1 − Φ(z).
    #[test]
    fn the_smallest_level_is_the_p_value() {
        let p_value =
            smallest_level(|level| 1.644_853_626_951_472_7 > normal_quantile(1.0 - level));
        assert!((p_value - 0.05).abs() < 1e-11, "{p_value}");
        assert_eq!(smallest_level(|_| false), 1.0);
        assert_eq!(smallest_level(|_| true), 1e-15);
    }

    #[test]
    fn intervals_are_decided_as_their_p_values_would() {
        let counts = [(2, 15), (3, 12), (0, 6), (5, 5), (1, 20), (4, 13)];
        let worse = counts.map(|(n_gained, n_lost)| {
            move |level: f64| {
                tango(n_gained, n_lost, 400, 1.0 - 2.0 * level.min(0.5 - 1e-9))
                    .is_some_and(|interval| interval.upper < 0.0)
            }
        });
        let tests: Vec<&dyn Fn(f64) -> bool> = worse
            .iter()
            .map(|test| test as &dyn Fn(f64) -> bool)
            .collect();
        let p_values: Vec<f64> = tests.iter().map(smallest_level).collect();
        assert!(p_values.is_sorted_by(|_, _| true) && p_values[4] < p_values[0]);
        for level in [0.001, 0.01, 0.05, 0.2] {
            let decisions: Vec<bool> = (holm_by_level(level, &tests).iter())
                .map(|test| test.is_rejected)
                .collect();
            // Step down by hand: the smallest against level / 6, the next against level / 5, and so on until one is not rejected.
            let mut order: Vec<usize> = (0..6).collect();
            order.sort_by(|&left, &right| p_values[left].total_cmp(&p_values[right]));
            let mut is_rejecting = true;
            for (rank, index) in order.into_iter().enumerate() {
                is_rejecting &= tests[index](level / (6 - rank) as f64 * (1.0 + 1e-9));
                assert_eq!(decisions[index], is_rejecting, "{level} {index}");
            }
        }
    }
}
