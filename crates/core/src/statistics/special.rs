//! Special functions and quantiles: the incomplete beta function and what follows from it.
//!
//! Written here because the quantiles of published crates hang or lose digits for the arguments that a large test set brings:
//! Clopper-Pearson's upper end at 10 errors of ten million rows is a quantile of Beta(11, 9 999 990).

use std::f64::consts::PI;

/// The regularised incomplete beta function: P(X ≤ `x`) for X of the Beta(`a`, `b`) distribution, `a` and `b` above 0.
pub fn regularized_beta(a: f64, b: f64, x: f64) -> f64 {
    beta_tails(a, b, x).0
}

/// The `probability` quantile of the Beta(`a`, `b`) distribution, `a` and `b` above 0.
///
/// Newton's steps inside a bracket. Where a step leaves the bracket or the last one did not halve the error, the bracket is halved by the
/// bits of its ends, so that quantiles of any magnitude, also subnormal ones, are reached.
pub fn inverse_regularized_beta(a: f64, b: f64, probability: f64) -> f64 {
    if probability <= 0.0 {
        return 0.0;
    }
    if probability >= 1.0 {
        return 1.0;
    }
    let (mut below, mut above) = (0.0_f64, 1.0_f64);
    let mut x = a / (a + b);
    let mut previous = f64::INFINITY;
    loop {
        let (lower, upper) = beta_tails(a, b, x);
        // The smaller tail carries more digits.
        let excess = if probability < 0.5 {
            lower - probability
        } else {
            (1.0 - probability) - upper
        };
        if excess == 0.0 {
            return x;
        }
        if excess < 0.0 {
            below = x;
        } else {
            above = x;
        }
        let density = beta_power(a, b, x) / (x * (1.0 - x));
        let newton = x - excess / density;
        let is_inside = newton > below && newton < above;
        if is_inside && (newton - x).abs() <= 2.0 * f64::EPSILON * x {
            return newton;
        }
        x = if is_inside && excess.abs() <= previous / 2.0 {
            newton
        } else {
            f64::from_bits(below.to_bits().midpoint(above.to_bits()))
        };
        previous = excess.abs();
        // The bracket shrinks with every step, so this comes true.
        if x <= below || x >= above {
            return x;
        }
    }
}

/// The quantile of Student's t distribution for `probability` in (0, 1).
pub fn student_quantile(probability: f64, degrees_of_freedom: f64) -> f64 {
    let central = 2.0 * (probability - 0.5);
    // T² / (T² + df) has the Beta(1/2, df/2) distribution; this side of it keeps its digits for many degrees of freedom.
    let share = inverse_regularized_beta(0.5, degrees_of_freedom / 2.0, central.abs());
    (degrees_of_freedom * share / (1.0 - share))
        .sqrt()
        .copysign(central)
}

/// P(X ≤ `k`) for X of the Binomial(`n`, `p`) distribution.
pub fn binomial_cdf(k: u64, n: u64, p: f64) -> f64 {
    if k >= n {
        return 1.0;
    }
    beta_tails((k + 1) as f64, (n - k) as f64, p).1
}

/// P(X ≤ `x`) and P(X > `x`), each with its own digits.
fn beta_tails(a: f64, b: f64, x: f64) -> (f64, f64) {
    if x <= 0.0 {
        return (0.0, 1.0);
    }
    if x >= 1.0 {
        return (1.0, 0.0);
    }
    let power = beta_power(a, b, x);
    let excess = excess(a, b, x);
    // The fraction converges fast on this side of the mean.
    if x < (a + 1.0) / (a + b + 2.0) {
        let lower = power * beta_fraction(a, b, x, 1.0 - x, excess);
        (lower, 1.0 - lower)
    } else {
        let upper = power * beta_fraction(b, a, 1.0 - x, x, -excess);
        (1.0 - upper, upper)
    }
}

/// `a - (a + b) x` by the smaller of `x` and `1 - x`, which has kept its digits.
fn excess(a: f64, b: f64, x: f64) -> f64 {
    if x < 0.5 {
        a - (a + b) * x
    } else {
        (a + b) * (1.0 - x) - b
    }
}

/// `x^a (1 - x)^b / B(a, b)` by the saddle-point expansion, since the difference of three large log-gammas would keep few digits.
///
/// C. Loader (2000), "Fast and Accurate Computation of Binomial Probabilities".
fn beta_power(a: f64, b: f64, x: f64) -> f64 {
    let n = a + b;
    let excess = excess(a, b, x);
    let logarithm = stirling_error(n)
        - stirling_error(a)
        - stirling_error(b)
        - deviance(a, n * x, excess)
        - deviance(b, n * (1.0 - x), -excess);
    // Divided first: the product would overflow for large arguments.
    (a * (b / n) / (2.0 * PI)).sqrt() * logarithm.exp()
}

/// `ln Γ(x + 1)` less Stirling's formula.
pub(super) fn stirling_error(x: f64) -> f64 {
    let mut shifted = x;
    let mut correction = 0.0;
    while shifted < 16.0 {
        correction += (shifted + 0.5) * (1.0 / shifted).ln_1p() - 1.0;
        shifted += 1.0;
    }
    let square = (shifted * shifted).recip();
    let series = 1.0 / 1188.0;
    let series = 1.0 / 1680.0 - series * square;
    let series = 1.0 / 1260.0 - series * square;
    let series = 1.0 / 360.0 - series * square;
    (1.0 / 12.0 - series * square) / shifted + correction
}

/// `x ln(x / mean) + mean - x`, without cancellation where the two are close; `difference` is `x - mean`.
fn deviance(x: f64, mean: f64, difference: f64) -> f64 {
    if difference.abs() >= 0.1 * (x + mean) {
        return x * (x / mean).ln() - difference;
    }
    let v = difference / (x + mean);
    let square = v * v;
    let mut sum = difference * v;
    let mut term = 2.0 * x * v;
    for j in 1..1000 {
        term *= square;
        let next = sum + term / f64::from(2 * j + 1);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

/// The continued fraction of the incomplete beta function, in the form that adds terms of equal sign for `excess = a - (a + b) x` above 0.
///
/// A. R. DiDonato and A. H. Morris (1992), algorithm 708, ACM Transactions on Mathematical Software 18, 360–373. The textbook form
/// subtracts nearly equal numbers where `a` is large and `x` close to 1.
fn beta_fraction(a: f64, b: f64, x: f64, y: f64, excess: f64) -> f64 {
    let start = 1.0 + excess;
    let first = 1.0 + 1.0 / a;
    let (mut numerator, mut denominator) = (0.0, 1.0);
    let (mut next_numerator, mut next_denominator) = (1.0, start / first);
    let mut fraction = first / start;
    let (mut p, mut s) = (1.0, a + 1.0);
    // Some √max(a, b) terms are needed: the bound is met by 10^12 rows.
    for index in 1..2_000_000 {
        let m = f64::from(index);
        let t = m / a;
        let w = m * (b - m) * x;
        let e = a / s;
        let alpha = p * (p + b / a) * e * e * (w * x);
        let e = (1.0 + t) / (first + 2.0 * t);
        let beta = m + w / s + e * (start + m * (1.0 + y));
        p = 1.0 + t;
        s += 2.0;
        (numerator, next_numerator) = (next_numerator, alpha * numerator + beta * next_numerator);
        (denominator, next_denominator) = (
            next_denominator,
            alpha * denominator + beta * next_denominator,
        );
        let previous = fraction;
        fraction = next_numerator / next_denominator;
        if (fraction - previous).abs() <= f64::EPSILON * fraction {
            break;
        }
        // Kept near one, lest they overflow.
        numerator /= next_denominator;
        denominator /= next_denominator;
        next_numerator = fraction;
        next_denominator = 1.0;
    }
    fraction
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::close;

    /// Independent sources: SciPy 1.17 `scipy.special.betainc`.
    #[test]
    fn the_incomplete_beta_function_matches_scipy() {
        close(regularized_beta(2.0, 3.0, 0.4), 0.5248);
        close(regularized_beta(0.5, 20.0, 0.01), 0.471_369_935_485_015_4);
        close(regularized_beta(50.0, 0.5, 0.99), 0.317_304_397_874_197_3);
        close(regularized_beta(1e6, 1e6, 0.5003), 0.801_928_037_157_870_1);
        // One error in the last digit of x moves this by 1e-10.
        let large = regularized_beta(9_999_990.0, 11.0, 0.999_998_5);
        assert!((large - 0.118_464_229_244_638_9).abs() < 1e-9, "{large}");
        assert_eq!(regularized_beta(2.0, 3.0, 0.0), 0.0);
        assert_eq!(regularized_beta(2.0, 3.0, 1.0), 1.0);
    }

    /// Independent sources: mpmath 1.3 with 40 digits where SciPy 1.17 `betaincinv` keeps fewer than 14 (large arguments), else SciPy.
    #[test]
    fn beta_quantiles_match_scipy_and_mpmath() {
        let check = |a, b, probability, expected: f64| {
            let found = inverse_regularized_beta(a, b, probability);
            let error = (found - expected).abs() / expected;
            assert!(
                error <= 2e-14,
                "Beta({a}, {b}): {found:e} is not {expected:e}"
            );
        };
        check(9_999_990.0, 11.0, 0.025, 0.999_998_160_965_167_3);
        check(2.0, 9_999_999.0, 0.975, 5.571_642_117_360_73e-7);
        check(100_000.0, 11.0, 0.025, 0.999_816_122_541_597_8);
        check(1.0, 1e7, 0.025, -(0.975_f64.ln() / 1e7).exp_m1());
        check(5e6, 5e6, 0.025, 0.499_690_102_505_861_7);
        check(2.5, 0.5, 0.3, 0.789_166_555_012_333);
        check(30.0, 1.0, 0.025, 0.884_296_691_777_972_2);
        check(8.0, 3.0, 0.975, 0.933_260_488_822_265_5);
        check(0.5, 0.5, 0.1, 0.024_471_741_852_423_2);
        // The quantile is some 1e-317: reached, to the digits that a subnormal number has.
        assert!(inverse_regularized_beta(0.005, 3.0, 0.025) < 1e-300);
        assert_eq!(inverse_regularized_beta(2.0, 3.0, 0.0), 0.0);
        assert_eq!(inverse_regularized_beta(2.0, 3.0, 1.0), 1.0);
    }

    /// Independent source: SciPy 1.17 `scipy.stats.t.ppf`.
    #[test]
    fn student_quantiles_match_scipy() {
        for (probability, degrees, expected) in [
            (0.975, 1.0, 12.706_204_736_174_694),
            (0.975, 9.0, 2.262_157_162_798_205),
            (0.975, 199.0, 1.971_956_544_251_753_3),
            (0.975, 1999.0, 1.961_151_420_170_561_3),
            (0.975, 1e6, 1.959_966_356_814_107),
            (0.975, 1e8, 1.959_964_008_262_766_3),
            (0.995, 29.0, 2.756_385_903_670_605),
            (0.9, 4.0, 1.533_206_274_058_944),
            (0.025, 12.0, -2.178_812_829_667_229_3),
        ] {
            close(student_quantile(probability, degrees), expected);
        }
    }

    /// Independent source: SciPy 1.17 `scipy.stats.binom.cdf`.
    #[test]
    fn binomial_tails_match_scipy() {
        close(binomial_cdf(3, 10, 0.3), 0.649_610_718_4);
        close(binomial_cdf(940, 2000, 0.5), 0.003_888_559_450_989_371_5);
        close(binomial_cdf(10, 10, 0.3), 1.0);
        close(
            binomial_cdf(4_997_000, 10_000_000, 0.5),
            0.028_910_642_657_921_592,
        );
    }
}
