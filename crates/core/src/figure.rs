//! How a number, an interval, a change and a count are written: the only place that decides it.
//!
//! A statement made with these figures is true as printed: two numbers that differ are never written alike where the
//! difference matters ([`told_apart`]), and what is left of a rounding error is not written as a change.

use crate::statistics::Interval;

/// Differences below this share of the larger operand are rounding: some thousand times the spacing of f64.
pub const RELATIVE_SLACK: f64 = 1e-12;

const SIGNIFICANT_DIGITS: i32 = 5;

/// How far `a` and `b` may differ by rounding alone: relative to the larger, with no absolute floor.
pub fn slack(operands: &[f64]) -> f64 {
    RELATIVE_SLACK
        * operands
            .iter()
            .fold(0.0, |largest: f64, operand| largest.max(operand.abs()))
}

/// A figure with five significant digits and no trailing zeros.
pub fn figure(value: f64) -> String {
    significant(value, SIGNIFICANT_DIGITS)
}

/// `value` with as many digits, at least five, as tell it apart from `other`.
///
/// `0.8999999762` beside `0.9` is written `0.89999998`, so that "0.89999998 is not at least 0.9" reads true.
pub fn told_apart(value: f64, other: f64) -> String {
    let order = value.partial_cmp(&other);
    (SIGNIFICANT_DIGITS..=17)
        .map(|digits| significant(value, digits))
        .find(|text| {
            let read: Option<f64> = text.parse().ok();
            read.and_then(|read| read.partial_cmp(&other)) == order
        })
        // Seventeen digits give every f64 back, so this is for NaN alone.
        .unwrap_or_else(|| value.to_string())
}

/// Two numbers with as many digits, at least five, as show by how much they differ.
pub fn pair(one: f64, other: f64) -> (String, String) {
    let difference = one - other;
    let texts = |digits| (significant(one, digits), significant(other, digits));
    let shows_difference = |(one, other): &(String, String)| {
        let shown = one.parse::<f64>().ok().zip(other.parse::<f64>().ok());
        shown
            .is_some_and(|(one, other)| (one - other - difference).abs() <= 0.05 * difference.abs())
    };
    (SIGNIFICANT_DIGITS..=17)
        .map(texts)
        .find(shows_difference)
        .unwrap_or_else(|| texts(17))
}

/// A share as a percentage without its sign; 0.999999 is not written `100`.
pub fn percent(share: f64) -> String {
    // The product of a decimal share and 100 is off by rounding in the last digits only.
    let percent = (share * 1e14).round() / 1e12;
    told_apart(percent, if percent < 100.0 { 100.0 } else { 0.0 })
}

/// Numbers of one row of a table, with the same decimals, so that they align.
pub fn aligned(values: &[f64]) -> Vec<String> {
    let texts: Vec<String> = values.iter().map(|&value| figure(value)).collect();
    if texts.iter().any(|text| text.contains(['e', 'N', 'i'])) {
        return texts;
    }
    let decimals = texts
        .iter()
        .map(|text| {
            text.split_once('.')
                .map_or(0, |(_, decimals)| decimals.len())
        })
        .max()
        .unwrap_or(0);
    values
        .iter()
        .map(|value| format!("{value:.decimals$}"))
        .collect()
}

/// Both ends with as many decimals as show the interval's width in two digits: `0.9860 – 0.9902`.
pub fn interval(interval: &Interval) -> String {
    let Interval { lower, upper, .. } = *interval;
    let width = upper - lower;
    if !(1e-9..1e9).contains(&width) {
        return format!(
            "{} – {}",
            told_apart(lower, upper),
            told_apart(upper, lower)
        );
    }
    let decimals = (1 - width.log10().floor() as i32).clamp(0, 12) as usize;
    format!("{lower:.decimals$} – {upper:.decimals$}")
}

/// What `value` is more than `baseline`, with its sign and three significant digits; `±0` where they are equal but for
/// rounding.
pub fn change(value: f64, baseline: f64) -> String {
    let change = value - baseline;
    if change.abs() <= slack(&[value, baseline]) {
        return "±0".to_owned();
    }
    signed(change)
}

/// A difference with its sign and three significant digits.
pub fn signed(change: f64) -> String {
    let text = significant(change.abs(), 3);
    match change {
        0.0 => "±0".to_owned(),
        change if change > 0.0 => format!("+{text}"),
        _ => format!("−{text}"),
    }
}

/// `1 row`, `2 rows`.
pub fn count(n: impl Into<u64>, singular: &str) -> String {
    match n.into() {
        1 => format!("1 {singular}"),
        n => format!("{n} {singular}s"),
    }
}

fn significant(value: f64, digits: i32) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    if !(1e-9..1e15).contains(&value.abs()) {
        let decimals = digits.max(1) as usize - 1;
        return format!("{value:.decimals$e}");
    }
    let decimals = (digits - 1 - value.abs().log10().floor() as i32).clamp(0, 24) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::IntervalMethod;

    #[test]
    fn figures_have_five_significant_digits() {
        let cases = [
            (0.986_123_4, "0.98612"),
            (1234.567, "1234.6"),
            (1_000_000.3, "1000000"),
            (0.0, "0"),
            (-2.5, "-2.5"),
            (1.5e-10, "1.5000e-10"),
        ];
        for (value, expected) in cases {
            assert_eq!(figure(value), expected);
        }
    }

    #[test]
    fn numbers_that_differ_are_written_differently() {
        let cases = [
            (0.899_999_976_158_142_1, 0.9, "0.89999998"),
            (0.010_000_000_1, 0.01, "0.0100000001"),
            (1_000_000.3, 1_000_000.2, "1000000.3"),
            (0.98, 0.98, "0.98"),
            (0.5, 0.9, "0.5"),
        ];
        for (value, other, expected) in cases {
            assert_eq!(told_apart(value, other), expected);
        }
    }

    #[test]
    fn a_pair_shows_its_difference() {
        let shown = |one, other| {
            let (one, other) = pair(one, other);
            format!("{one} {other}")
        };
        assert_eq!(shown(1_000_000.3, 1_000_000.2), "1000000.3 1000000.2");
        assert_eq!(shown(0.97, 0.98), "0.97 0.98");
        assert_eq!(shown(0.5, 0.5), "0.5 0.5");
    }

    #[test]
    fn a_level_just_below_certainty_is_not_certainty() {
        assert_eq!(
            [0.95, 0.999, 0.999_999, 0.9, 0.29].map(percent),
            ["95", "99.9", "99.9999", "90", "29"]
        );
    }

    #[test]
    fn the_numbers_of_a_row_align() {
        assert_eq!(aligned(&[0.046, 0.0451]), ["0.0460", "0.0451"]);
        assert_eq!(aligned(&[3.0, 2.0]), ["3", "2"]);
    }

    #[test]
    fn signs_are_never_lost_and_rounding_is_no_change() {
        assert_eq!(
            [signed(0.0012), signed(-0.25), signed(0.002_783)],
            ["+0.0012", "−0.25", "+0.00278"]
        );
        assert_eq!(change(0.3, 0.1 + 0.2), "±0");
        // A metric of tiny magnitude that doubled has changed.
        assert_eq!(change(2e-10, 1e-10), "+1.00e-10");
    }

    #[test]
    fn an_interval_has_the_digits_of_its_width() {
        let words = |lower, upper| {
            interval(&Interval {
                lower,
                upper,
                confidence: 0.95,
                method: IntervalMethod::ClopperPearson,
            })
        };
        assert_eq!(words(0.986, 0.990_23), "0.9860 – 0.9902");
        assert_eq!(words(0.030_755, 0.045_353), "0.031 – 0.045");
        assert_eq!(words(2900.1, 3712.9), "2900 – 3713");
        assert_eq!(words(1.0, 1.0), "1 – 1");
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(
            [
                count(0_u64, "row"),
                count(1_u64, "row"),
                count(2_u64, "row")
            ],
            ["0 rows", "1 row", "2 rows"]
        );
    }
}
