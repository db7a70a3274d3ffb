//! The difference of two figures of independent samples.

use super::{Interval, IntervalMethod};

/// The interval of `left - right`, from an interval of each at one level.
///
/// MOVER, the method of variance estimates recovery: G. Y. Zou and A. Donner (2008), Statistics in Medicine 27, 1693–1702;
/// for proportions the square-and-add method of R. G. Newcombe (1998), Statistics in Medicine 17, 873–890.
pub fn difference(
    (left, of_left): (f64, &Interval),
    (right, of_right): (f64, &Interval),
) -> Interval {
    let estimate = left - right;
    Interval {
        lower: estimate - (left - of_left.lower).hypot(of_right.upper - right),
        upper: estimate + (of_left.upper - left).hypot(right - of_right.lower),
        confidence: of_left.confidence,
        method: IntervalMethod::MoverDifference,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::close;

    fn interval(lower: f64, upper: f64) -> Interval {
        Interval {
            lower,
            upper,
            confidence: 0.95,
            method: IntervalMethod::ClopperPearson,
        }
    }

    /// Independent source: Newcombe (1998), table II, example (a), 56/70 against 48/80, whose method 10 combines Wilson's
    /// intervals to 0.0524 to 0.3339.
    #[test]
    fn newcombes_example_is_reached_from_wilsons_intervals() {
        let (left, right) = (
            interval(0.691_834, 0.876_953),
            interval(0.490_455, 0.700_382),
        );
        let found = difference((0.8, &left), (0.6, &right));
        assert!((found.lower - 0.0524).abs() < 1e-4, "{found:?}");
        assert!((found.upper - 0.3339).abs() < 1e-4, "{found:?}");
    }

    #[test]
    fn it_is_mirrored() {
        let (left, right) = (interval(0.7, 0.9), interval(0.4, 0.7));
        let one = difference((0.8, &left), (0.6, &right));
        let other = difference((0.6, &right), (0.8, &left));
        close(one.lower, -other.upper);
        close(one.upper, -other.lower);
    }
}
