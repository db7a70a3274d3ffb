//! Whether a model may be published: its verdict, worked out anew.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use serde::de::DeserializeOwned;
use trainyard_core::config::{Config, GateConfig, JudgingConfig};
use trainyard_core::error_chain::in_one_line;
use trainyard_core::evaluation::Evaluation;
use trainyard_core::files;
use trainyard_core::gate::{
    BASELINE_FILE, Baseline, BaselinePlace, Candidate, Case, Decision, Expected, FRESH_ROWS_FILE,
    FreshEvidence, KeptLooks, LOOKS_FILE, MUST_PASS_FILE, MustPass, NO_BASELINE_FILE, NoBaseline,
    RULES_FILE, RulesInForce, RulesOrigin, SHARED_ROWS_FILE, SharedRows, StoredRules, Trust,
    Verdict,
};
use trainyard_core::model::{FileEntry, ModelFolder};
use trainyard_core::recomputed;
use trainyard_core::scored_rows::ScoredRows;
use trainyard_runner::{ExitCode, WithExitCode as _};

const JUDGE_AGAIN: &str = "run `trainyard-evaluate` and `trainyard-gate` again for this model";

/// What may become of a model.
pub(crate) enum Permit {
    /// It may be published: by the rules, or by a person's word where that is to count.
    Granted(Box<Granted>),
    /// A person let it through, and this workflow does not publish such models.
    Withheld(Box<Verdict>),
}

/// What a model is published by.
pub(crate) struct Granted {
    pub(crate) verdict: Verdict,
    /// What was judged.
    pub(crate) evaluation: Evaluation,
    /// The predictions that its figures are of.
    pub(crate) rows: ScoredRows,
    /// Where the gate said that the baseline came from, for people; the copy beside the verdict does not say.
    pub(crate) baseline_source: Option<String>,
    /// The files that the gate wrote beside the verdict, with their digests.
    pub(crate) verdict_files: Vec<FileEntry>,
}

/// Whether exactly `model` may be published; everything else is an error with the right exit code.
///
/// `commit` is what this run is about, where the numbers can be trusted: an override counts where the gate wrote it down
/// for this commit. The stored verdict is not trusted: it must be the one that the evaluation and the rules give now, which
/// are the configured ones, or those of the base branch that the gate judged by.
pub(crate) fn check(
    config: &Config,
    base: &Path,
    out: &Path,
    baseline: Option<&BaselinePlace>,
    model: &ModelFolder,
    commit: Option<&str>,
    allows_override: bool,
) -> anyhow::Result<Permit> {
    let folder = out.join("verdict");
    let stored = Verdict::open(&folder)
        .map_err(|error| anyhow::Error::new(error).context("there is no verdict to publish by"))
        .exit_code(ExitCode::Inconclusive)
        .hint(JUDGE_AGAIN)?;
    let of_base = stored_rules(&folder)?;
    let (gate, origin) = match &of_base {
        Some(rules) => (&rules.gate, RulesOrigin::Base(rules.reference.clone())),
        None => (&config.gate, RulesOrigin::Own),
    };
    let judging = JudgingConfig::of(config.clone()).exit_code(ExitCode::Usage)?;
    let read = Candidate::Evaluation {
        folder: &out.join("evaluation"),
        // Its digest is known, and compared below.
        model: None,
    }
    .read(&Expected::of(&judging));
    let mut baseline = find_baseline(gate, base, &folder, baseline);
    if let (Ok((card, _)), Some(shared)) = (&read, stored_shared_rows(&folder)?) {
        baseline = baseline.on_shared_rows(card, Ok(Box::new(shared)));
    }
    let must_pass = stored_must_pass(&folder)?;
    let looks = stored_looks(&folder)?;
    let fresh_rows = stored_fresh_rows(&folder)?;
    let is_of_commit = commit.is_some() && stored.commit.as_deref() == commit;
    let overridden = stored.overridden.as_ref().filter(|_| is_of_commit);
    if let (Some(judged), Some(published)) = (stored.commit.as_deref(), commit)
        && judged != published
    {
        tracing::warn!(
            "the verdict is of the commit {judged}, and this run is of {published}: the image says both"
        );
    }
    let now = Case {
        rules: RulesInForce {
            gate,
            digest: gate.rules_digest().exit_code(ExitCode::Usage)?,
            origin,
        },
        candidate: read.as_ref().map(|(card, _)| card),
        baseline: &baseline,
        trust: Trust::Verified,
        overridden,
        model_name: None,
        commit,
        trainyard_version: env!("CARGO_PKG_VERSION"),
        rule_changes: &[],
        must_pass: Some(&must_pass),
        looks: match &looks {
            Some(KeptLooks::Known(looks)) => Ok(Some(looks)),
            Some(KeptLooks::Unknown(reason)) => Err(reason),
            None => Ok(None),
        },
        evaluate: Some(&config.evaluate),
        fresh_rows: fresh_rows.as_ref(),
        flips: None,
        notes: &[],
    }
    .judge();
    let evaluated = match read {
        Ok((_, Some(evaluation))) => {
            let rows = recomputed::check(&evaluation, &out.join("evaluation"), &config.evaluate)
                .map_err(|problem| {
                    anyhow!("the evaluation is not what its predictions give: {problem}")
                })
                .exit_code(ExitCode::Inconclusive)
                .hint(JUDGE_AGAIN)?;
            Some((evaluation, rows))
        }
        _ => None,
    };
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
    // What was judged then is what was judged now; what is signed says when.
    let now = Verdict {
        commit: stored.commit.clone(),
        ..now
    };
    let baseline_source = (stored.baseline.as_ref())
        .filter(|said| {
            let judged = now.baseline.as_ref();
            judged.is_some_and(|judged| judged.model_digest == said.model_digest)
        })
        .map(|said| said.source.clone());
    let grant = |verdict: Verdict| {
        let (evaluation, rows) = evaluated
            .context("a verdict on this model is of an evaluation")
            .exit_code(ExitCode::Bug)?;
        Ok(Permit::Granted(Box::new(Granted {
            verdict,
            evaluation,
            rows,
            baseline_source,
            verdict_files: stored.files,
        })))
    };
    match now.verdict {
        _ if now.overridden.is_some() && allows_override => grant(now),
        _ if now.overridden.is_some() => Ok(Permit::Withheld(Box::new(now))),
        Decision::Pass | Decision::Warn => grant(now),
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

/// The base branch's rules, where the gate judged by those.
fn stored_rules(folder: &Path) -> anyhow::Result<Option<StoredRules>> {
    stored(&folder.join(RULES_FILE), "copy of the base branch's rules")
}

/// Both models on the rows that they share, where the gate computed that.
fn stored_shared_rows(folder: &Path) -> anyhow::Result<Option<SharedRows>> {
    stored(&folder.join(SHARED_ROWS_FILE), "comparison on shared rows")
}

/// How the rows that rules list came out, where the gate looked.
fn stored_must_pass(folder: &Path) -> anyhow::Result<BTreeMap<String, Result<MustPass, String>>> {
    let found = stored(&folder.join(MUST_PASS_FILE), "result of the listed rows")?;
    Ok(found.unwrap_or_default())
}

/// How many models the gate knew to be judged on the same rows, where it counted.
fn stored_looks(folder: &Path) -> anyhow::Result<Option<KeptLooks>> {
    stored(&folder.join(LOOKS_FILE), "count of looks")
}

/// The evidence of fresh rows, where rules accumulate it.
fn stored_fresh_rows(folder: &Path) -> anyhow::Result<Option<FreshEvidence>> {
    stored(&folder.join(FRESH_ROWS_FILE), "evidence of fresh rows")
}

/// What the gate kept beside the verdict, if it did.
fn stored<T: DeserializeOwned>(path: &Path, what: &'static str) -> anyhow::Result<Option<T>> {
    if !files::is_there(path) {
        return Ok(None);
    }
    files::read_json(path, what)
        .map(Some)
        .exit_code(ExitCode::Inconclusive)
        .hint(JUDGE_AGAIN)
}

/// The baseline that the gate compared with: a file that is named, what the gate found elsewhere or why it found nothing, or the
/// configured file. A registry is not asked: its tags may have moved since.
fn find_baseline(
    gate: &GateConfig,
    base: &Path,
    folder: &Path,
    named: Option<&BaselinePlace>,
) -> Baseline {
    let found = folder.join(BASELINE_FILE);
    let image = [named, gate.baseline.as_ref()]
        .into_iter()
        .flatten()
        .find(|place| place.file().is_none());
    let named = named.and_then(BaselinePlace::file);
    let path = named.or_else(|| found.exists().then_some(found.as_path()));
    let none = folder.join(NO_BASELINE_FILE);
    let none = || {
        let read = || match files::read_json::<NoBaseline>(&none, "note on the baseline") {
            Ok(none) => none.into(),
            Err(error) => Baseline::Unavailable(in_one_line(&error)),
        };
        files::is_there(&none).then(read)
    };
    path.map(|path| Baseline::read(path, &path.display().to_string()))
        .or_else(none)
        .or_else(|| {
            let reason = format!("the gate kept no copy of `{}` beside the verdict", image?);
            Some(Baseline::Unavailable(reason))
        })
        .or_else(|| Baseline::configured(gate, base))
        .unwrap_or_else(|| Baseline::NotConfigured("no baseline is configured".to_owned()))
        .under(gate.on_missing_baseline)
}

fn difference(stored: &Verdict, now: &Verdict, model: &ModelFolder) -> Option<String> {
    if now.evaluation_digest.is_none() {
        // The evaluation cannot be read, or is another model's; the notes say which.
        return Some(now.notes.join(" "));
    }
    match &now.model_digest {
        None => return Some("the evaluation does not name the model that it scored".to_owned()),
        Some(evaluated) if *evaluated != model.digest => {
            return Some(format!(
                "the evaluation was made from the model {}, but `{}` holds {}",
                evaluated.short(),
                model.path.display(),
                model.digest.short()
            ));
        }
        Some(_) => {}
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
