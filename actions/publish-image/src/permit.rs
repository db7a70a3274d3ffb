//! Whether a model may be published: its verdict, worked out anew.

use std::path::Path;

use anyhow::anyhow;
use trainyard_core::config::Config;
use trainyard_core::gate::{
    BASELINE_FILE, Baseline, Candidate, Case, Decision, RulesInForce, RulesOrigin, Trust, Verdict,
};
use trainyard_core::model::ModelFolder;
use trainyard_runner::{ExitCode, WithExitCode as _};

const JUDGE_AGAIN: &str = "run `trainyard-evaluate` and `trainyard-gate` again for this model";

/// Returns the verdict where it passes exactly `model`; everything else is an error with the right exit code.
///
/// `let_through` is the commit for which a person's override counts, as the gate found it on GitHub and wrote it down.
/// The stored verdict is not trusted: it must be the one that the evaluation and the configured rules give now.
pub(crate) fn check(
    config: &Config,
    base: &Path,
    out: &Path,
    baseline: Option<&Path>,
    model: &ModelFolder,
    let_through: Option<&str>,
) -> anyhow::Result<Verdict> {
    let stored = Verdict::open(&out.join("verdict"))
        .map_err(|error| anyhow::Error::new(error).context("there is no verdict to publish by"))
        .exit_code(ExitCode::Inconclusive)
        .hint(JUDGE_AGAIN)?;
    let read = Candidate::Evaluation {
        folder: &out.join("evaluation"),
        model: Some(&model.path),
    }
    .read();
    // A person's word holds for the commit that it names, where it is to count at all.
    let overridden = stored
        .overridden
        .as_ref()
        .filter(|found| let_through == Some(found.commit.as_str()));
    let now = Case {
        rules: RulesInForce {
            gate: &config.gate,
            digest: config.gate.rules_digest().exit_code(ExitCode::Usage)?,
            origin: RulesOrigin::Own,
        },
        candidate: read.as_ref().map(|(card, _)| card),
        baseline: &find_baseline(config, base, out, baseline),
        trust: Trust::Verified,
        overridden,
        model_name: None,
        commit: None,
        trainyard_version: env!("CARGO_PKG_VERSION"),
        notes: &[],
    }
    .judge();
    if let Some(difference) = difference(&stored, &now, model) {
        return Err(anyhow!("the verdict is not about this model: {difference}"))
            .exit_code(ExitCode::Inconclusive)
            .hint(JUDGE_AGAIN);
    }
    if now.verdict.is_green() && !now.has_judged() {
        return Err(anyhow!(
            "no rule was judged, so nothing is published: {}",
            now.summary
        ))
        .exit_code(ExitCode::Inconclusive)
        .hint("add a rule that needs no baseline, such as `min`");
    }
    match now.verdict {
        _ if now.overridden.is_some() => Ok(now),
        Decision::Pass | Decision::Warn => Ok(now),
        Decision::Fail => Err(anyhow!(
            "the gate failed, so nothing is published: {}",
            now.summary
        ))
        .exit_code(ExitCode::GateFailed),
        Decision::Inconclusive | Decision::Skipped => Err(anyhow!(
            "the gate could not judge, so nothing is published: {}",
            now.reasons()
        ))
        .exit_code(ExitCode::Inconclusive),
    }
}

/// The baseline that the gate compared with: a file that is named, what the gate found on GitHub, or the configured file.
fn find_baseline(config: &Config, base: &Path, out: &Path, named: Option<&Path>) -> Baseline {
    let found = out.join("verdict").join(BASELINE_FILE);
    let path = named.or_else(|| found.exists().then_some(found.as_path()));
    path.map(|path| Baseline::read(path, &path.display().to_string()))
        .or_else(|| Baseline::configured(&config.gate, base))
        .unwrap_or_else(|| Baseline::NotConfigured("no baseline is configured".to_owned()))
        .under(config.gate.on_missing_baseline)
}

fn difference(stored: &Verdict, now: &Verdict, model: &ModelFolder) -> Option<String> {
    if now.evaluation_digest.is_none() {
        // The evaluation cannot be read, or is another model's; the notes say which.
        return Some(now.notes.join(" "));
    }
    if now.model_digest.as_ref() != Some(&model.digest) {
        return Some("the evaluation does not name the model that it scored".to_owned());
    }
    if stored.model_digest != now.model_digest {
        return Some("it was given for another model".to_owned());
    }
    if stored.rules_digest != now.rules_digest {
        return Some("the rules have changed since".to_owned());
    }
    if stored.evaluation_digest != now.evaluation_digest {
        return Some("the evaluation has changed since".to_owned());
    }
    if stored.verdict != now.verdict {
        return Some(format!(
            "it says `{}`, but evaluation and rules give `{}`; where the gate was given a `--baseline`, name the same one here",
            stored.verdict.word(),
            now.verdict.word()
        ));
    }
    None
}
