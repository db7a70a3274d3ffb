//! A verdict in one or two sentences.

use super::decision::{Decision, Outcome};
use super::rule::Level;
use super::verdict::RuleResult;
use crate::figure::count;

/// What heads the report: how the rules came out, and whether any change was judged.
pub(super) fn summary(
    verdict: Decision,
    results: &[RuleResult],
    not_compared: Option<&str>,
) -> String {
    let decided = |decision| {
        let found = results.iter().filter(|result| result.decision == decision);
        found.count() as u64
    };
    let came_to = |outcome| {
        let green = results.iter().filter(|result| result.decision.is_green());
        green.filter(|result| result.outcome == outcome).count() as u64
    };
    let n_skipped = results
        .iter()
        .filter(|result| result.outcome == Outcome::Skipped)
        .count() as u64;
    let sentence = match verdict {
        Decision::Fail => format!("{} missed.", count(decided(Decision::Fail), "rule")),
        Decision::Inconclusive => {
            let n = decided(Decision::Inconclusive);
            format!("{} could not be judged.", count(n, "rule"))
        }
        Decision::Warn | Decision::Pass | Decision::Skipped => match decided(Decision::Warn) {
            0 => {
                let held = held(came_to(Outcome::Holds), results.len() as u64);
                match uncertain(results) {
                    0 => held,
                    n => format!("{held} {} uncertain, which passes here.", is_or_are(n))
                        .trim_start()
                        .to_owned(),
                }
            }
            n => format!("Passed with {}.", count(n, "warning")),
        },
    };
    // Rules of level `info` change no verdict, so only here it is said how they came out.
    let of_level_info = [
        (Outcome::Missed, "missed"),
        (Outcome::NotJudged, "not judged"),
    ]
    .into_iter()
    .filter_map(|(outcome, what)| {
        let found = results.iter().filter(|result| {
            result.level == Level::Info
                && result.outcome == outcome
                && result.decision == Decision::Pass
        });
        match found.count() {
            0 => None,
            n => Some(format!(
                "{} of level `info` {what}.",
                count(n as u64, "rule")
            )),
        }
    });
    let of_level_info = of_level_info.collect::<Vec<_>>().join(" ");
    let n_eased = results.iter().filter(|result| {
        result.level != Level::Info
            && result.outcome == Outcome::Missed
            && result.decision == Decision::Pass
    });
    let in_groups = match n_eased.count() {
        0 => String::new(),
        n => format!("{} missed in a group that holds.", count(n as u64, "rule")),
    };
    let skipped = match not_compared {
        Some(reason) if n_skipped > 0 => format!(
            "No change was judged, so {} skipped: {reason}.",
            match n_skipped {
                1 => "1 rule was".to_owned(),
                n => format!("{n} rules were"),
            }
        ),
        _ => String::new(),
    };
    [sentence, of_level_info, in_groups, skipped]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// How many of the rules hold, where none is worse.
fn held(n: u64, n_rules: u64) -> String {
    match n {
        0 => String::new(),
        1 if n_rules == 1 => "The rule holds.".to_owned(),
        n if n == n_rules => format!("All {n} rules hold."),
        1 => "1 rule holds.".to_owned(),
        n => format!("{n} rules hold."),
    }
}

fn is_or_are(n_changes: u64) -> String {
    match n_changes {
        1 => "1 change is".to_owned(),
        n => format!("{n} changes are"),
    }
}

/// Changes that are uncertain, where that counts as a pass.
fn uncertain(results: &[RuleResult]) -> u64 {
    let found = results
        .iter()
        .filter(|result| result.outcome == Outcome::Uncertain && result.decision == Decision::Pass);
    found.count() as u64
}
