//! The candidate beside its baseline: which rows were gained and lost, and whether a change is within what a rule allows.

use std::fmt::Write as _;

use super::bound::Bound;
use super::decision::Outcome;
use super::rule::{CompareRows, Rule};
use super::scorecard::Scorecard;
use super::shared_rows::SharedRows;
use super::verdict::{Comparison, PairedComparison, SharedRowCounts};
use crate::config::GateConfig;
use crate::figure::{self, count, figure, percent, slack, told_apart};
use crate::measurement::{Direction, Measurement, MetricKey};
use crate::metrics::interval_at;
use crate::row_mask::RowMask;
use crate::row_set::RowMatch;
use crate::statistics::{self, Interval};

/// A candidate and the baseline that it is compared with.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    pub(super) new: &'a Scorecard,
    pub(super) old: &'a Scorecard,
    pub(super) rows: RowMatch,
    pub(super) basis: Basis<'a>,
    /// Both on rows that they share, where that was asked for; or why it is not known.
    found: Option<Result<&'a SharedRows, &'a str>>,
}

/// Which rows a change is computed on.
#[derive(Debug)]
pub(super) enum Basis<'a> {
    /// The same rows.
    Same,
    /// The rows that both were scored on.
    Shared(&'a SharedRows),
    /// All rows of each, as two samples.
    Unpaired,
    /// All rows of each; it is not known whether they are the same.
    Unknown,
    /// No change can be computed, for this reason.
    None(String),
}

impl<'a> Pair<'a> {
    pub(super) fn new(
        new: &'a Scorecard,
        old: &'a Scorecard,
        found: Option<&'a Result<Box<SharedRows>, String>>,
        gate: &GateConfig,
    ) -> Self {
        let rows = new.rows_match(old);
        Self {
            basis: basis(&rows, found, gate, [new, old]),
            new,
            old,
            rows,
            found: found.map(|found| match found {
                Ok(shared) => Ok(shared.as_ref()),
                Err(reason) => Err(reason.as_str()),
            }),
        }
    }

    /// Whether both come from one and the same predictions.
    pub(super) fn has_same_predictions(&self) -> bool {
        self.new.predictions_digest.is_some()
            && self.new.predictions_digest == self.old.predictions_digest
    }

    /// Whether both are of one model on the same rows: then nothing has changed, whatever the rows could prove.
    fn is_same_model(&self) -> bool {
        let is_one = self.new.model_digest.is_some()
            && self.new.model_digest == self.old.model_digest
            && matches!(self.rows, RowMatch::Same { .. });
        is_one || self.has_same_predictions()
    }

    /// How many rows there are, where changes are computed on shared ones.
    pub(super) const fn counts(&self) -> Option<SharedRowCounts> {
        match self.basis {
            Basis::Shared(shared) => Some(SharedRowCounts {
                n_rows: shared.n_rows,
                n_gone: shared.n_gone,
                n_relabelled: shared.n_relabelled,
                n_new: shared.n_new,
            }),
            _ => None,
        }
    }

    /// The rows predicted wrong by each, in one order.
    fn missed_rows(&self) -> Option<(&RowMask, &RowMask)> {
        let of_shared = |shared: &'a SharedRows| {
            shared
                .of_candidate
                .missed_rows
                .as_ref()
                .zip(shared.of_baseline.missed_rows.as_ref())
        };
        match self.basis {
            Basis::Same => (self.new.missed_rows.as_ref())
                .zip(self.old.missed_rows.as_ref())
                .or_else(|| of_shared(self.found?.ok()?)),
            Basis::Shared(shared) => of_shared(shared),
            Basis::Unpaired | Basis::Unknown | Basis::None(_) => None,
        }
    }

    /// Accuracy compared row by row; `None` unless both say which of the same rows they predict wrong.
    pub(super) fn paired(&self, confidence: f64) -> Option<PairedComparison> {
        let (new, old) = self.missed_rows()?;
        if new.n_rows() != old.n_rows() {
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

    /// The two measurements whose difference is the change in `key`; or why there are none, as a clause.
    fn sides(&self, key: &MetricKey) -> Result<(&Measurement, &Measurement), String> {
        let find = |found: &'a [Measurement]| found.iter().find(|found| found.key == *key);
        match self.basis {
            Basis::Shared(shared) => {
                let of_both = find(&shared.of_candidate.measurements)
                    .zip(find(&shared.of_baseline.measurements));
                of_both.ok_or_else(|| {
                    let undefined = [&shared.of_candidate, &shared.of_baseline]
                        .into_iter()
                        .flat_map(|side| &side.undefined);
                    let mut undefined = undefined.filter(|found| found.key == *key);
                    match undefined.next() {
                        Some(found) => format!(
                            "`{key}` has no value on the rows that both were scored on: {}",
                            found.reason
                        ),
                        None => missing_in_baseline(self.old, key),
                    }
                })
            }
            _ => find(&self.new.measurements)
                .zip(find(&self.old.measurements))
                .ok_or_else(|| missing_in_baseline(self.old, key)),
        }
    }

    /// Rows behind a change in `key`: of the smaller side, where the two have different rows.
    pub(super) fn n_rows(&self, key: &MetricKey) -> Option<u64> {
        let (new, old) = self.sides(key).ok()?;
        match self.basis {
            Basis::Shared(_) | Basis::Unpaired => Some(new.n_rows?.min(old.n_rows?)),
            Basis::Same | Basis::Unknown | Basis::None(_) => new.n_rows,
        }
    }

    /// The metric `key` of both, with its improvement. `measured` is the candidate's.
    pub(super) fn compare(
        &self,
        measured: &Measurement,
        direction: Option<Direction>,
    ) -> Comparison {
        let key = &measured.key;
        let baseline = self.old.get(key).map(Measurement::without_evidence);
        let direction = direction.or(measured.direction);
        let is_comparable = !matches!(self.basis, Basis::None(_));
        let sides = self.sides(key).ok().filter(|_| is_comparable);
        let change = sides.zip(direction).map(|((new, old), direction)| {
            let value = direction.improvement(new.value, old.value);
            Measurement {
                n_rows: new.n_rows,
                ..Measurement::bare(
                    key.clone(),
                    value,
                    measured.unit,
                    Some(Direction::HigherIsBetter),
                )
            }
        });
        Comparison {
            key: key.clone(),
            measured: Some(measured.without_evidence()),
            baseline,
            change,
        }
    }
}

/// Which rows a change is computed on where the rows match so, and this was `found` about those that both share.
fn basis<'a>(
    rows: &RowMatch,
    found: Option<&'a Result<Box<SharedRows>, String>>,
    gate: &GateConfig,
    cards: [&Scorecard; 2],
) -> Basis<'a> {
    let reason = match rows {
        RowMatch::Same { .. } => return Basis::Same,
        RowMatch::Unknown if gate.compare_rows == CompareRows::Unpaired => return Basis::Unpaired,
        RowMatch::Unknown => return Basis::Unknown,
        RowMatch::Different { reason } => reason,
    };
    let other_rows = format!("the baseline was scored on other rows ({reason})");
    match (gate.compare_rows, found) {
        (CompareRows::Same, _) => Basis::None(other_rows),
        (CompareRows::Unpaired, _) => Basis::Unpaired,
        (CompareRows::Common, None) if !cards.into_iter().all(Scorecard::has_row_ids) => {
            Basis::None(format!(
                "{other_rows}, and rows without a `row_id` cannot be found in the other predictions: add a `row_id` column to the test data"
            ))
        }
        (CompareRows::Common, None) => Basis::None(format!(
            "{other_rows}, and the predictions of both are not at hand"
        )),
        (CompareRows::Common, Some(Err(why))) => Basis::None(format!("{other_rows}, and {why}")),
        (CompareRows::Common, Some(Ok(shared))) if shared.n_rows == 0 => {
            Basis::None("the baseline was scored on none of these rows".to_owned())
        }
        (CompareRows::Common, Some(Ok(shared))) if shared.n_lost() > gate.max_rows_lost => {
            Basis::None(format!(
                "{} of the baseline are gone or relabelled, more than `max_rows_lost = {}` allows",
                count(shared.n_lost(), "row"),
                gate.max_rows_lost
            ))
        }
        (CompareRows::Common, Some(Ok(shared))) => Basis::Shared(shared),
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
    if let Basis::None(reason) = &pair.basis {
        return (Outcome::NotJudged, reason.clone());
    }
    let key = &comparison.key;
    let (measured, baseline) = match pair.sides(key) {
        Ok(sides) => sides,
        Err(reason) => return (Outcome::NotJudged, reason),
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
    let mut shown = format!("{new} against {old}");
    if let Basis::Shared(shared) = pair.basis {
        let _ = write!(shown, " on the {} of both", count(shared.n_rows, "row"));
    }
    let Some(least) = bound.least_improvement(baseline.value) else {
        return (
            Outcome::Missed,
            format!("{shown}: no gain in per cent can be had over a baseline of 0"),
        );
    };
    let slack = slack(&[measured.value, baseline.value, least]);
    if pair.is_same_model() && least <= 0.0 {
        return (
            Outcome::Holds,
            format!("{shown}: unchanged, as both are the same model"),
        );
    }
    let Some(level) = rule.confidence else {
        let outcome = if change.value >= least - slack {
            Outcome::Holds
        } else {
            Outcome::Missed
        };
        let reason = format!("{shown}: {}", against_bound(outcome, change.value, least));
        return (outcome, reason);
    };
    let (interval, detectable) = match pair.interval_of_change(measured, baseline, level) {
        Ok(found) => found,
        Err(reason) => return (Outcome::NotJudged, reason),
    };
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
    (outcome, reason)
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
    let (interval, _) = pair
        .interval_of_change(measured, baseline, confidence)
        .ok()?;
    let slack = slack(&[measured.value, baseline.value, least]);
    Some(by_interval(&interval, least, slack) == Outcome::Missed)
}

impl Pair<'_> {
    /// Whether no more than `most` rows are newly wrong, and how many are.
    pub(super) fn judge_new_errors(&self, most: u64) -> (Outcome, String) {
        if let Basis::None(reason) = &self.basis {
            return (Outcome::NotJudged, reason.clone());
        }
        let Some((new, old)) = self
            .missed_rows()
            .filter(|(new, old)| new.n_rows() == old.n_rows())
        else {
            let reason = "it is not known for both which rows are wrong; numbers are neither right nor wrong";
            return (Outcome::NotJudged, reason.to_owned());
        };
        let n_lost = new.n_not_in(old);
        let shown = format!(
            "{} of {} that the baseline predicts right",
            count(n_lost, "new error"),
            count(old.n_rows() - old.n_set(), "row")
        );
        if n_lost <= most {
            (Outcome::Holds, shown)
        } else {
            (Outcome::Missed, format!("{shown}, more than {most}"))
        }
    }

    /// The interval of the improvement as between two samples.
    fn as_two_samples(
        &self,
        measured: &Measurement,
        baseline: &Measurement,
        level: f64,
    ) -> Result<Interval, String> {
        let of = |found: &Measurement, confusion, whose: &str| {
            interval_at(found, confusion, level)
                .map_err(|error| format!("no interval of {whose}: {error}"))
        };
        let new = of(measured, self.new.confusion.as_ref(), "this model")?;
        let old = of(baseline, self.old.confusion.as_ref(), "the baseline")?;
        let (new, old) = ((measured.value, &new), (baseline.value, &old));
        Ok(match measured.direction {
            Some(Direction::LowerIsBetter) => statistics::difference(old, new),
            _ => statistics::difference(new, old),
        })
    }

    fn rows_not_known(&self) -> String {
        let why = match self.found {
            Some(Err(reason)) => format!(": {reason}"),
            _ => String::new(),
        };
        format!(
            "the predictions of both are not known, so the two cannot be compared row by row{why}"
        )
    }

    /// The interval of the improvement from `baseline` to `measured`, its method, and what else is to be said about it; or
    /// why there is none.
    fn interval_of_change(
        &self,
        measured: &Measurement,
        baseline: &Measurement,
        level: f64,
    ) -> Result<(Interval, String), String> {
        if matches!(self.basis, Basis::Unpaired) {
            let interval = self.as_two_samples(measured, baseline, level)?;
            return Ok((interval, String::new()));
        }
        if matches!(self.basis, Basis::Unknown) {
            return Err(
                "it is not known whether the baseline was scored on the same rows".to_owned(),
            );
        }
        let key = &measured.key;
        let change = self.found.and_then(Result::ok).and_then(|shared| {
            let found = shared.changes.iter().find(|change| change.key == *key);
            found.map(Ok).or_else(|| {
                let absent = shared.no_changes.iter().find(|absent| absent.key == *key);
                absent.map(|absent| Err(absent.reason.clone()))
            })
        });
        let (interval, detectable) = match change {
            Some(Ok(change)) => (
                change
                    .interval(level)
                    .map_err(|reason| format!("no interval holds here: {reason}"))?,
                change.smallest_detectable(level),
            ),
            // Accuracy needs no more than the rows that each predicts wrong.
            None if *key == MetricKey::overall("accuracy") => {
                let paired = self.paired(level).ok_or_else(|| self.rows_not_known())?;
                (paired.interval, Some(paired.smallest_detectable))
            }
            _ if key.fold.is_some() => (self.as_two_samples(measured, baseline, level)?, None),
            Some(Err(reason)) => return Err(reason),
            None => return Err(self.rows_not_known()),
        };
        let detectable = detectable.map_or_else(String::new, |detectable| {
            format!("; smallest detectable change: about {}", figure(detectable))
        });
        Ok((interval, detectable))
    }
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

fn missing_in_baseline(old: &Scorecard, key: &MetricKey) -> String {
    match old.why_undefined(key) {
        Some(reason) => format!("the baseline has no value of `{key}`: {reason}"),
        None => format!("the baseline has no metric `{key}`"),
    }
}
