//! What is attached to an image and whom to trust in; what is said about the image, and whether that holds, out.

use std::path::Path;

use trainyard_attest::{FindingOutcome, Policy, TEST_RESULT, TestResult, Verified};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::error_chain::in_one_line;
use trainyard_core::evaluation::{EVALUATION_FILE, Evaluation};
use trainyard_core::publication::EVALUATION_MEDIA_TYPE;
use trainyard_oci::{Attached, AttachedFile, ImageReference};

use crate::model_folder::ModelFolder;
use crate::rejudge::{self, Rejudged};
use crate::report::Report;
use crate::saved_model::Staged;
use crate::statements::Statements;
use crate::trust::Trust;

/// What is attached to an image, by what it is looked at.
pub(crate) struct Evidence<'a> {
    /// By digest.
    pub(crate) image: &'a ImageReference,
    pub(crate) digest: &'a Sha256Digest,
    pub(crate) attached: &'a Attached,
    pub(crate) trust: &'a Trust,
    pub(crate) policy: &'a Policy,
    /// Rules to judge the evaluation by again.
    pub(crate) rules: Option<&'a Path>,
    /// The time in seconds since 1970.
    pub(crate) now_s: i64,
}

/// The model that is compared with what is signed.
#[derive(Clone, Copy)]
pub(crate) enum Model<'a> {
    None,
    /// One on this machine.
    AtHand(&'a ModelFolder),
    /// The image's own.
    Staged(&'a Staged<'a>),
}

impl Evidence<'_> {
    /// Whether what is wanted of an image is a file of this media type.
    pub(crate) fn is_wanted(media_type: &str) -> bool {
        is_bundle(media_type) || media_type == EVALUATION_MEDIA_TYPE
    }

    /// Everything that is found about the image, and what it comes to.
    ///
    /// Ends with [`trainyard_runner::ExitCode::Usage`] where the rules cannot be used.
    pub(crate) fn look(&self, model: Model<'_>) -> anyhow::Result<(Report, FindingOutcome)> {
        let files = self.attached.files.iter().cloned();
        let (bundles, evaluations): (Vec<_>, Vec<_>) =
            files.partition(|file| is_bundle(&file.media_type));
        let folder = match model {
            Model::None => None,
            Model::AtHand(folder) => Some(folder),
            Model::Staged(staged) => Some(&staged.files),
        };
        let Statements {
            verified,
            contradictions,
            not_checked,
            ..
        } = Statements::of(
            &bundles,
            self.trust,
            self.digest,
            folder.map(|model| &*model.files),
        );
        let verdicts = verdicts(&verified, self.policy);
        let mut report = Report::of(self.image.to_string(), self.digest.to_string(), &verified);
        report.contradictions = contradictions;
        if let Model::Staged(staged) = model {
            let others = staged.contradictions(&verdicts);
            report.contradictions.extend(others);
        }
        report.not_checked = not_checked;
        let skipped = self.attached.skipped.iter().cloned();
        report.not_checked.extend(skipped);
        let beside = folder.and_then(ModelFolder::not_checked);
        report.not_checked.extend(beside);
        let judgement = self.policy.judge(&verified, self.now_s);
        report.add_findings(&judgement.findings);
        report.not_checked.extend(judgement.passed_over.clone());
        let of_policy = judgement.outcome();
        let of_evaluation = look_at_evaluation(&mut report, &evaluations, &verdicts, self.rules)?;
        let of_statements = match report.contradictions.is_empty() {
            true => FindingOutcome::Held,
            false => FindingOutcome::Contradicted,
        };
        let outcome = of_policy.max(of_evaluation).max(of_statements);
        report.set_outcome(outcome);
        Ok((report, outcome))
    }
}

/// Whether it is the media type of a Sigstore bundle, of any version.
fn is_bundle(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.dev.sigstore.bundle")
}

/// The verdicts by signers whom the policy names.
fn verdicts(verified: &[Verified], policy: &Policy) -> Vec<TestResult> {
    let verdicts = verified
        .iter()
        .filter(|found| found.predicate_type == TEST_RESULT && policy.permits(&found.signer));
    verdicts
        .filter_map(|found| TestResult::from_predicate(&found.predicate).ok())
        .collect()
}

/// Whether an attached evaluation is the one that a signed verdict names, and what `rules` come to on it, where they are given.
///
/// An evaluation is attached unsigned: one with another digest than the verdict's proves nothing, and is a contradiction where no
/// other is there.
fn look_at_evaluation(
    report: &mut Report,
    evaluations: &[AttachedFile],
    verdicts: &[TestResult],
    rules: Option<&Path>,
) -> anyhow::Result<FindingOutcome> {
    let unchecked = |report: &mut Report, text: String| {
        report.not_checked.push(text);
        // Missing only where it was asked for.
        if rules.is_some() {
            FindingOutcome::NotChecked
        } else {
            FindingOutcome::Held
        }
    };
    let mut evaluations = evaluations
        .iter()
        .map(|file| (Sha256Digest::of(&file.bytes), file));
    let is_named =
        |digest: &Sha256Digest, verdict: &TestResult| verdict.evaluation() == Some(digest.hex());
    let Some((first, _)) = evaluations.clone().next() else {
        let text = "the evaluation: it is not attached".to_owned();
        return Ok(unchecked(report, text));
    };
    if verdicts.is_empty() {
        report.evaluation = Some(format!("{first} attached, and no signed verdict names one"));
        let text = "the evaluation: no signed verdict says which one was judged".to_owned();
        return Ok(unchecked(report, text));
    }
    let named = evaluations.find_map(|(digest, file)| {
        let verdict = verdicts.iter().find(|verdict| is_named(&digest, verdict))?;
        Some((digest, file, verdict))
    });
    let Some((digest, file, verdict)) = named else {
        report.evaluation = Some(format!("{first} attached, which no signed verdict names"));
        report.contradictions.push(format!(
            "the attached evaluation is {first}, not the one that the verdict names"
        ));
        return Ok(FindingOutcome::Contradicted);
    };
    report.evaluation = Some(format!("{digest} attached, the one that the verdict names"));
    let Some(rules) = rules else {
        report.not_checked.push(
            "the verdict against the attached evaluation: `--rules FILE` judges it again"
                .to_owned(),
        );
        return Ok(FindingOutcome::Held);
    };
    let evaluation = match Evaluation::parse(&file.bytes, Path::new(EVALUATION_FILE)) {
        Ok(evaluation) => evaluation,
        Err(error) => {
            let text = format!("the evaluation cannot be read: {}", in_one_line(&error));
            return Ok(unchecked(report, text));
        }
    };
    Ok(
        match rejudge::rejudge(rules, &evaluation, &digest, verdict)? {
            Rejudged::Same { n_same, n_skipped } => {
                tracing::info!("{n_same} bounds come out as the verdict says");
                if n_skipped > 0 {
                    report.not_checked.push(format!(
                        "bounds that compare, or need what is not attached: {n_skipped}"
                    ));
                }
                if n_same == 0 {
                    FindingOutcome::NotChecked
                } else {
                    FindingOutcome::Held
                }
            }
            Rejudged::OtherRules(text) => unchecked(report, text),
            Rejudged::Different(text) => {
                report.contradictions.push(text);
                FindingOutcome::Contradicted
            }
        },
    )
}
