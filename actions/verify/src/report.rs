//! What was found, for people and for machines.

use std::fmt::Write as _;

use serde::Serialize;
use trainyard_attest::{
    Finding, FindingOutcome, PROVENANCE, Provenance, TEST_RESULT, TestResult, Verified, short_name,
};
use trainyard_core::gate::Override;
use trainyard_oci::rfc3339;

use crate::saved_model::SavedModel;

/// The version of the JSON document.
const SCHEMA_VERSION: u32 = 1;

/// Everything that was found about an image.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) schema_version: u32,
    /// By digest.
    pub(crate) image: String,
    pub(crate) digest: String,
    pub(crate) outcome: &'static str,
    pub(crate) statements: Vec<StatementReport>,
    pub(crate) verdicts: Vec<VerdictReport>,
    pub(crate) builds: Vec<BuildReport>,
    /// The attached evaluation, in words; absent where there is none.
    pub(crate) evaluation: Option<String>,
    /// The image's model, where it was saved.
    pub(crate) saved_model: Option<SavedModel>,
    pub(crate) findings: Vec<FindingReport>,
    pub(crate) contradictions: Vec<String>,
    pub(crate) not_checked: Vec<String>,
}

/// A statement that a trusted signer made.
#[derive(Debug, Serialize)]
pub(crate) struct StatementReport {
    #[serde(rename = "type")]
    kind: String,
    signer: String,
    /// When it was signed; absent where a key signed, which proves no time.
    signed_at: Option<String>,
    /// What proves that time.
    time_proof: Option<String>,
}

/// What a signed verdict says.
#[derive(Debug, Serialize)]
pub(crate) struct VerdictReport {
    pub(crate) result: &'static str,
    reason: Option<String>,
    #[serde(rename = "override")]
    overridden: Option<Override>,
    pub(crate) model: Option<String>,
    commit: Option<String>,
    rules: Option<String>,
    pub(crate) evaluation: Option<String>,
    test_data: Option<String>,
    failed: Vec<String>,
    warned: Vec<String>,
}

/// What a signed provenance says.
#[derive(Debug, Serialize)]
pub(crate) struct BuildReport {
    repository: Option<String>,
    reference: Option<String>,
    pub(crate) commit: Option<String>,
    /// Whether it was built from a checkout that no commit holds.
    has_changes: bool,
    workflow: Option<String>,
    builder: String,
    run: Option<String>,
    finished_on: Option<String>,
    /// Name and SHA-256 digest of what went in, the commit aside.
    inputs: Vec<(String, String)>,
}

/// How one thing that was asked for came out.
#[derive(Debug, Serialize)]
pub(crate) struct FindingReport {
    wanted: String,
    outcome: &'static str,
    reason: String,
}

/// As it is written.
const fn word(outcome: FindingOutcome) -> &'static str {
    match outcome {
        FindingOutcome::Held => "held",
        FindingOutcome::NotChecked => "not-checked",
        FindingOutcome::Contradicted => "contradicted",
    }
}

impl Report {
    /// A report on `verified` statements; what else is known is filled in by who knows it.
    pub(crate) fn of(image: String, digest: String, verified: &[Verified]) -> Self {
        let of_type = |uri: &'static str| {
            let found = verified.iter();
            found.filter(move |found| found.predicate_type == uri)
        };
        Self {
            schema_version: SCHEMA_VERSION,
            image,
            digest,
            outcome: word(FindingOutcome::NotChecked),
            statements: verified
                .iter()
                .map(|found| StatementReport {
                    kind: found.predicate_type.clone(),
                    signer: found.signer.to_string(),
                    signed_at: (found.signed_at).map(|time| rfc3339(time.at_s.unsigned_abs())),
                    time_proof: found.signed_at.map(|time| time.proof.to_string()),
                })
                .collect(),
            verdicts: of_type(TEST_RESULT).filter_map(VerdictReport::of).collect(),
            builds: of_type(PROVENANCE).filter_map(BuildReport::of).collect(),
            evaluation: None,
            saved_model: None,
            findings: Vec::new(),
            contradictions: Vec::new(),
            not_checked: Vec::new(),
        }
    }

    /// What all of it comes to.
    pub(crate) const fn set_outcome(&mut self, outcome: FindingOutcome) {
        self.outcome = word(outcome);
    }

    /// Adds what a policy comes to.
    pub(crate) fn add_findings(&mut self, findings: &[Finding]) {
        let findings = findings.iter().map(|finding| FindingReport {
            wanted: finding.wanted.clone(),
            outcome: word(finding.outcome),
            reason: finding.reason.clone(),
        });
        self.findings.extend(findings);
    }

    /// For a terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("image         {}\n", self.image);
        let mut line = |label: &str, value: &str| {
            // What others attached cannot make lines of its own.
            let value = value.replace(char::is_control, " ");
            let _ = writeln!(text, "{label:<13} {value}");
        };
        for statement in &self.statements {
            line("signed", &statement.text());
        }
        if self.statements.is_empty() {
            line("signed", "nothing by the signers at hand");
        }
        for verdict in &self.verdicts {
            let reason = verdict.reason.as_deref().unwrap_or("no reason is given");
            line("verdict", &format!("{}: {reason}", verdict.result));
            if let Some(Override {
                by, reason, url, ..
            }) = &verdict.overridden
            {
                line("override", &format!("by {by}: {reason} ({url})"));
            }
            for (label, digest) in [
                ("model", &verdict.model),
                ("judged commit", &verdict.commit),
                ("rules", &verdict.rules),
                ("test data", &verdict.test_data),
            ] {
                line(label, digest.as_deref().unwrap_or("not said"));
            }
        }
        for build in &self.builds {
            let said = |value: &Option<String>| value.clone().unwrap_or("not said".to_owned());
            match build.has_changes {
                true => line("commit", "none: built from a checkout with changes"),
                false => line("commit", &said(&build.commit)),
            }
            let reference = said(&build.reference);
            line(
                "source",
                &format!("{} at {reference}", said(&build.repository)),
            );
            line("workflow", &said(&build.workflow));
            line("builder", &build.builder);
            line("run", &said(&build.run));
            line("built", &said(&build.finished_on));
            for (name, digest) in &build.inputs {
                line("input", &format!("{digest}  {name}"));
            }
        }
        line(
            "evaluation",
            self.evaluation.as_deref().unwrap_or("not attached"),
        );
        if let Some(SavedModel { folder, digest }) = &self.saved_model {
            line("saved model", &format!("{digest} in {}", folder.display()));
        }
        for FindingReport {
            wanted,
            outcome,
            reason,
        } in &self.findings
        {
            line(&outcome.replace('-', " "), &format!("{wanted}: {reason}"));
        }
        for contradiction in &self.contradictions {
            line("contradicted", contradiction);
        }
        for unchecked in &self.not_checked {
            line("not checked", unchecked);
        }
        line("outcome", &self.outcome.replace('-', " "));
        text
    }
}

impl StatementReport {
    fn text(&self) -> String {
        let Self {
            kind,
            signer,
            signed_at,
            time_proof,
        } = self;
        let by = format!("{} by {signer}", short_name(kind));
        match (signed_at, time_proof) {
            (Some(time), Some(proof)) => format!("{by} at {time}, proven by {proof}"),
            _ => by,
        }
    }
}

impl VerdictReport {
    fn of(verified: &Verified) -> Option<Self> {
        let result = TestResult::from_predicate(&verified.predicate).ok()?;
        let digest = |hex: Option<&str>| hex.map(|hex| format!("sha256:{hex}"));
        Some(Self {
            result: result.result.word(),
            reason: result.reason().map(str::to_owned),
            overridden: result.overridden().ok().flatten(),
            model: result.model().map(str::to_owned),
            commit: result.commit().map(str::to_owned),
            rules: digest(result.rules()),
            evaluation: digest(result.evaluation()),
            test_data: digest(result.test_data()),
            failed: result.failed_tests,
            warned: result.warned_tests,
        })
    }
}

impl BuildReport {
    fn of(verified: &Verified) -> Option<Self> {
        let provenance = Provenance::from_predicate(&verified.predicate).ok()?;
        let source = provenance.source();
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let inputs = provenance.build_definition.resolved_dependencies.iter();
        let inputs = inputs.filter_map(|input| {
            let digest = input.digest.get("sha256")?;
            Some((input.name.clone(), format!("sha256:{digest}")))
        });
        Some(Self {
            repository: owned(source.and_then(|source| source.repository)),
            reference: owned(source.and_then(|source| source.reference)),
            commit: owned(source.and_then(|source| source.commit)),
            has_changes: provenance.has_changes(),
            workflow: owned(provenance.workflow()),
            builder: provenance.run_details.builder.id.clone(),
            run: provenance.run_details.metadata.invocation_id.clone(),
            finished_on: provenance.run_details.metadata.finished_on.clone(),
            inputs: inputs.collect(),
        })
    }
}
