//! The candidate beside its baseline: which rows were gained and lost, and whether a change is within what a rule allows.

use super::bound::Bound;
use super::decision::Outcome;
use super::rule::Rule;
use super::scorecard::Scorecard;
use super::verdict::{Comparison, PairedComparison};
use crate::figure::{self, figure, percent, slack, told_apart};
use crate::measurement::{Direction, Measurement, MetricKey};
use crate::row_set::RowMatch;
use crate::statistics::{self, Interval};

/// A candidate and the baseline that it is compared with.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    pub(super) new: &'a Scorecard,
    pub(super) old: &'a Scorecard,
    pub(super) rows: RowMatch,
}

impl<'a> Pair<'a> {
    pub(super) fn new(new: &'a Scorecard, old: &'a Scorecard) -> Self {
        Self {
            new,
            old,
            rows: new.rows_match(old),
        }
    }

    /// Whether both come from one and the same predictions.
    pub(super) fn has_same_predictions(&self) -> bool {
        self.new.predictions_digest.is_some()
            && self.new.predictions_digest == self.old.predictions_digest
    }

    /// Accuracy compared row by row; `None` unless both judged the same rows and say which they predict wrong.
    pub(super) fn paired(&self, confidence: f64) -> Option<PairedComparison> {
        let (new, old) = (
            self.new.missed_rows.as_ref()?,
            self.old.missed_rows.as_ref()?,
        );
        if self.rows.is_same() != Some(true) || new.n_rows() != old.n_rows() {
            return None;
        }
        let (n_gained, n_lost, n_rows) = (old.n_not_in(new), new.n_not_in(old), new.n_rows());
        Some(PairedComparison {
            n_rows,
            n_gained,
            n_lost,
            interval: statistics::tango(n_gained, n_lost, n_rows, confidence)?,
            smallest_detectable: statistics::smallest_detectable(
                n_gained, n_lost, n_rows, confidence,
            )?,
        })
    }

    /// The metric `key` of both, with its improvement. `measured` is the candidate's.
    pub(super) fn compare(
        &self,
        measured: &Measurement,
        direction: Option<Direction>,
    ) -> Comparison {
        let baseline = self
            .old
            .get(&measured.key)
            .map(Measurement::without_evidence);
        let direction = direction.or(measured.direction);
        let change = baseline.as_ref().zip(direction).map(|(old, direction)| {
            let value = direction.improvement(measured.value, old.value);
            Measurement {
                n_rows: measured.n_rows,
                ..Measurement::bare(
                    measured.key.clone(),
                    value,
                    measured.unit,
                    Some(Direction::HigherIsBetter),
                )
            }
        });
        Comparison {
            key: measured.key.clone(),
            measured: Some(measured.without_evidence()),
            baseline,
            change,
        }
    }
}

/// Whether the change in `comparison` is within `bound`, and why, as a clause. Where the rule asks for a confidence, the
/// interval of the change is put into `comparison`, and it alone decides.
pub(super) fn judge_change(
    rule: &Rule,
    bound: Bound,
    pair: &Pair<'_>,
    comparison: &mut Comparison,
) -> (Outcome, String) {
    if let RowMatch::Different { reason } = &pair.rows {
        return (
            Outcome::NotJudged,
            format!("the baseline was scored on other rows ({reason})"),
        );
    }
    let key = &comparison.key;
    let (Some(measured), Some(baseline)) = (&comparison.measured, &comparison.baseline) else {
        return (Outcome::NotJudged, missing_in_baseline(pair.old, key));
    };
    let Some(change) = &mut comparison.change else {
        return (
            Outcome::NotJudged,
            format!(
                "it is not known which way `{}` is better: add `direction` to the rule",
                key.metric
            ),
        );
    };
    let (new, old) = figure::pair(measured.value, baseline.value);
    let shown = format!("{new} against {old}");
    let Some(least) = bound.least_improvement(baseline.value) else {
        return (
            Outcome::Missed,
            format!("{shown}: no gain in per cent can be had over a baseline of 0"),
        );
    };
    let slack = slack(&[measured.value, baseline.value, least]);
    let Some(level) = rule.confidence else {
        let outcome = if change.value >= least - slack {
            Outcome::Holds
        } else {
            Outcome::Missed
        };
        let reason = format!("{shown}: {}", against_bound(outcome, change.value, least));
        return (outcome, reason);
    };
    let Some(paired) = pair.paired(level) else {
        let reason = "the rows predicted wrong are not known for both, so the two cannot be compared row by row";
        return (Outcome::NotJudged, reason.to_owned());
    };
    change.interval = Some(paired.interval);
    let outcome = by_interval(&paired.interval, least, slack);
    let held_fixed = match bound {
        Bound::MaxDropPct(_) | Bound::MinGainPct(_) => ", taking the baseline's value as exact",
        _ => "",
    };
    let reason = format!(
        "{shown}: change of {} at {} % (Tango){held_fixed}; smallest detectable change: about {}",
        signed_interval(&paired.interval),
        percent(level),
        figure(paired.smallest_detectable)
    );
    (outcome, reason)
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

/// Both ends with their signs, so that it is seen on which side of 0 they lie.
fn signed_interval(interval: &Interval) -> String {
    format!(
        "{} to {}",
        figure::signed(interval.lower),
        figure::signed(interval.upper)
    )
}

fn missing_in_baseline(old: &Scorecard, key: &MetricKey) -> String {
    match old.why_undefined(key) {
        Some(reason) => format!("the baseline has no value of `{key}`: {reason}"),
        None => format!("the baseline has no metric `{key}`"),
    }
}
