//! Verified statements against a policy: what holds, what is contradicted, what could not be checked.

use chrono::DateTime;
use trainyard_core::gate::Override;

use super::repository::repository_url;
use super::wildcard::stands_for;
use super::{Policy, ReferencePattern, RequiredVerdict};
use crate::provenance::{PROVENANCE, Provenance};
use crate::test_result::{TEST_RESULT, TestOutcome, TestResult};
use crate::verify::Verified;

const SECONDS_A_DAY: i64 = 86_400;

/// How far the clocks of two machines may be apart, in seconds.
const CLOCK_SKEW_S: i64 = 300;

/// What a policy comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// One for each thing that the policy asks for, in its order.
    pub findings: Vec<Finding>,
    /// Statements that decided nothing, since the policy does not name their signers: one sentence each.
    pub passed_over: Vec<String>,
}

/// How one thing that a policy asks for came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is asked for: `verdict = "pass"`.
    pub wanted: String,
    /// How it came out.
    pub outcome: FindingOutcome,
    /// Why, as a clause.
    pub reason: String,
}

/// How something came out, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingOutcome {
    /// A statement says so.
    Held,
    /// No statement that is believed says anything about it.
    NotChecked,
    /// A statement says otherwise.
    Contradicted,
}

impl Judgement {
    /// The worst finding. A policy asks for something, so there is one.
    pub fn outcome(&self) -> FindingOutcome {
        let outcomes = self.findings.iter().map(|finding| finding.outcome);
        outcomes.max().unwrap_or(FindingOutcome::NotChecked)
    }
}

impl Policy {
    /// Judges statements about one image. `now_s` is the time in seconds since 1970.
    ///
    /// Every verdict by a permitted signer must do. Of several provenances one must satisfy all that the policy says of
    /// the build, as the same image may be built on a branch and for a tag.
    pub fn judge(&self, statements: &[Verified], now_s: i64) -> Judgement {
        let (believed, others): (Vec<&Verified>, Vec<&Verified>) = statements
            .iter()
            .partition(|statement| self.permits(&statement.signer));
        let of_type = |uri: &str| -> Vec<&Verified> {
            let believed = believed.iter().copied();
            believed
                .filter(|found| found.predicate_type == uri)
                .collect()
        };
        let mut findings = Vec::new();
        for required in &self.require {
            let found = of_type(required.uri());
            let wanted = format!("a signed {}", required.name());
            findings.push(match found.first() {
                Some(found) => held(wanted, format!("signed by {}", found.signer)),
                None => not_checked(wanted, "there is none by a signer of the policy"),
            });
        }
        if let Some(verdict) = self.verdict {
            findings.push(self.judge_verdicts(verdict, &of_type(TEST_RESULT)));
        }
        let builds = of_type(PROVENANCE);
        let builds = builds.iter().map(|statement| {
            let provenance = Provenance::from_predicate(&statement.predicate);
            self.judge_build(provenance.ok().as_ref(), now_s)
        });
        // A list of findings is as good as its worst, and of two lists as bad the one with fewer such.
        let badness = |findings: &Vec<Finding>| {
            let mut outcomes: Vec<_> = findings.iter().map(|finding| finding.outcome).collect();
            outcomes.sort_unstable_by(|one, other| other.cmp(one));
            outcomes
        };
        let best = builds.min_by_key(badness);
        findings.extend(best.unwrap_or_else(|| self.judge_build(None, now_s)));
        let passed_over = others.into_iter().map(|statement| {
            format!(
                "`{}` is signed by {}, whom the policy does not name",
                statement.predicate_type, statement.signer
            )
        });
        Judgement {
            findings,
            passed_over: passed_over.collect(),
        }
    }

    fn judge_verdicts(&self, wanted: RequiredVerdict, verdicts: &[&Verified]) -> Finding {
        let text = match (wanted, self.allow_override) {
            (RequiredVerdict::Pass, false) => "verdict = \"pass\"",
            (RequiredVerdict::Warn, false) => "verdict = \"warn\"",
            (RequiredVerdict::Pass, true) => "verdict = \"pass\", or let through by a person",
            (RequiredVerdict::Warn, true) => "verdict = \"warn\", or let through by a person",
        };
        let judge = |statement: &&Verified| {
            let Ok(result) = TestResult::from_predicate(&statement.predicate) else {
                return not_checked(text, "the verdict cannot be read");
            };
            self.judge_verdict(wanted, text, &result)
        };
        let findings = verdicts.iter().map(judge);
        let worst = findings.max_by_key(|finding| finding.outcome);
        worst.unwrap_or_else(|| not_checked(text, "there is no verdict"))
    }

    fn judge_verdict(&self, wanted: RequiredVerdict, text: &str, result: &TestResult) -> Finding {
        let is_enough = match (result.result, wanted) {
            (TestOutcome::Passed, _) | (TestOutcome::Warned, RequiredVerdict::Warn) => true,
            (TestOutcome::Warned, RequiredVerdict::Pass) | (TestOutcome::Failed, _) => false,
        };
        if is_enough {
            return held(text, format!("the verdict is {}", result.result.word()));
        }
        let reason = result.reason().unwrap_or("no reason is given");
        let word = result.result.word();
        match result.overridden() {
            Ok(Some(Override { by, reason, .. })) if self.allow_override => held(
                text,
                format!("the verdict is {word}, and {by} let it through: {reason}"),
            ),
            Ok(Some(Override { by, .. })) => contradicted(
                text,
                format!(
                    "the verdict is {word} ({reason}); {by} let it through, which needs `allow_override = true`"
                ),
            ),
            Ok(None) => contradicted(text, format!("the verdict is {word}: {reason}")),
            Err(_) => contradicted(
                text,
                format!("the verdict is {word}, and who let it through cannot be read"),
            ),
        }
    }

    /// What the policy says of the build, against one provenance.
    fn judge_build(&self, provenance: Option<&Provenance>, now_s: i64) -> Vec<Finding> {
        let source = provenance.and_then(Provenance::source);
        let repository = self.repository.as_ref().map(|wanted| {
            let found = source.and_then(|source| source.repository);
            // GitHub does not tell capitals from small letters.
            let wanted_in_small = wanted.to_ascii_lowercase();
            let is_same = |found: &str| {
                stands_for(
                    &wanted_in_small,
                    &repository_url(found).to_ascii_lowercase(),
                )
            };
            compare(format!("repository = \"{wanted}\""), found, is_same)
        });
        let workflow = self.workflow.as_ref().map(|wanted| {
            let found = provenance.and_then(Provenance::workflow);
            let is_same = |found: &str| stands_for(wanted, found);
            compare(format!("workflow = \"{wanted}\""), found, is_same)
        });
        let reference = self.reference.as_ref().map(|wanted| {
            let (key, prefix, wanted) = match wanted {
                ReferencePattern::Branch(name) => ("branch", "refs/heads/", name),
                ReferencePattern::Tag(name) => ("tag", "refs/tags/", name),
            };
            let found = source.and_then(|source| source.reference);
            let is_same = |found: &str| {
                let name = found.strip_prefix(prefix);
                name.is_some_and(|name| stands_for(wanted, name))
            };
            compare(format!("{key} = \"{wanted}\""), found, is_same)
        });
        let age = self.max_age_days.map(|days| {
            let metadata = provenance.map(|provenance| &provenance.run_details.metadata);
            let finished = metadata.and_then(|metadata| metadata.finished_on.as_deref());
            judge_age(days, finished, now_s)
        });
        [repository, workflow, reference, age]
            .into_iter()
            .flatten()
            .collect()
    }
}

/// A text that the provenance says against what is wanted.
fn compare(wanted: String, found: Option<&str>, is_same: impl Fn(&str) -> bool) -> Finding {
    match found {
        Some(found) if is_same(found) => held(wanted, format!("it is `{found}`")),
        Some(found) => contradicted(wanted, format!("it is `{found}`")),
        None => not_checked(wanted, "no provenance says it"),
    }
}

/// How long ago something was finished against what is allowed.
fn judge_age(max_days: u32, finished: Option<&str>, now_s: i64) -> Finding {
    let wanted = format!("max_age_days = {max_days}");
    let Some(finished) = finished else {
        return not_checked(wanted, "no provenance says when it was built");
    };
    let Ok(time) = DateTime::parse_from_rfc3339(finished) else {
        return not_checked(wanted, format!("`{finished}` is not a time"));
    };
    let age_s = now_s.saturating_sub(time.timestamp());
    if age_s < -CLOCK_SKEW_S {
        contradicted(
            wanted,
            format!("it was built at {finished}, which is to come"),
        )
    } else if age_s > i64::from(max_days) * SECONDS_A_DAY {
        contradicted(wanted, format!("it was built at {finished}"))
    } else {
        held(wanted, format!("it was built at {finished}"))
    }
}

fn held(wanted: impl Into<String>, reason: impl Into<String>) -> Finding {
    finding(wanted, FindingOutcome::Held, reason)
}

fn not_checked(wanted: impl Into<String>, reason: impl Into<String>) -> Finding {
    finding(wanted, FindingOutcome::NotChecked, reason)
}

fn contradicted(wanted: impl Into<String>, reason: impl Into<String>) -> Finding {
    finding(wanted, FindingOutcome::Contradicted, reason)
}

fn finding(
    wanted: impl Into<String>,
    outcome: FindingOutcome,
    reason: impl Into<String>,
) -> Finding {
    Finding {
        wanted: wanted.into(),
        outcome,
        reason: reason.into(),
    }
}
