//! A rule that stands for several keys: which they are, and how sure a miss must be when many are looked at.
//!
//! The passing end of each key's interval is judged at the rule's own level: each key that passes is proven by itself. A
//! miss is asked for among many, so it counts as proven by Holm's procedure over all keys that were judged.

use std::collections::BTreeSet;

use super::rule::{Rule, WILDCARD, slice_parts};
use super::scorecard::Scorecard;
use crate::figure::{count, percent};
use crate::measurement::MetricKey;

/// The keys that `rule` stands for, in the order of the evaluation: what was measured, what has no value though the class
/// occurs, and what the baseline measured and is gone.
pub(super) fn keys(rule: &Rule, card: &Scorecard, old: Option<&Scorecard>) -> Vec<MetricKey> {
    let pattern = rule.key();
    let mut seen = BTreeSet::new();
    let measured = card.measurements.iter().map(|found| &found.key);
    // A class of neither labels nor predictions is none of these rows'; where the baseline had it, it is missed there.
    let occurs = |class: &Option<String>| {
        let confusion = card.confusion.as_ref();
        let of_class = confusion.and_then(|confusion| {
            let idx = confusion
                .classes()
                .iter()
                .position(|name| class.as_ref() == Some(name))?;
            Some(confusion.occurs(idx))
        });
        let mut of_sets = card.classes.iter();
        let of_sets = of_sets.find(|found| class.as_ref() == Some(&found.class));
        let of_sets = of_sets.map(|found| found.n_labelled + found.n_predicted > 0);
        of_class.or(of_sets).unwrap_or(true)
    };
    let undefined = card
        .undefined
        .iter()
        .map(|found| &found.key)
        .filter(|key| occurs(&key.class));
    let of_baseline = old
        .into_iter()
        .flat_map(|old| old.measurements.iter().map(|found| &found.key));
    measured
        .chain(undefined)
        .chain(of_baseline)
        .filter(|key| matches(&pattern, key))
        .filter(|key| seen.insert((*key).clone()))
        .cloned()
        .collect()
}

/// Whether `key` is one that `pattern` stands for.
fn matches(pattern: &MetricKey, key: &MetricKey) -> bool {
    let is_named = |pattern: &Option<String>, name: &Option<String>| match (pattern, name) {
        (Some(pattern), Some(_)) if pattern == WILDCARD => true,
        (pattern, name) => pattern == name,
    };
    let is_class = is_named(&pattern.class, &key.class) && is_named(&pattern.output, &key.output);
    let is_slice = match (&pattern.slice, &key.slice) {
        (Some(pattern), Some(slice)) => {
            let (pattern, slice) = (slice_parts(pattern), slice_parts(slice));
            pattern.len() == slice.len()
                && pattern
                    .iter()
                    .zip(slice)
                    .all(|((column, wanted), (name, value))| {
                        *column == name && (*wanted == WILDCARD || *wanted == value)
                    })
        }
        (pattern, slice) => pattern == slice,
    };
    is_class && pattern.metric == key.metric && is_slice && pattern.fold == key.fold
}

/// A note on slices that wildcards stand for and that have too few rows to be judged.
pub(super) fn note(rules: &[Rule], card: &Scorecard) -> Option<String> {
    const MAX_NAMED: usize = 10;
    let patterns: Vec<MetricKey> = rules
        .iter()
        .filter(|rule| rule.is_wildcard() && rule.slice.is_some())
        .map(Rule::key)
        .collect();
    let is_left_out = |name: &&(String, String)| {
        patterns.iter().any(|pattern| {
            let key = MetricKey {
                slice: Some(name.0.clone()),
                ..pattern.clone()
            };
            matches(pattern, &key)
        })
    };
    let left_out: Vec<&(String, String)> =
        card.unmeasured_slices.iter().filter(is_left_out).collect();
    if left_out.is_empty() {
        return None;
    }
    let named = left_out.iter().take(MAX_NAMED);
    let named: Vec<String> = named
        .map(|(name, reason)| format!("{name} ({reason})"))
        .collect();
    let more = match left_out.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        n_more => format!(" and {}", count(n_more as u64, "more slice")),
    };
    Some(format!(
        "Slices that no rule judged: {}{more}.",
        named.join("; ")
    ))
}

/// What is added to the reason of a key that did not pass, where `n_judged` keys were looked at.
pub(super) fn reason(is_proven: bool, n_judged: usize, confidence: f64) -> String {
    let alpha = percent((1.0 - confidence) / 2.0);
    let what = if is_proven { "proven" } else { "not proven" };
    format!(
        "; the miss is {what} at {alpha} % over {} by Holm",
        count(n_judged as u64, "key")
    )
}
