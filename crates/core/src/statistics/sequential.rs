//! Tests that may be looked at after every row: e-processes over fresh rows, and levels for repeated looks at the same rows.
//!
//! An e-value is a wager against the hypothesis that the new model is not worse: a fair one, so that it ever reaches 1/α with probability
//! at most α however often it is looked at (J. Ville, 1939). The wagers here are mixtures over fixed bets, so counts are all their state.
//! Rows must be fresh: over models judged on the same rows the wagers share their luck, and [`look_level`] is the rule.

use std::f64::consts::{LN_2, TAU};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::special::{regularized_beta, stirling_error};

/// Bets of the mixture, halving twice an octave from nearly all that may be staked down to 1/181 of it.
const N_BETS: i32 = 16;

/// Rows that two models have both answered so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PairedRows {
    /// Right by the new model alone.
    pub n_gained: u64,
    /// Right by the old model alone.
    pub n_lost: u64,
    /// Right, or wrong, by both.
    pub n_same: u64,
}

impl PairedRows {
    /// Counts one row.
    pub const fn record(&mut self, is_new_right: bool, is_old_right: bool) {
        match (is_new_right, is_old_right) {
            (true, false) => self.n_gained += 1,
            (false, true) => self.n_lost += 1,
            (true, true) | (false, false) => self.n_same += 1,
        }
    }

    /// Number of rows.
    pub const fn n(self) -> u64 {
        self.n_gained + self.n_lost + self.n_same
    }

    /// These rows and `other` ones.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            n_gained: self.n_gained + other.n_gained,
            n_lost: self.n_lost + other.n_lost,
            n_same: self.n_same + other.n_same,
        }
    }

    /// The same rows, with the two models in each other's place.
    const fn swapped(self) -> Self {
        Self {
            n_gained: self.n_lost,
            n_lost: self.n_gained,
            n_same: self.n_same,
        }
    }

    /// Natural logarithm of the e-value against "gained less lost, a row, is at least `least`", for `least` in (−1, 1): by the discordant rows
    /// alone where it is 0, else by betting.
    pub fn ln_e_below(&self, least: f64) -> f64 {
        if least == 0.0 {
            self.ln_e_discordant()
        } else {
            self.ln_e_worse_than(-least)
        }
    }

    /// Natural logarithm of the e-value against the opposite, "gained less lost, a row, is at most `least`".
    pub fn ln_e_above(&self, least: f64) -> f64 {
        self.swapped().ln_e_below(-least)
    }

    /// Natural logarithm of the e-value against "a discordant row is lost with probability at most one half".
    ///
    /// The likelihood ratio against one half, mixed over lost shares above one half by the upper half of Beta(1/2, 1/2):
    /// 2^(n + 1) / π times the integral of q^(lost − 1/2) (1 − q)^(gained − 1/2) from 1/2 to 1, n being the discordant rows.
    /// H. Robbins (1970), Annals of Mathematical Statistics 41, 1397–1409; the prior is that of R. E. Krichevsky and V. K. Trofimov (1981).
    pub fn ln_e_discordant(&self) -> f64 {
        let (gained, lost) = (self.n_gained as f64 + 0.5, self.n_lost as f64 + 0.5);
        let n = gained + lost - 1.0;
        (n + 1.0) * LN_2 - (TAU / 2.0).ln()
            + ln_beta(lost, gained)
            + regularized_beta(gained, lost, 0.5).ln()
    }

    /// Natural logarithm of the e-value against "gained less lost, a row, is at least −`tolerance`".
    ///
    /// Each row multiplies the wager by 1 − λ (x + tolerance), x being 1 for a gained row, −1 for a lost one and 0 else, for bets λ that
    /// cannot go bankrupt; the wagers of all bets are averaged. I. Waudby-Smith and A. Ramdas (2024), "Estimating means of bounded random
    /// variables by betting", Journal of the Royal Statistical Society B 86, 1–27. `tolerance` is in (−1, 1): a negative one asks for a gain.
    pub fn ln_e_worse_than(&self, tolerance: f64) -> f64 {
        let Self {
            n_gained,
            n_lost,
            n_same,
        } = *self;
        let wagers: Vec<f64> = (0..N_BETS)
            .map(|index| {
                // Not all of it: a single gained row would end the wager.
                let stake = 0.98 * (-0.5 * f64::from(index)).exp2() / (1.0 + tolerance);
                n_gained as f64 * (-stake * (1.0 + tolerance)).ln_1p()
                    + n_lost as f64 * (stake * (1.0 - tolerance)).ln_1p()
                    + n_same as f64 * (-stake * tolerance).ln_1p()
            })
            .collect();
        let largest = wagers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = wagers.iter().map(|wager| (wager - largest).exp()).sum();
        largest + (sum / f64::from(N_BETS)).ln()
    }
}

/// Whether an e-value, by its natural logarithm, rejects at `alpha`. Once it has, no later row takes that back.
pub fn e_rejects(ln_e: f64, alpha: f64) -> bool {
    ln_e >= -alpha.ln()
}

/// The level at which the `look`-th model judged on the same rows is tested, counted from 1: the levels of all looks sum to `alpha`.
///
/// The sum of 1 / (k (k + 1)) over all k is 1 and Bonferroni's inequality holds for any dependence, so no number of looks is agreed on.
pub fn look_level(alpha: f64, look: u64) -> f64 {
    let look = look.max(1) as f64;
    alpha / (look * (look + 1.0))
}

/// ln B(`a`, `b`).
pub(super) fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

fn ln_gamma(x: f64) -> f64 {
    (x - 0.5) * x.ln() - x + 0.5 * TAU.ln() + stirling_error(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::close;

    const fn rows(n_gained: u64, n_lost: u64, n_same: u64) -> PairedRows {
        PairedRows {
            n_gained,
            n_lost,
            n_same,
        }
    }

    /// Independent source: mpmath 1.4 `quad` of the mixture with 40 digits, `2**n * 2 / pi * q**(lost - .5) * (1 - q)**(gained - .5)` over 1/2 to 1.
    #[test]
    fn the_discordant_e_value_matches_numerical_integration() {
        close(rows(0, 0, 7).ln_e_discordant(), 0.0);
        for (n_gained, n_lost, expected) in [
            (0, 1, 0.492_633_000_406_600_5),
            (3, 12, 1.973_180_005_307_663_1),
            (12, 3, -2.790_879_138_288_668),
            (200, 260, 1.322_857_585_274_167_3),
        ] {
            close(rows(n_gained, n_lost, 3).ln_e_discordant(), expected);
        }
        assert!(rows(4000, 1, 0).ln_e_discordant() < -2000.0);
    }

    /// By hand: one lost row multiplies each bet λ by 1 + λ (1 − d), one gained row by 1 − λ (1 + d).
    #[test]
    fn the_betting_e_value_of_single_rows_is_computed_by_hand() {
        let mean = |factor: &dyn Fn(f64) -> f64, tolerance: f64| {
            let bets =
                (0..16).map(|idx| 0.98 * f64::powf(2.0, -0.5 * f64::from(idx)) / (1.0 + tolerance));
            (bets.map(factor).sum::<f64>() / 16.0).ln()
        };
        for tolerance in [0.02, -0.02] {
            let lost = rows(0, 1, 0).ln_e_worse_than(tolerance);
            close(lost, mean(&|bet| 1.0 + bet * (1.0 - tolerance), tolerance));
            let gained = rows(1, 0, 0).ln_e_worse_than(tolerance);
            close(
                gained,
                mean(&|bet| 1.0 - bet * (1.0 + tolerance), tolerance),
            );
        }
        let some = rows(3, 12, 50);
        close(some.ln_e_below(-0.02), some.ln_e_worse_than(0.02));
        close(some.ln_e_below(0.0), some.ln_e_discordant());
        close(
            some.ln_e_above(-0.02),
            rows(12, 3, 50).ln_e_worse_than(-0.02),
        );
        close(some.ln_e_above(0.0), rows(12, 3, 50).ln_e_discordant());
    }

    /// Under the hypothesis the expected e-value is one: summed over all outcomes of ten rows.
    #[test]
    fn both_are_fair_wagers() {
        let factorial = |n: u64| (1..=n).map(|i| i as f64).product::<f64>();
        for tolerance in [0.0, 0.02, 0.3, -0.05] {
            let (gained, lost) = (0.2, 0.2 + tolerance);
            let (mut discordant, mut mean) = (0.0, 0.0);
            for n_gained in 0..=10 {
                for n_lost in 0..=10 - n_gained {
                    let rows = rows(n_gained, n_lost, 10 - n_gained - n_lost);
                    let probability = factorial(10)
                        / factorial(n_gained)
                        / factorial(n_lost)
                        / factorial(rows.n_same)
                        * f64::powf(gained, n_gained as f64)
                        * f64::powf(lost, n_lost as f64)
                        * f64::powf(1.0 - gained - lost, rows.n_same as f64);
                    discordant += probability * rows.ln_e_discordant().exp();
                    mean += probability * rows.ln_e_worse_than(tolerance).exp();
                }
            }
            close(mean, 1.0);
            if tolerance == 0.0 {
                close(discordant, 1.0);
            }
        }
    }

    #[test]
    fn lost_rows_raise_them_and_gained_ones_lower_them() {
        let base = rows(10, 20, 500);
        let mut lost = base;
        lost.record(false, true);
        let mut gained = base;
        gained.record(true, false);
        let mut same = base;
        same.record(true, true);
        same.record(false, false);
        assert_eq!((lost.n_lost, gained.n_gained, same.n_same), (21, 11, 502));
        for e in [
            |rows: PairedRows| rows.ln_e_discordant(),
            |rows: PairedRows| rows.ln_e_worse_than(0.01),
        ] {
            assert!(e(gained) < e(base) && e(base) < e(lost));
        }
        assert!(same.ln_e_worse_than(0.01) < base.ln_e_worse_than(0.01));
        assert_eq!(same.ln_e_discordant(), base.ln_e_discordant());
    }

    #[test]
    fn a_clear_drop_is_found_and_a_tolerated_one_is_not() {
        let drop = rows(20, 80, 1900);
        assert!(e_rejects(drop.ln_e_discordant(), 0.025));
        assert!(e_rejects(drop.ln_e_worse_than(0.0), 0.025));
        assert!(!e_rejects(drop.ln_e_worse_than(0.03), 0.025));
        assert!(e_rejects((1.0_f64 / 0.025).ln() + 1e-12, 0.025));
    }

    #[test]
    fn the_levels_of_all_looks_sum_to_alpha() {
        close(look_level(0.05, 1), 0.025);
        close(look_level(0.05, 30), 0.05 / 930.0);
        let sum: f64 = (1..=1000).map(|look| look_level(0.05, look)).sum();
        close(sum, 0.05 * (1.0 - 1.0 / 1001.0));
    }
}
