//! A verdict in one or two sentences.

use super::decision::{Decision, Outcome};
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
        Decision::Warn | Decision::Pass | Decision::Skipped => {
            match (decided(Decision::Warn), decided(Decision::Pass)) {
                (0, 0) => String::new(),
                (0, 1) => "The rule holds.".to_owned(),
                (0, n) if n_skipped == 0 => format!("All {n} rules hold."),
                (0, n) => format!("{n} rules hold."),
                (n, _) => format!("Passed with {}.", count(n, "warning")),
            }
        }
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
    [sentence, skipped].join(" ").trim().to_owned()
}
