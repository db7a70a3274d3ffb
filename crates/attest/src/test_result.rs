//! The verdict of the gate as an in-toto test result v0.1: which rules passed, warned and failed, by which rules and on
//! which predictions.
//!
//! <https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md>. It knows no "inconclusive" and no
//! override, so both are annotations of the descriptor of `verdict.json`, and the result says what the rules came to.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::evaluation::{EVALUATION_FILE, PREDICTIONS_FILE};
use trainyard_core::gate::{Decision, Outcome, Override, VERDICT_FILE, Verdict};

use crate::statement::{ResourceDescriptor, Statement};

/// The type of the predicate.
pub const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";

const RULES: &str = "rules";
const TEST_DATA: &str = "test data";

const DECISION: &str = "dev.trainyard.verdict";
const REASON: &str = "dev.trainyard.reason";
const OVERRIDE: &str = "dev.trainyard.override";
const MODEL: &str = "dev.trainyard.model.digest";
const COMMIT: &str = "dev.trainyard.commit";

/// Which rules passed, and what they judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestResult {
    /// What they came to together.
    pub result: TestOutcome,
    /// What was judged, and by what: the rules, the predictions, the verdict with its annotations.
    pub configuration: Vec<ResourceDescriptor>,
    /// Where people see the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The rules that hold.
    #[serde(default)]
    pub passed_tests: Vec<String>,
    /// The rules that warn, that had nothing to compare with, or whose miss does not count.
    #[serde(default)]
    pub warned_tests: Vec<String>,
    /// The rules that are missed, or could not be judged.
    #[serde(default)]
    pub failed_tests: Vec<String>,
}

/// What the rules came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TestOutcome {
    /// All rules hold.
    Passed,
    /// None failed.
    Warned,
    /// Some failed, or could not be judged.
    Failed,
}

impl TestOutcome {
    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Passed => "PASSED",
            Self::Warned => "WARNED",
            Self::Failed => "FAILED",
        }
    }
}

impl TestResult {
    /// The predicate of a verdict.
    ///
    /// `verdict_digest` is that of the bytes of `verdict.json`, `predictions` that of the evaluation's `predictions.npz`,
    /// where it has one, and `url` where people see the run.
    pub fn of(
        verdict: &Verdict,
        verdict_digest: &Sha256Digest,
        predictions: Option<&Sha256Digest>,
        url: Option<&str>,
    ) -> Self {
        let mut of_verdict = ResourceDescriptor::new(VERDICT_FILE, verdict_digest);
        of_verdict.annotations = annotations(verdict);
        let known = [
            (RULES, Some(&verdict.rules_digest)),
            (EVALUATION_FILE, verdict.evaluation_digest.as_ref()),
            (PREDICTIONS_FILE, predictions),
            (TEST_DATA, verdict.data_digest.as_ref()),
        ];
        let known = known
            .into_iter()
            .filter_map(|(name, digest)| Some(ResourceDescriptor::new(name, digest?)));

        let mut tests = Tests::default();
        for rule in &verdict.rules {
            let name = format!("rule {}: {} {}", rule.rule_idx + 1, rule.key(), rule.wanted);
            // What holds is told apart from a miss that a group, or the rule's level, lets pass.
            let decision = match (rule.decision, rule.outcome) {
                (Decision::Pass, outcome) if outcome != Outcome::Holds => Decision::Warn,
                (decision, _) => decision,
            };
            tests.add(name, decision);
        }
        for (group_idx, group) in verdict.groups.iter().enumerate() {
            let rules = group.rules.join(", ");
            let name = format!(
                "group {}: at least {} of {rules}",
                group_idx + 1,
                group.at_least
            );
            tests.add(name, group.decision);
        }
        Self {
            result: outcome(verdict.verdict),
            configuration: [of_verdict].into_iter().chain(known).collect(),
            url: url.map(str::to_owned),
            passed_tests: tests.passed,
            warned_tests: tests.warned,
            failed_tests: tests.failed,
        }
    }

    /// Reads a predicate of this type.
    pub fn from_predicate(predicate: &Value) -> Result<Self, serde_json::Error> {
        Self::deserialize(predicate)
    }

    /// The statement that `subject` was judged so.
    pub fn statement(&self, subject: ResourceDescriptor) -> Statement {
        let predicate = serde_json::to_value(self).expect("texts and lists always serialise");
        Statement::new(subject, TEST_RESULT, predicate)
    }

    /// Who let it through although the rules do not, if a person did; an error where the annotation cannot be read.
    pub fn overridden(&self) -> Result<Option<Override>, serde_json::Error> {
        self.annotation(OVERRIDE)
            .map(Override::deserialize)
            .transpose()
    }

    /// Why the rules came to that, in sentences.
    pub fn reason(&self) -> Option<&str> {
        self.annotation(REASON)?.as_str()
    }

    /// Digest of the model that was judged, as text.
    pub fn model(&self) -> Option<&str> {
        self.annotation(MODEL)?.as_str()
    }

    /// The commit that was judged.
    pub fn commit(&self) -> Option<&str> {
        self.annotation(COMMIT)?.as_str()
    }

    /// Digest of the rules that judged, as hexadecimal text.
    pub fn rules(&self) -> Option<&str> {
        self.digest_of(RULES)
    }

    /// Digest of the test data's files, as hexadecimal text.
    pub fn test_data(&self) -> Option<&str> {
        self.digest_of(TEST_DATA)
    }

    /// Digest of `evaluation.json`, as hexadecimal text.
    pub fn evaluation(&self) -> Option<&str> {
        self.digest_of(EVALUATION_FILE)
    }

    fn digest_of(&self, name: &str) -> Option<&str> {
        let mut descriptors = self.configuration.iter();
        let descriptor = descriptors.find(|descriptor| descriptor.name == name)?;
        descriptor.digest.get("sha256").map(String::as_str)
    }

    fn annotation(&self, key: &str) -> Option<&Value> {
        let mut descriptors = self.configuration.iter();
        let of_verdict = descriptors.find(|descriptor| descriptor.name == VERDICT_FILE)?;
        of_verdict.annotations.get(key)
    }
}

#[derive(Default)]
struct Tests {
    passed: Vec<String>,
    warned: Vec<String>,
    failed: Vec<String>,
}

impl Tests {
    fn add(&mut self, name: String, decision: Decision) {
        let tests = match decision {
            Decision::Pass => &mut self.passed,
            Decision::Warn | Decision::Skipped => &mut self.warned,
            Decision::Fail | Decision::Inconclusive => &mut self.failed,
        };
        tests.push(name);
    }
}

const fn outcome(decision: Decision) -> TestOutcome {
    match decision {
        Decision::Pass => TestOutcome::Passed,
        Decision::Warn => TestOutcome::Warned,
        // As a whole verdict, "skipped" is none.
        Decision::Fail | Decision::Inconclusive | Decision::Skipped => TestOutcome::Failed,
    }
}

/// What the predicate has no field for.
fn annotations(verdict: &Verdict) -> Map<String, Value> {
    let model = verdict.model_digest.as_ref().map(Sha256Digest::as_str);
    let commit = verdict.commit.as_deref();
    let overridden = verdict.overridden.as_ref().map(|overridden| {
        serde_json::to_value(overridden).expect("a struct of texts always serialises")
    });
    let texts = [
        (DECISION, Some(verdict.verdict.word().into())),
        (REASON, Some(verdict.reasons().into())),
        (OVERRIDE, overridden),
        (MODEL, model.map(Value::from)),
        (COMMIT, commit.map(Value::from)),
    ];
    texts
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect()
}

#[cfg(test)]
mod tests;
