//! The `verify` stage: a published image, whom to trust and a policy in; what is signed about the image, whether that holds, and what
//! could not be checked out.
//!
//! It writes no file but the image's model, where that is asked for. What contradicts is told apart from what is missing, by the exit
//! code too: a change of what was signed, or a policy that does not hold, from evidence that is not there.

mod certificate;
mod evidence;
mod inputs;
mod model_folder;
mod rejudge;
mod report;
mod roots;
mod saved_model;
mod statements;
mod trust;

use anyhow::{Context as _, anyhow};
use tokio::runtime::Runtime;
use trainyard_attest::{FindingOutcome, Policy};
use trainyard_oci::{Access, Fetched, ImageReference, Registry, RetryPolicy};
use trainyard_registry::Reach;
use trainyard_runner::{ExitCode, Stage, WithExitCode as _};

use evidence::{Evidence, Model};
pub use inputs::{Inputs, OUTPUTS};
use model_folder::ModelFolder;
use report::Report;
use saved_model::{Destination, Staged};
use trust::Trust;

/// Runs the stage.
pub fn verify_image(inputs: Inputs) -> anyhow::Result<ExitCode> {
    let stage = Stage::start("verify", &inputs.log)?;
    for (name, _) in OUTPUTS {
        stage.set_output(name, "")?;
    }
    let signers = match inputs.unsigned {
        true => None,
        false => Some(Trust::of(&inputs, now_s())?),
    };
    let model = inputs.model.as_deref().map(ModelFolder::read).transpose()?;
    let destination = inputs.save_model.as_deref();
    let destination = destination.map(Destination::at).transpose()?;

    let pulled = Pulled::find(&inputs)?;
    let Looked {
        mut report,
        outcome,
        staged,
    } = match &signers {
        Some((trust, policy)) => {
            pulled.look_at_signed(&inputs, (trust, policy), model.as_ref(), destination)?
        }
        None => pulled.look_at_unsigned(destination)?,
    };
    let kept = staged.map(Staged::keep).transpose();
    report.saved_model = kept.as_ref().ok().cloned().flatten();
    tell(&stage, &report, inputs.json)?;
    let saved = kept?;

    let unsaved = match inputs.save_model {
        Some(_) => ", so its model was not saved",
        None => "",
    };
    match outcome {
        // That nothing was verified is what was asked for.
        FindingOutcome::NotChecked if saved.is_some() => Ok(ExitCode::Success),
        _ => conclude(&pulled.image, outcome, unsaved),
    }
}

/// What is proven about an image, for a stage that goes on with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The image by digest.
    pub image: ImageReference,
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
pub fn prove(inputs: &Inputs) -> anyhow::Result<Proven> {
    let (trust, policy) = Trust::of(inputs, now_s())?;
    let pulled = Pulled::find(inputs)?;
    let looked = pulled.look_at_signed(inputs, (&trust, &policy), None, None)?;
    let Looked {
        report, outcome, ..
    } = looked;
    let text = report.text();
    if let Err(error) = conclude(&pulled.image, outcome, "") {
        for line in text.lines() {
            tracing::warn!("{line}");
        }
        return Err(error);
    }
    let verdict = report.verdicts.first();
    Ok(Proven {
        image: pulled.image,
        model_digest: verdict.and_then(|it| it.model.clone()),
        evaluation_digest: verdict.and_then(|it| it.evaluation.clone()),
        commit: report.builds.first().and_then(|build| build.commit.clone()),
        text,
    })
}

/// The exit code of an outcome; `unsaved` says what did not follow.
fn conclude(
    image: &ImageReference,
    outcome: FindingOutcome,
    unsaved: &str,
) -> anyhow::Result<ExitCode> {
    match outcome {
        FindingOutcome::Held => Ok(ExitCode::Success),
        FindingOutcome::NotChecked => Err(anyhow!(
            "`{image}` is not verified: evidence is missing, or cannot be verified{unsaved}"
        ))
        .exit_code(ExitCode::Inconclusive),
        FindingOutcome::Contradicted => Err(anyhow!(
            "`{image}` is contradicted by what is signed, or by the policy{unsaved}"
        ))
        .exit_code(ExitCode::GateFailed),
    }
}

/// An image in its registry.
struct Pulled {
    /// By digest.
    image: ImageReference,
    found: Fetched,
    registry: Registry,
    runtime: Runtime,
}

/// What was found about an image. `staged` is its model, where that may be saved.
struct Looked<'a> {
    report: Report,
    outcome: FindingOutcome,
    staged: Option<Staged<'a>>,
}

impl Pulled {
    fn find(inputs: &Inputs) -> anyhow::Result<Self> {
        let named: ImageReference = inputs.image().parse().exit_code(ExitCode::Usage)?;
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
        let found = runtime.block_on(registry.read_manifest(&reference_of(&named)));
        let found = (found.exit_code(ExitCode::Service)?)
            .with_context(|| format!("`{named}` is not there, or may not be read by this user"))
            .exit_code(ExitCode::Service)?;
        Ok(Self {
            image: named.with_digest(&found.descriptor.digest),
            found,
            registry,
            runtime,
        })
    }

    /// Looks at all that is attached to the image. Its model is read once all else holds, and compared with what is signed, too.
    fn look_at_signed<'a>(
        &self,
        inputs: &Inputs,
        (trust, policy): (&Trust, &Policy),
        model: Option<&ModelFolder>,
        destination: Option<Destination<'a>>,
    ) -> anyhow::Result<Looked<'a>> {
        let digest = &self.found.descriptor.digest;
        let attached = self.registry.read_attached(digest, Evidence::is_wanted);
        let attached = self.runtime.block_on(attached);
        let evidence = Evidence {
            image: &self.image,
            digest,
            attached: &attached.exit_code(ExitCode::Service)?,
            trust,
            policy,
            rules: inputs.rules.as_deref(),
            now_s: now_s(),
        };
        let (report, outcome) = evidence.look(model.map_or(Model::None, Model::AtHand))?;
        let Some(destination) = destination.filter(|_| outcome == FindingOutcome::Held) else {
            return Ok(Looked {
                report,
                outcome,
                staged: None,
            });
        };
        let staged = self.fetch(destination)?;
        let (report, outcome) = evidence.look(Model::Staged(&staged))?;
        Ok(Looked {
            report,
            outcome,
            staged: Some(staged).filter(|_| outcome == FindingOutcome::Held),
        })
    }

    /// Takes the image for what it is: nothing but digests is checked.
    fn look_at_unsigned<'a>(
        &self,
        destination: Option<Destination<'a>>,
    ) -> anyhow::Result<Looked<'a>> {
        let digest = &self.found.descriptor.digest;
        let mut report = Report::of(self.image.to_string(), digest.to_string(), &[]);
        let unsigned = "who made the image: `--unsigned` looks at no signature";
        report.not_checked.push(unsigned.to_owned());
        let staged = destination.map(|it| self.fetch(it)).transpose()?;
        report.contradictions = staged
            .as_ref()
            .map_or_else(Vec::new, |staged| staged.contradictions(&[]));
        let outcome = match report.contradictions.is_empty() {
            true => FindingOutcome::NotChecked,
            false => FindingOutcome::Contradicted,
        };
        report.set_outcome(outcome);
        Ok(Looked {
            report,
            outcome,
            staged: staged.filter(|_| outcome == FindingOutcome::NotChecked),
        })
    }

    fn fetch<'a>(&self, destination: Destination<'a>) -> anyhow::Result<Staged<'a>> {
        let fetched = destination.fetch(&self.registry, &self.found);
        let fetched = self.runtime.block_on(fetched);
        fetched.with_context(|| format!("the model of `{}` cannot be saved", self.image))
    }
}

/// The digest where one is given, since a tag beside it may have moved; else the tag.
fn reference_of(image: &ImageReference) -> String {
    match (image.digest(), image.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, Some(tag)) => tag.to_owned(),
        (None, None) => "latest".to_owned(),
    }
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
    let saved = report.saved_model.as_ref();
    let saved = saved.map_or("", |saved| saved.digest.as_str());
    stage.set_output("model-digest", saved)?;
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
