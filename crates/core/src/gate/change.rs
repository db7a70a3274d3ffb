//! Whether the change from the baseline is within what a rule allows.

use std::fmt::Write as _;

use super::bound::Bound;
use super::change_interval::Found;
use super::computation::Computation;
use super::decision::Outcome;
use super::pair::{Basis, Pair};
use super::rule::Rule;
use super::verdict::Comparison;
use crate::figure::{self, count, figure, percent, slack, told_apart};
use crate::measurement::{Direction, Measurement};
use crate::statistics::Interval;

/// Whether the change in `comparison` is within `bound`, and why, as a clause. Where the rule asks for a confidence, the
/// interval of the change is put into `comparison`, and it alone decides.
pub(super) fn judge_change(
    rule: &Rule,
    bound: Bound,
    pair: &Pair<'_>,
    comparison: &mut Comparison,
) -> (Outcome, String, Option<Computation>) {
    if let Basis::None(reason) = &pair.basis {
        return (Outcome::NotJudged, reason.clone(), None);
    }
    let key = &comparison.key;
    let (measured, baseline) = match pair.sides(key) {
        Ok(sides) => sides,
        Err(reason) => return (Outcome::NotJudged, reason, None),
    };
    let Some(change) = &mut comparison.change else {
        return (
            Outcome::NotJudged,
            format!(
                "it is not known which way `{}` is better: add `direction` to the rule",
                key.metric
            ),
            None,
        );
    };
    let (new, old) = figure::pair(measured.value, baseline.value);
    let mut shown = format!("{new} against {old}");
    if let Basis::Shared(shared) = pair.basis {
        let _ = write!(shown, " on the {} of both", count(shared.n_rows, "row"));
    }
    let Some(least) = bound.least_improvement(baseline.value) else {
        return (
            Outcome::Missed,
            format!("{shown}: no gain in per cent can be had over a baseline of 0"),
            None,
        );
    };
    let slack = slack(&[measured.value, baseline.value, least]);
    if least <= 0.0 && pair.is_unchanged(key, bound) {
        return (
            Outcome::Holds,
            format!("{shown}: unchanged, as both are the same model"),
            None,
        );
    }
    let Some(level) = rule.confidence else {
        let outcome = if change.value >= least - slack {
            Outcome::Holds
        } else {
            Outcome::Missed
        };
        let reason = format!("{shown}: {}", against_bound(outcome, change.value, least));
        return (outcome, reason, None);
    };
    let found = match pair.interval_of_change(measured, baseline, level, least) {
        Ok(found) => found,
        Err(reason) => return (Outcome::NotJudged, reason, None),
    };
    let Found {
        interval,
        detectable,
        computation,
    } = found;
    change.interval = Some(interval);
    let outcome = by_interval(&interval, least, slack);
    let held_fixed = match bound {
        Bound::MaxDropPct(_) | Bound::MinGainPct(_) => ", taking the baseline's value as exact",
        _ => "",
    };
    let reason = format!(
        "{shown}: change of {} at {} % ({}){held_fixed}{detectable}",
        signed_interval(&interval, measured.direction),
        percent(level),
        interval.method.words(),
    );
    (outcome, reason, Some(computation))
}

/// Whether the interval of the change in `measured` at `confidence` lies wholly on the wrong side of `bound`; `None` where
/// there is no such interval.
pub(super) fn is_miss_proven(
    bound: Bound,
    pair: &Pair<'_>,
    measured: &Measurement,
    confidence: f64,
) -> Option<bool> {
    let (measured, baseline) = pair.sides(&measured.key).ok()?;
    let least = bound.least_improvement(baseline.value)?;
    let found = pair
        .interval_of_change(measured, baseline, confidence, least)
        .ok()?;
    let slack = slack(&[measured.value, baseline.value, least]);
    Some(by_interval(&found.interval, least, slack) == Outcome::Missed)
}

/// The lower end must not lie below what is asked for; where the upper end does, the miss is proven.
fn by_interval(interval: &Interval, least: f64, slack: f64) -> Outcome {
    if interval.lower >= least - slack {
        Outcome::Holds
    } else if interval.upper < least - slack {
        Outcome::Missed
    } else {
        Outcome::Uncertain
    }
}

fn against_bound(outcome: Outcome, improvement: f64, least: f64) -> String {
    let (size, wanted) = (improvement.abs(), least.abs());
    let what = match improvement {
        0.0 => return "unchanged".to_owned(),
        improvement if improvement > 0.0 => "better by",
        _ => "worse by",
    };
    match outcome {
        Outcome::Missed if improvement < 0.0 && least < 0.0 => {
            format!(
                "{what} {}, more than {}",
                told_apart(size, wanted),
                figure(wanted)
            )
        }
        Outcome::Missed if improvement > 0.0 => {
            format!(
                "{what} {}, less than {}",
                told_apart(size, wanted),
                figure(wanted)
            )
        }
        _ => format!("{what} {}", figure(size)),
    }
}

/// Both ends of an improvement as a change of the value itself, with their signs, so that it is seen on which side of 0 they lie.
fn signed_interval(interval: &Interval, direction: Option<Direction>) -> String {
    let (lower, upper) = match direction {
        Some(Direction::LowerIsBetter) => (-interval.upper, -interval.lower),
        _ => (interval.lower, interval.upper),
    };
    format!("{} to {}", figure::signed(lower), figure::signed(upper))
}
