//! What rules judge: the keys that they name or stand for.

use super::bound::Bound;
use super::rule::Rule;
use super::scorecard::Scorecard;
use super::wildcard;
use crate::config::GateConfig;
use crate::measurement::MetricKey;

/// What `rule` judges.
pub(super) fn keys_of(rule: &Rule, card: &Scorecard, old: Option<&Scorecard>) -> Vec<MetricKey> {
    if rule.is_wildcard() {
        wildcard::keys(rule, card, old)
    } else {
        vec![card.judged_key(&rule.key())]
    }
}

/// The keys whose change must be compared row by row for the rules to be judged.
pub fn paired_keys(gate: &GateConfig, card: &Scorecard, old: &Scorecard) -> Vec<MetricKey> {
    keys_of_rules(gate, card, old, |rule| rule.confidence.is_some())
}

/// The keys whose change rules ask for.
pub fn compared_keys(gate: &GateConfig, card: &Scorecard, old: &Scorecard) -> Vec<MetricKey> {
    keys_of_rules(gate, card, old, |_| true)
}

/// The keys of rules on a change that are `asked` for.
fn keys_of_rules(
    gate: &GateConfig,
    card: &Scorecard,
    old: &Scorecard,
    is_asked: fn(&Rule) -> bool,
) -> Vec<MetricKey> {
    let is_of_change = |bound: Bound| bound.compares() && !matches!(bound, Bound::MaxNewErrors(_));
    let rules = (gate.rules.iter())
        .filter(|rule| is_asked(rule) && rule.bounds().into_iter().any(is_of_change));
    let mut keys: Vec<MetricKey> = rules
        .flat_map(|rule| keys_of(rule, card, Some(old)))
        .collect();
    keys.sort();
    keys.dedup();
    keys
}
