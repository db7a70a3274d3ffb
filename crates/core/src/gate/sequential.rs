//! Rules that are judged by the evidence of all fresh rows so far.

use std::fmt::Write as _;

use super::bound::Bound;
use super::computation::{Computation, EProcessSet};
use super::decision::Outcome;
use super::fresh_rows::{FreshEvidence, FreshRows};
use super::pair::Pair;
use crate::figure::{count, figure, percent};
use crate::statistics::{PairedRows, e_rejects};

/// Whether the change of accuracy is within `bound`, by the `evidence` of all sets of fresh rows, and why, as a clause.
///
/// The bound is missed once the e-value against "no worse than allowed" has reached 1 / α, and holds once that of the opposite
/// has; α is (1 − `confidence`) / 2. What has been proven stays proven; of two proofs that contradict each other, as where the
/// rows changed their nature, the miss counts.
pub(super) fn judge_fresh_rows(
    bound: Bound,
    confidence: f64,
    pair: &Pair<'_>,
    evidence: Option<&FreshEvidence>,
) -> (Outcome, String, Option<Computation>) {
    let alone;
    let evidence = if let Some(evidence) = evidence {
        evidence
    } else {
        alone = FreshEvidence::of(pair.new, pair.old, &[], None);
        &alone
    };
    let not_judged = |reason: &str| (Outcome::NotJudged, reason.to_owned(), None);
    let process = match (&evidence.problem, &evidence.process) {
        (Some(problem), _) => return not_judged(problem),
        (None, None) => return not_judged("there is no evidence of fresh rows"),
        (None, Some(process)) => process,
    };
    let is_of_pair = pair.new.model_digest.as_ref() == Some(&process.new_model)
        && pair.old.model_digest.as_ref() == Some(&process.old_model);
    let Some(set) = process.set_of(pair.new).filter(|_| is_of_pair) else {
        return not_judged("the evidence of fresh rows is of other models or rows");
    };
    // A bound on the change of accuracy needs no baseline's value: it is not a percentage.
    let Some(least) = bound.least_improvement(0.0) else {
        return not_judged("fresh rows judge `max_drop` and `min_gain` alone");
    };
    let alpha = (1.0 - confidence) / 2.0;
    let sets = steps(process, least);
    let first = |is_proven: fn(&EProcessSet) -> f64| {
        sets.iter()
            .position(|set| e_rejects(is_proven(set), alpha))
            .map(|idx| idx + 1)
    };
    let missed = first(|set| set.ln_e_missed);
    let holds = first(|set| set.ln_e_holds);
    let (outcome, proven) = match (missed, holds) {
        (Some(at), _) => (
            Outcome::Missed,
            format!("the miss is proven since set {at}"),
        ),
        (None, Some(at)) => (Outcome::Holds, format!("proven since set {at}")),
        (None, None) => (Outcome::Uncertain, "neither is proven yet".to_owned()),
    };
    let last = sets.last().expect("the set of these rows is among them");
    let all = last.all_rows;
    let mut reason = format!(
        "{} gained, {} lost, of {} in {}: e-value {} for a miss, {} against it, {} needed at {} %: {proven}",
        all.n_gained,
        all.n_lost,
        count(all.n(), "fresh row"),
        count(sets.len() as u64, "set"),
        e_value(last.ln_e_missed),
        e_value(last.ln_e_holds),
        figure(1.0 / alpha),
        percent(alpha),
    );
    if evidence.is_repeated {
        reason += "; these rows were judged before, so they add nothing";
    } else if set.n_left_out > 0 {
        let _ = write!(
            reason,
            "; {} of these {} in earlier sets and left out",
            set.n_left_out,
            if set.n_left_out == 1 { "was" } else { "were" }
        );
    }
    if process.row_ids.is_none() && sets.len() > 1 {
        reason += "; whether single rows came again is not known, as the ids of all earlier rows are not at hand";
    }
    if let Some(begun_anew) = &evidence.begun_anew {
        let _ = write!(reason, "; begun anew: {begun_anew}");
    }
    (
        outcome,
        reason,
        Some(Computation::EProcess { least, alpha, sets }),
    )
}

/// The e-values after each set.
fn steps(process: &FreshRows, least: f64) -> Vec<EProcessSet> {
    let mut all_rows = PairedRows::default();
    process
        .sets
        .iter()
        .map(|set| {
            all_rows = all_rows.plus(set.rows);
            EProcessSet {
                rows_digest: set.rows_digest.clone(),
                rows: set.rows,
                n_left_out: set.n_left_out,
                all_rows,
                ln_e_missed: all_rows.ln_e_below(least),
                ln_e_holds: all_rows.ln_e_above(least),
            }
        })
        .collect()
}

/// An e-value by its natural logarithm, for people.
fn e_value(ln_e: f64) -> String {
    /// Beyond, an f64 has no word for it.
    const LARGEST: f64 = 600.0;
    if ln_e > LARGEST {
        return format!("e^{ln_e:.0}");
    }
    figure(ln_e.exp())
}
