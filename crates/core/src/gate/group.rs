//! Groups of rules of which some must hold.

use super::decision::Decision;
use super::rule::{Rule, RuleGroup};
use super::verdict::{GroupResult, RuleResult};
use crate::config::GateConfig;

/// The groups' results; what `results` came to is eased to that of their group, which decides in their place.
///
/// A rule with several bounds or a wildcard holds as far as its worst result. A group is as good as the best that `at_least` of
/// its rules are together: with too few that pass, a warning, a skipped comparison or one that could not be judged among
/// those that are needed makes the group that.
pub(super) fn decide(gate: &GateConfig, results: &mut [RuleResult]) -> Vec<GroupResult> {
    gate.groups
        .iter()
        .map(|group| {
            let members = members(group, &gate.rules);
            let mut decisions: Vec<Decision> = members
                .iter()
                .map(|&rule_idx| {
                    let own = results.iter().filter(|result| result.rule_idx == rule_idx);
                    let worst = own.map(|result| result.decision).max();
                    worst.unwrap_or(Decision::Inconclusive)
                })
                .collect();
            let n_of = |decision| {
                let found = decisions.iter().filter(|found| **found == decision);
                found.count() as u32
            };
            let (n_hold, n_skipped) = (n_of(Decision::Pass), n_of(Decision::Skipped));
            // Skipped is less than a pass, though it is the least of all decisions.
            decisions.sort_by_key(|decision| match decision {
                Decision::Pass => 0,
                Decision::Warn => 1,
                Decision::Skipped => 2,
                Decision::Inconclusive => 3,
                Decision::Fail => 4,
            });
            let needed = (group.at_least as usize).saturating_sub(1);
            let decision = decisions.get(needed).copied();
            let decision = decision.unwrap_or(Decision::Inconclusive);
            for result in results
                .iter_mut()
                .filter(|result| members.contains(&result.rule_idx))
            {
                result.decision = eased(result.decision, decision);
            }
            GroupResult {
                rules: group.rules.clone(),
                at_least: group.at_least,
                n_hold,
                n_skipped,
                decision,
            }
        })
        .collect()
}

/// A member's decision is no worse than its group's.
fn eased(own: Decision, of_group: Decision) -> Decision {
    match (own, of_group) {
        (Decision::Pass | Decision::Skipped, _) => own,
        (own, Decision::Skipped) => own.min(Decision::Warn),
        (own, of_group) => own.min(of_group),
    }
}

fn members(group: &RuleGroup, rules: &[Rule]) -> Vec<usize> {
    let is_member = |rule: &Rule| {
        rule.name
            .as_ref()
            .is_some_and(|name| group.rules.contains(name))
    };
    let rules = rules.iter().enumerate();
    rules
        .filter(|(_, rule)| is_member(rule))
        .map(|(idx, _)| idx)
        .collect()
}
