//! How one bound of one key came out, and what that comes to at the rule's level.

use super::computation::{Computation, HolmStep};
use super::decision::{Decision, Outcome};
use super::pair::Pair;
use super::rule::{Level, OnMissing, Rule, WhenUncertain};
use super::scorecard::Scorecard;
use super::verdict::Comparison;
use crate::measurement::{Direction, Measurement, MetricKey};

/// One key by one bound.
pub(super) struct Judged {
    pub(super) comparison: Comparison,
    pub(super) outcome: Outcome,
    /// Why, as a clause.
    pub(super) reason: String,
    /// Whether there is no value to judge.
    pub(super) is_absent: bool,
    /// What the decision was computed from.
    pub(super) computation: Option<Computation>,
    /// How Holm's procedure came to it, where it is one of several keys.
    pub(super) holm: Option<HolmStep>,
}

impl Judged {
    pub(super) const fn of(comparison: Comparison, outcome: Outcome, reason: String) -> Self {
        Self {
            comparison,
            outcome,
            reason,
            is_absent: false,
            computation: None,
            holm: None,
        }
    }

    /// Nothing is there that the rule's wildcard stands for.
    pub(super) fn none_matched(rule: &Rule) -> Self {
        let key = rule.key();
        Self {
            reason: format!("nothing matches `{key}`"),
            comparison: Comparison::of_nothing(key),
            outcome: Outcome::NotJudged,
            is_absent: true,
            computation: None,
            holm: None,
        }
    }
}

/// What was measured of `key`, if anything, beside the baseline's.
pub(super) fn comparison_of(
    key: &MetricKey,
    card: &Scorecard,
    pair: Option<&Pair<'_>>,
) -> Comparison {
    match card.get(key) {
        Some(measured) => compared(measured, None, pair),
        None => Comparison::of_nothing(key.clone()),
    }
}

/// `measured` beside the baseline's.
pub(super) fn compared(
    measured: &Measurement,
    direction: Option<Direction>,
    pair: Option<&Pair<'_>>,
) -> Comparison {
    match pair {
        Some(pair) => pair.compare(measured, direction),
        None => Comparison {
            key: measured.key.clone(),
            measured: Some(measured.without_evidence()),
            baseline: None,
            change: None,
        },
    }
}

/// Every metric of the candidate beside the baseline's, those of all rows first.
pub(super) fn comparisons(card: &Scorecard, pair: Option<&Pair<'_>>) -> Vec<Comparison> {
    let (overall, parts): (Vec<_>, Vec<_>) = card
        .measurements
        .iter()
        .filter(|measured| measured.value.is_finite())
        .partition(|measured| measured.key.is_overall());
    let all = overall.into_iter().chain(parts);
    all.map(|measured| compared(measured, None, pair)).collect()
}

/// Only rules of level `fail` can fail the gate or make it inconclusive.
pub(super) fn weigh(rule: &Rule, judged: &Judged) -> Decision {
    let decision = match judged.outcome {
        _ if judged.is_absent => match rule.on_missing {
            OnMissing::Inconclusive => Decision::Inconclusive,
            OnMissing::Warn => Decision::Warn,
            OnMissing::Fail => Decision::Fail,
        },
        Outcome::Holds => Decision::Pass,
        Outcome::Missed => Decision::Fail,
        Outcome::NotJudged => Decision::Inconclusive,
        Outcome::Skipped => Decision::Skipped,
        Outcome::Uncertain => match rule.when_uncertain.unwrap_or_default() {
            WhenUncertain::Warn => Decision::Warn,
            WhenUncertain::Fail => Decision::Fail,
            WhenUncertain::Pass => Decision::Pass,
        },
    };
    let heaviest = match rule.level {
        Level::Fail => Decision::Fail,
        Level::Warn => Decision::Warn,
        Level::Info => Decision::Pass,
    };
    decision.min(heaviest)
}
