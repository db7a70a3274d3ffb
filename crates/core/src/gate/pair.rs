//! The candidate beside its baseline: on which rows they are compared, and the two values of a metric there.

use super::bound::Bound;
use super::rule::CompareRows;
use super::scorecard::Scorecard;
use super::shared_rows::SharedRows;
use super::verdict::{Comparison, PairedComparison, SharedRowCounts};
use crate::config::GateConfig;
use crate::evaluation::NAMELESS;
use crate::figure::{count, slack};
use crate::measurement::{Direction, Measurement, MetricKey};
use crate::metrics::{Confusion, scoring_difference};
use crate::row_mask::RowMask;
use crate::row_set::RowMatch;
use crate::statistics;

/// A candidate and the baseline that it is compared with.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    pub(super) new: &'a Scorecard,
    pub(super) old: &'a Scorecard,
    pub(super) rows: RowMatch,
    pub(super) basis: Basis<'a>,
    /// Both on rows that they share, where that was asked for; or why it is not known.
    pub(super) found: Option<Result<&'a SharedRows, &'a str>>,
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
        self.new.has_predictions_of(self.old)
    }

    /// Whether both are of one model on the same rows: then nothing has changed, whatever the rows could prove.
    pub(super) fn is_same_model(&self) -> bool {
        let is_one = self.new.model_digest.is_some()
            && self.new.model_digest == self.old.model_digest
            && matches!(self.rows, RowMatch::Same { .. });
        is_one || self.has_same_predictions()
    }

    /// Whether `bound` of `key` holds since both are the same model and came to the same: by another threshold it need not.
    pub(super) fn is_unchanged(&self, key: &MetricKey, bound: Bound) -> bool {
        let has_same_value = |(new, old): (&Measurement, &Measurement)| {
            (new.value - old.value).abs() <= slack(&[new.value, old.value])
        };
        self.is_same_model()
            && self.sides(key).is_ok_and(has_same_value)
            && bound
                .least_improvement(0.0)
                .is_some_and(|least| least <= 0.0)
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
    pub(super) fn missed_rows(&self) -> Option<(&RowMask, &RowMask)> {
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
    pub(super) fn sides(&self, key: &MetricKey) -> Result<(&Measurement, &Measurement), String> {
        let is_it = |found: &&Measurement| found.key == *key && found.value.is_finite();
        let find = |found: &'a [Measurement]| found.iter().find(is_it);
        // On shared rows both were scored anew, alike.
        if !matches!(self.basis, Basis::Shared(_))
            && let (Some(new), Some(old)) = (&self.new.scoring, &self.old.scoring)
            && let Some(reason) = scoring_difference(new, old, key)
        {
            return Err(reason);
        }
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
                        None => not_on_shared_rows(self.old, key),
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
    if let Some(reason) = other_model(cards) {
        return Basis::None(reason);
    }
    if let Some(Ok(shared)) = found
        && shared.has_other_weights
    {
        return Basis::None(
            "the rows have other weights than in the baseline's predictions, so the two figures are not of the same thing: score both with the same weights"
                .to_owned(),
        );
    }
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
                "{} of the baseline {} gone or relabelled, more than `max_rows_lost = {}` allows{}",
                count(shared.n_lost(), "row"),
                if shared.n_lost() == 1 { "is" } else { "are" },
                gate.max_rows_lost,
                other_classes(cards)
            ))
        }
        (CompareRows::Common, Some(Ok(shared))) => Basis::Shared(shared),
    }
}

/// Why the two are not one model at two times, as a clause: their names differ.
pub(super) fn other_model([new, old]: [&Scorecard; 2]) -> Option<String> {
    let (new, old) = (new.model_name.as_ref()?, old.model_name.as_ref()?);
    let is_named = |name: &String| name != NAMELESS;
    (new != old && is_named(new) && is_named(old)).then(|| {
        format!(
            "the baseline is of the model `{old}`, and this evaluation of `{new}`: name a baseline of this model; where the model was renamed, evaluate the old one again under the new name"
        )
    })
}

/// The classes that only one of the two has, where each has one: one may be the other, renamed.
fn other_classes([new, old]: [&Scorecard; 2]) -> String {
    let (Some(new), Some(old)) = (&new.confusion, &old.confusion) else {
        return String::new();
    };
    let only = |one: &Confusion, other: &Confusion| {
        let names = one.classes().iter();
        let names = names.filter(|name| !other.classes().contains(name));
        names.map(|name| format!("`{name}`")).collect::<Vec<_>>()
    };
    match (only(new, old).as_slice(), only(old, new).as_slice()) {
        (new @ [_, ..], old @ [_, ..]) if new.len().max(old.len()) <= 5 => format!(
            "; only this model has the class {}, only the baseline {}: where a class was renamed, rename it in both",
            new.join(", "),
            old.join(", ")
        ),
        _ => String::new(),
    }
}

/// Why `key` has no value on the rows that both were scored on.
fn not_on_shared_rows(old: &Scorecard, key: &MetricKey) -> String {
    if old.get(key).is_none() {
        return missing_in_baseline(old, key);
    }
    let what = match key {
        MetricKey { fold: Some(_), .. } => "folds hold other rows then",
        MetricKey { slice: Some(_), .. } => {
            "a slice by `predicted`, by a numeric column that is a metric, or by quantiles holds other rows for each model"
        }
        _ => "one of the two does not hold what it is computed from",
    };
    format!(
        "`{key}` was not measured on the rows that both were scored on: {what}; score the baseline's model on today's rows, and compare with that"
    )
}

fn missing_in_baseline(old: &Scorecard, key: &MetricKey) -> String {
    match old.why_undefined(key) {
        Some(reason) => format!("the baseline has no value of `{key}`: {reason}"),
        None if old.get(key).is_some() => {
            format!("the baseline's value of `{key}` is not a finite number")
        }
        None => format!("the baseline has no metric `{key}`"),
    }
}
