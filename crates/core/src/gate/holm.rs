//! A miss is asked for among the many keys that a wildcard stands for, so it counts as proven by Holm's procedure over all of them
//! that were judged.

use super::bound::{self, Bound};
use super::change;
use super::computation::{Computation, HolmStep, PValueBound};
use super::decision::Outcome;
use super::judged::Judged;
use super::pair::Pair;
use super::scorecard::Scorecard;
use super::wildcard;
use crate::measurement::MetricKey;
use crate::statistics::{SMALLEST_LEVEL, holm_by_level, smallest_level};

/// Keys up to which each has its p-value: it takes some fifty intervals.
const MAX_P_VALUES: usize = 100;

/// The level of one end of an interval of confidence 0, but for rounding.
const LARGEST_LEVEL: f64 = 0.5 - 1e-9;

/// The p-value of a test that is one end of a two-sided interval.
fn p_value(rejects_at: impl Fn(f64) -> bool) -> (f64, Option<PValueBound>) {
    let smallest = smallest_level(rejects_at);
    if smallest >= LARGEST_LEVEL {
        (0.5, Some(PValueBound::AtLeast))
    } else if smallest <= SMALLEST_LEVEL {
        (SMALLEST_LEVEL, Some(PValueBound::AtMost))
    } else {
        (smallest, None)
    }
}

/// Turns what does not hold among `all`, the results of `keys` by one bound at `confidence`, into a proven miss or an open question.
pub(super) fn judge_many(
    all: &mut [Judged],
    bound: Bound,
    confidence: f64,
    keys: &[MetricKey],
    card: &Scorecard,
    pair: Option<&Pair<'_>>,
) {
    let open: Vec<usize> = (0..all.len())
        .filter(|&idx| all[idx].outcome.is_judged())
        .collect();
    let alpha = (1.0 - confidence) / 2.0;
    let is_missed_at = |idx: usize, alpha: f64| {
        let measured = card.get(&keys[idx]);
        let is_missed = measured.and_then(|measured| {
            let confidence = 1.0 - 2.0 * alpha;
            // No interval has a confidence of 0 or less, so larger p-values are not told apart.
            if alpha >= LARGEST_LEVEL {
                return Some(true);
            }
            if bound.compares() {
                change::is_miss_proven(bound, pair?, measured, confidence)
            } else {
                bound::is_miss_proven(bound, measured, card.confusion.as_ref(), confidence)
            }
        });
        is_missed == Some(true)
    };
    let tests: Vec<_> = open
        .iter()
        .map(|&idx| move |alpha: f64| is_missed_at(idx, alpha))
        .collect();
    let tests: Vec<&dyn Fn(f64) -> bool> = tests.iter().map(|test| test as _).collect();
    let steps = holm_by_level(alpha, &tests);
    for ((&idx, test), step) in open.iter().zip(&tests).zip(steps) {
        let judged = &mut all[idx];
        let is_bootstrap = matches!(judged.computation, Some(Computation::Cells { .. }));
        let has_p_value = open.len() <= MAX_P_VALUES && !is_bootstrap;
        let (p_value, p_value_bound) = if has_p_value {
            let (p_value, bound) = p_value(test);
            (Some(p_value), bound)
        } else {
            (None, None)
        };
        judged.holm = Some(HolmStep {
            n_tests: step.n_tests as u64,
            n_left: step.n_left as u64,
            level: step.level,
            p_value,
            p_value_bound,
            is_proven: step.is_rejected,
        });
        if judged.outcome == Outcome::Holds {
            continue;
        }
        judged.outcome = if step.is_rejected {
            Outcome::Missed
        } else {
            Outcome::Uncertain
        };
        judged.reason += &wildcard::reason(step.is_rejected, open.len(), confidence);
    }
}
