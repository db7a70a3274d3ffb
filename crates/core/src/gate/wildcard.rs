//! A rule that stands for several keys: which they are, and how sure a miss must be when many are looked at.
//!
//! The passing end of each key's interval is judged at the rule's own level: each key that passes is proven by itself. A
//! miss is asked for among many, so it counts as proven by Holm's procedure over all keys that were judged:
//! S. Holm (1979), Scandinavian Journal of Statistics 6, 65–70.

use std::collections::BTreeSet;

use super::rule::{Rule, WILDCARD};
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
                .classes
                .iter()
                .position(|name| class.as_ref() == Some(name))?;
            Some(confusion.occurs(idx))
        });
        of_class.unwrap_or(true)
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
    let is_class = match (&pattern.class, &key.class) {
        (Some(pattern), Some(_)) if pattern == WILDCARD => true,
        (pattern, class) => pattern == class,
    };
    is_class
        && pattern.metric == key.metric
        && pattern.slice == key.slice
        && pattern.fold == key.fold
}

/// Which of `n` hypotheses Holm's procedure rejects at `alpha`; `rejects` says whether one is rejected at a level of its own.
pub(super) fn holm(n: usize, alpha: f64, rejects: impl Fn(usize, f64) -> bool) -> Vec<bool> {
    let mut is_rejected = vec![false; n];
    let mut n_left = n;
    while n_left > 0 {
        let level = alpha / n_left as f64;
        let found: Vec<usize> = (0..n)
            .filter(|&idx| !is_rejected[idx] && rejects(idx, level))
            .collect();
        if found.is_empty() {
            break;
        }
        n_left -= found.len();
        for idx in found {
            is_rejected[idx] = true;
        }
    }
    is_rejected
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Independent source: statsmodels 0.15 `multipletests([0.01, 0.04, 0.03, 0.005], alpha=0.05, method="holm")` rejects the
    /// first and the last; `multipletests([0.01, 0.02, 0.04, 0.03], ...)` the first alone.
    #[test]
    fn holm_rejects_what_statsmodels_rejects() {
        let reject = |p: &[f64]| holm(p.len(), 0.05, |idx, level| p[idx] <= level);
        assert_eq!(
            reject(&[0.01, 0.04, 0.03, 0.005]),
            [true, false, false, true]
        );
        assert_eq!(
            reject(&[0.01, 0.02, 0.04, 0.03]),
            [true, false, false, false]
        );
        assert_eq!(reject(&[0.01, 0.011, 0.02, 0.03]), [true; 4]);
        assert!(reject(&[]).is_empty());
    }
}
