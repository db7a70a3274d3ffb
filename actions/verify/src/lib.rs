//! The `verify` stage: a published image, whom to trust and a policy in; what is signed about the image, whether that holds, and what
//! could not be checked out.
//!
//! It writes no file. What contradicts is told apart from what is missing, by the exit code too: a change of what was signed, or a
//! policy that does not hold, from evidence that is not there.

mod certificate;
mod inputs;
mod model_folder;
mod rejudge;
mod report;
mod roots;
mod statements;
mod trust;

use std::path::Path;

use anyhow::{Context as _, anyhow};
use trainyard_attest::{FindingOutcome, Policy, TEST_RESULT, TestResult, Verified};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::error_chain::in_one_line;
use trainyard_core::evaluation::{EVALUATION_FILE, Evaluation};
use trainyard_core::publication::EVALUATION_MEDIA_TYPE;
use trainyard_oci::{Access, AttachedFile, ImageReference, RegistryError, RetryPolicy};
use trainyard_registry::Reach;
use trainyard_runner::{ExitCode, Stage, WithExitCode as _};

pub use inputs::{Inputs, OUTPUTS};
use model_folder::ModelFolder;
use rejudge::Rejudged;
use report::{Report, word};
use statements::Statements;
use trust::Trust;

/// Runs the stage.
pub fn verify_image(inputs: Inputs) -> anyhow::Result<ExitCode> {
    let stage = Stage::start("verify", &inputs.log)?;
    for (name, _) in OUTPUTS {
        stage.set_output(name, "")?;
    }
    let (report, outcome) = look(&inputs)?;
    tell(&stage, &report, inputs.json)?;
    conclude(&report.image, outcome)
}

/// What is proven about an image, for a stage that goes on with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The image by digest.
    pub image: String,
    /// Digest of the model, as the signed verdict says.
    pub model_digest: Option<String>,
    /// Digest of the evaluation that was judged, as the signed verdict says.
    pub evaluation_digest: Option<String>,
    /// The commit that the signed provenance names.
    pub commit: Option<String>,
    /// Everything that was found, in words.
    pub text: String,
}

/// Verifies an image as the stage does, without its outputs.
///
/// # Errors
///
/// Where what was asked for is contradicted or cannot be verified, with the exit code of the stage.
pub fn evidence_of(inputs: &Inputs) -> anyhow::Result<Evidence> {
    let (report, outcome) = look(inputs)?;
    let text = report.text();
    if let Err(error) = conclude(&report.image, outcome) {
        for line in text.lines() {
            tracing::warn!("{line}");
        }
        return Err(error);
    }
    let verdict = report.verdicts.first();
    Ok(Evidence {
        model_digest: verdict.and_then(|it| it.model.clone()),
        evaluation_digest: verdict.and_then(|it| it.evaluation.clone()),
        commit: report.builds.first().and_then(|build| build.commit.clone()),
        image: report.image,
        text,
    })
}

fn conclude(image: &str, outcome: FindingOutcome) -> anyhow::Result<ExitCode> {
    match outcome {
        FindingOutcome::Held => Ok(ExitCode::Success),
        FindingOutcome::NotChecked => Err(anyhow!(
            "`{image}` is not verified: evidence is missing, or cannot be verified"
        ))
        .exit_code(ExitCode::Inconclusive),
        FindingOutcome::Contradicted => Err(anyhow!(
            "`{image}` is contradicted by what is signed, or by the policy"
        ))
        .exit_code(ExitCode::GateFailed),
    }
}

/// Pulls what is attached to the image and judges it.
fn look(inputs: &Inputs) -> anyhow::Result<(Report, FindingOutcome)> {
    let named: ImageReference = inputs.image().parse().exit_code(ExitCode::Usage)?;
    let (trust, policy) = Trust::of(inputs, now_s())?;
    let model = inputs.model.as_deref().map(ModelFolder::read).transpose()?;

    let reach = Reach {
        args: &inputs.registry,
        plain_http: &[],
        ca: inputs.ca.clone(),
        retry: RetryPolicy::default(),
        token: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .exit_code(ExitCode::Bug)?;
    let registry = reach.connect(&named, Access::Pull)?;
    let pulled = runtime.block_on(async {
        let reference = reference_of(&named);
        let Some(found) = registry.read_manifest(&reference).await? else {
            return Ok(None);
        };
        let digest = found.descriptor.digest;
        let is_wanted = |kind: &str| is_bundle(kind) || kind == EVALUATION_MEDIA_TYPE;
        let attached = registry.read_attached(&digest, is_wanted).await?;
        Ok::<_, RegistryError>(Some((digest, attached)))
    });
    let (digest, attached) = pulled
        .exit_code(ExitCode::Service)?
        .with_context(|| format!("`{named}` is not there, or may not be read by this user"))
        .exit_code(ExitCode::Service)?;
    let image = named.with_digest(&digest);
    let (bundles, evaluations): (Vec<_>, Vec<_>) =
        (attached.files.into_iter()).partition(|file| is_bundle(&file.media_type));

    let Statements {
        verified,
        contradictions,
        not_checked,
        ..
    } = Statements::of(
        &bundles,
        &trust,
        &digest,
        model.as_ref().map(|model| &*model.files),
    );
    let mut report = Report::of(image.to_string(), digest.to_string(), &verified);
    report.contradictions = contradictions;
    report.not_checked = not_checked;
    report.not_checked.extend(attached.skipped);
    let beside = model.as_ref().and_then(ModelFolder::not_checked);
    report.not_checked.extend(beside);
    let judgement = policy.judge(&verified, now_s());
    report.add_findings(&judgement.findings);
    report.not_checked.extend(judgement.passed_over.clone());
    let of_policy = judgement.outcome();
    let of_evaluation = look_at_evaluation(
        &mut report,
        &evaluations,
        &verdicts(&verified, &policy),
        inputs.rules.as_deref(),
    )?;
    let of_statements = match report.contradictions.is_empty() {
        true => FindingOutcome::Held,
        false => FindingOutcome::Contradicted,
    };
    let outcome = of_policy.max(of_evaluation).max(of_statements);
    report.outcome = word(outcome);
    Ok((report, outcome))
}

/// Whether it is the media type of a Sigstore bundle, of any version.
fn is_bundle(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.dev.sigstore.bundle")
}

/// The digest where one is given, since a tag beside it may have moved; else the tag.
fn reference_of(image: &ImageReference) -> String {
    match (image.digest(), image.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, Some(tag)) => tag.to_owned(),
        (None, None) => "latest".to_owned(),
    }
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

/// Outputs, and what was asked for on standard output.
fn tell(stage: &Stage, report: &Report, is_json: bool) -> anyhow::Result<()> {
    stage.set_output("outcome", report.outcome)?;
    stage.set_output("image", &report.image)?;
    stage.set_output("digest", &report.digest)?;
    let verdict = report.verdicts.first().map_or("", |verdict| verdict.result);
    stage.set_output("verdict", verdict)?;
    let commit = report
        .builds
        .first()
        .and_then(|build| build.commit.as_deref());
    stage.set_output("commit", commit.unwrap_or_default())?;
    let text = report.text();
    // No text of others ends the block.
    let block = text.replace("```", "'''");
    stage.summarise(&format!(
        "### Verified: {}\n\n```text\n{block}```\n",
        report.outcome
    ));
    if is_json {
        let mut json = serde_json::to_string_pretty(report).exit_code(ExitCode::Bug)?;
        json.push('\n');
        return stage.print(&json);
    }
    stage.print(&text)
}

/// Seconds since 1970.
fn now_s() -> i64 {
    let since = std::time::UNIX_EPOCH.elapsed();
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
