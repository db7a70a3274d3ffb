//! How the rules themselves behave from run to run: one that flips says more about itself than about the model.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decision::Decision;
use super::record::HistoryPoint;

/// Runs below which nothing is said of a rule.
const MIN_RUNS: u32 = 5;

/// One bound over the runs that the history knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleHealth {
    /// Metric and bound in words: `accuracy at least 0.98`.
    pub rule: String,
    /// Runs that judged it.
    pub n_runs: u32,
    /// Runs in which it failed or could not be judged.
    pub n_red: u32,
    /// How often it went from green to red or back from one run to the next.
    pub n_flips: u32,
}

impl RuleHealth {
    /// What a reader should do about it, where there is something.
    pub fn advice(&self) -> Option<&'static str> {
        let is_flipping = self.n_flips >= 3 && 3 * self.n_flips >= self.n_runs;
        if is_flipping {
            Some("it flips: ask for `confidence`, or add test rows")
        } else if self.n_red == 0 {
            Some("it never failed")
        } else {
            None
        }
    }
}

/// Each bound that the newest run judged, over the runs that judged it; those of fewer than five are left out.
pub fn rule_health(history: &[HistoryPoint]) -> Vec<RuleHealth> {
    let Some(newest) = history.last() else {
        return Vec::new();
    };
    newest
        .rules
        .keys()
        .map(|rule| {
            let decisions: Vec<bool> = history
                .iter()
                .filter_map(|point| point.rules.get(rule))
                .filter(|decision| **decision != Decision::Skipped)
                .map(|decision| !decision.is_green())
                .collect();
            let flips = decisions.windows(2).filter(|pair| pair[0] != pair[1]);
            RuleHealth {
                rule: rule.clone(),
                n_runs: decisions.len() as u32,
                n_red: decisions.iter().filter(|is_red| **is_red).count() as u32,
                n_flips: flips.count() as u32,
            }
        })
        .filter(|health| health.n_runs >= MIN_RUNS)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn rules_that_flip_and_rules_that_never_fail_are_told_apart() {
        let point = |idx: usize| HistoryPoint {
            commit: idx.to_string(),
            values: BTreeMap::new(),
            decision: Decision::Pass,
            rules: BTreeMap::from([
                ("steady".to_owned(), Decision::Pass),
                (
                    "shaky".to_owned(),
                    if idx.is_multiple_of(2) {
                        Decision::Fail
                    } else {
                        Decision::Warn
                    },
                ),
                (
                    "once".to_owned(),
                    if idx == 1 {
                        Decision::Inconclusive
                    } else {
                        Decision::Pass
                    },
                ),
            ]),
        };
        let history: Vec<HistoryPoint> = (0..6).map(point).collect();
        let found = rule_health(&history);
        let told: Vec<(&str, u32, u32, bool)> = found
            .iter()
            .map(|health| {
                (
                    health.rule.as_str(),
                    health.n_red,
                    health.n_flips,
                    health.advice().is_some(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("once", 1, 2, false),
                ("shaky", 3, 5, true),
                ("steady", 0, 0, true)
            ]
        );
        assert_eq!(rule_health(&history[..4]).len(), 0);
        assert_eq!(rule_health(&[]).len(), 0);
    }
}
