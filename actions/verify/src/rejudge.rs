//! The attached evaluation, judged again by rules at hand: what a verdict says of a rule that needs no baseline must come out again.

use std::path::Path;

use anyhow::Context as _;
use trainyard_attest::TestResult;
use trainyard_core::config::JudgingConfig;
use trainyard_core::digest::Sha256Digest;
use trainyard_core::evaluation::Evaluation;
use trainyard_core::gate::{
    Baseline, Case, Decision, RulesInForce, RulesOrigin, Scorecard, Trust, Verdict,
};
use trainyard_runner::{ExitCode, WithExitCode as _};

/// How judging again came out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rejudged {
    /// So many rules came out as the verdict says; so many compare, or need what is not attached.
    Same { n_same: usize, n_skipped: usize },
    /// The rules at hand are others.
    OtherRules(String),
    /// A rule came out otherwise.
    Different(String),
}

/// Judges `evaluation`, whose bytes have the `digest` that the verdict names, by the rules in the file `rules`.
///
/// Ends with [`ExitCode::Usage`] where these cannot be used.
pub(crate) fn rejudge(
    rules: &Path,
    evaluation: &Evaluation,
    digest: &Sha256Digest,
    verdict: &TestResult,
) -> anyhow::Result<Rejudged> {
    let config = JudgingConfig::read(rules).exit_code(ExitCode::Usage)?;
    let rules_digest = config
        .gate
        .rules_digest()
        .context("the rules cannot be digested")
        .exit_code(ExitCode::Usage)?;
    let named = verdict.rules();
    if named != Some(rules_digest.hex()) {
        return Ok(Rejudged::OtherRules(format!(
            "the verdict is by the rules sha256:{}, `{}` holds {rules_digest}",
            named.unwrap_or("(none)"),
            rules.display()
        )));
    }
    let card = Scorecard::of_evaluation(evaluation, digest.clone());
    let baseline = Baseline::NotConfigured("it is not attached".to_owned());
    let now = Case {
        evaluate: Some(&config.evaluate),
        rules: RulesInForce {
            gate: &config.gate,
            digest: rules_digest,
            origin: RulesOrigin::Own,
        },
        candidate: Ok(&card),
        baseline: &baseline,
        trust: Trust::Verified,
        overridden: None,
        model_name: None,
        commit: None,
        trainyard_version: env!("CARGO_PKG_VERSION"),
        rule_changes: &[],
        must_pass: None,
        looks: Ok(None),
        fresh_rows: None,
        flips: None,
        notes: &[],
    }
    .judge();
    Ok(compare(&now, digest, verdict))
}

/// What is judged now against the lists of the signed verdict, rule by rule.
fn compare(now: &Verdict, verdict_digest: &Sha256Digest, said: &TestResult) -> Rejudged {
    let found = TestResult::of(now, verdict_digest, None, None);
    let (mut n_same, mut n_skipped) = (0, 0);
    for (idx, rule) in now.rules.iter().enumerate() {
        // A rule that compares, or lists rows, needs what is not attached.
        if matches!(rule.decision, Decision::Skipped | Decision::Inconclusive) {
            n_skipped += 1;
            continue;
        }
        let prefix = format!("rule {}: {} {}", rule.rule_idx + 1, rule.key(), rule.wanted);
        let list_of = |result: &TestResult| {
            [
                ("passed", &result.passed_tests),
                ("warned", &result.warned_tests),
                ("failed", &result.failed_tests),
            ]
            .into_iter()
            .find(|(_, names)| names.contains(&prefix))
            .map(|(list, _)| list)
        };
        let (before, after) = (list_of(said), list_of(&found));
        if before != after {
            return Rejudged::Different(format!(
                "{prefix} {} by the verdict, and {} by the attached evaluation (bound {})",
                before.unwrap_or("is not"),
                after.unwrap_or("is not"),
                idx + 1
            ));
        }
        n_same += 1;
    }
    Rejudged::Same { n_same, n_skipped }
}

#[cfg(test)]
mod tests;
