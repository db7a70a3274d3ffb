//! The `gate` stage: an evaluation or metrics, a baseline and rules in; `verdict/` and an exit code out.
//!
//! What could not be judged is never green, and the verdict is written whatever it is.

mod artifact;
mod base;
mod github;
mod inputs;
mod plan;

use std::io::IsTerminal as _;
use std::path::Path;

use anyhow::anyhow;
use trainyard_core::config::{self, JudgingConfig};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::evaluation::Evaluation;
use trainyard_core::files;
use trainyard_core::gate::{
    BASELINE_FILE, BaselineRecord, Candidate, Case, Chain, Given, HistoryPoint, RulesFrom,
    Scorecard,
};
use trainyard_core::model::FileEntry;
use trainyard_core::report::{COMMENT_LIMIT, Report, headline_metric};
use trainyard_core::verdict::{Decision, VERDICT_FILE, Verdict};
use trainyard_runner::{
    Annotation, Context, Event, ExitCode, Level, Stage, Trust, WithExitCode as _,
};

use base::BaseRules;
use github::{Link, LookedUp, Reporter, Written};
pub use inputs::{CommentMode, GitHubArgs, Inputs, OUTPUTS};
use plan::Plan;

/// What a model is called that nobody named.
const NAMELESS: &str = "model";
/// What heads the report on numbers that somebody else computed.
const UNVERIFIED: &str =
    "A fork's run computed these numbers, and nobody has verified them: they are for information.";
const COMMENT_FILE: &str = "comment.md";
const JUNIT_FILE: &str = "junit.xml";

/// Runs the stage.
pub fn gate(inputs: Inputs) -> anyhow::Result<ExitCode> {
    let mut stage = Stage::start("gate", &inputs.log)?;
    let folder = inputs.out.join("verdict");
    let is_foreign_artifact = stage.context.trust() == Trust::UnverifiedArtifact;
    if is_foreign_artifact && let Some(reason) = artifact::refusal(&inputs.out) {
        return Err(anyhow!(
            "nothing is written to `{}`: {reason}",
            inputs.out.display()
        ))
        .exit_code(ExitCode::Inconclusive)
        .hint("fetch the fork's artifact into a folder of its own, and name its `evaluation`");
    }
    // An earlier verdict must not be taken for this one, should this one break off.
    files::remove(&folder.join(VERDICT_FILE))?;
    refuse_comment(&stage.context)?;
    let mut config = JudgingConfig::read(&inputs.config).exit_code(ExitCode::Usage)?;
    let mut context = stage.context.clone();
    let link = open_link(&mut stage, &mut context, &inputs.github);
    let plan = Plan {
        context: &context,
        args: &inputs.github,
    };
    let reporter = link.map(|link| Reporter::new(link, plan, &inputs.out));
    let model_name = config.model_name.clone().or_else(|| inputs.name.clone());
    let model_name = model_name.unwrap_or_else(|| NAMELESS.to_owned());
    if inputs.start {
        return start(&mut stage, reporter.as_ref(), &model_name);
    }

    // Looked for even where a baseline is named: the record says whose rules judge, and brings the history.
    let found = match &reporter {
        Some(reporter) => reporter.baseline(&model_name),
        None => LookedUp::Nothing,
    };
    let own_rules_digest = config.gate.rules_digest().exit_code(ExitCode::Usage)?;
    let base_rules = BaseRules::take(
        &mut config,
        &context,
        reporter.as_ref(),
        &found,
        &inputs.config,
        &folder,
    );
    let baseline = match &inputs.baseline {
        Some(path) => Given::File(path),
        None => base_rules.baseline(&found),
    };
    let baseline_file = folder.join(BASELINE_FILE);
    files::remove(&baseline_file)?;
    if let (Given::Record(record, _), None) = (baseline, &config.gate.baseline) {
        files::write_json(&baseline_file, record)?;
    }

    let evaluation = inputs
        .evaluation
        .clone()
        .unwrap_or_else(|| inputs.out.join("evaluation"));
    let model = inputs.out.join("model");
    let judged = inputs.metrics.as_ref().unwrap_or(&evaluation);
    let refusal = is_foreign_artifact
        .then(|| artifact::refusal(judged))
        .flatten();
    let case = Case {
        gate: &config.gate,
        base: inputs.config.parent().unwrap_or(Path::new("")),
        candidate: match (&refusal, &inputs.metrics) {
            (Some(reason), _) => Candidate::Refused(reason),
            (None, Some(path)) => Candidate::Metrics(path),
            (None, None) => Candidate::Evaluation {
                folder: &evaluation,
                model: (!is_foreign_artifact).then_some(model.as_path()),
            },
        },
        baseline,
    };
    let card = case.candidate.read();
    let chain = Chain {
        rules_digest: config.gate.rules_digest().exit_code(ExitCode::Usage)?,
        trainyard_version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: context.head_sha.clone(),
    };
    let mut verdict = case.judge_read(&card, chain);
    let card = card.ok();
    if verdict.model_name.is_none() || is_foreign_artifact {
        verdict.model_name = config.model_name.clone().or(inputs.name);
    }
    if let Some(record) = found.record() {
        let changes = changes_since(record, card.as_ref(), &own_rules_digest);
        verdict.notes.extend(changes);
    }
    base_rules.apply(&mut verdict);
    if is_foreign_artifact {
        verdict.notes.insert(0, UNVERIFIED.to_owned());
    }
    // Where nothing was measured, there is nothing to let through.
    let is_overridable = card.is_some() && !verdict.verdict.is_green();
    if let (true, Some(reporter)) = (is_overridable, &reporter) {
        match reporter.find_override() {
            Ok(found) => verdict.overridden = found,
            Err(error) => github::warn(&mut stage, &error),
        }
    }
    let details = match (&refusal, inputs.metrics) {
        (None, None) => Evaluation::open(&evaluation).ok().map(|(found, _)| found),
        _ => None,
    };
    let run_url = context.run.as_ref().and_then(|run| run.url.clone());
    let before = found.record().map_or(&[][..], |record| &record.history);
    let record = card
        .as_ref()
        .and_then(|card| record(card, &verdict, config.gate.rules_from, &context, before));
    let history = record.as_ref().map_or(before, |record| &record.history);
    let merge_commit = github::merge_commit(&context);
    let report = Report {
        verdict: &verdict,
        evaluation: details.as_ref(),
        run_url: run_url.as_deref(),
        tested_commit: merge_commit.as_deref(),
        history,
    };

    let comment = report.markdown(COMMENT_LIMIT);
    files::write(&folder.join(COMMENT_FILE), comment.as_bytes())?;
    files::write(&folder.join(JUNIT_FILE), report.junit().as_bytes())?;
    let siblings = [COMMENT_FILE, JUNIT_FILE]
        .into_iter()
        .map(|path| FileEntry::measure(&folder, path))
        .collect::<Result<_, _>>()?;
    let title = report.title();
    let has_colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    stage.print(&report.terminal(has_colour))?;
    let stored = Verdict {
        files: siblings,
        ..verdict.clone()
    };
    files::write_json(&folder.join(VERDICT_FILE), &stored)?;

    stage.set_output("verdict", verdict.verdict.word())?;
    stage.set_output("title", title)?;
    stage.set_output("verdict-folder", folder.display())?;
    stage.set_output("comment", folder.join(COMMENT_FILE).display())?;
    stage.set_output("junit", folder.join(JUNIT_FILE).display())?;
    let digest = verdict.model_digest.as_ref();
    let digest = digest.map(ToString::to_string).unwrap_or_default();
    stage.set_output("model-digest", digest)?;
    stage.set_output("overridden", verdict.overridden.is_some())?;
    stage.summarise(&comment);
    let config_file = base_rules.are_own().then_some(inputs.config.as_path());
    let annotations = annotations(&verdict, config_file);
    if stage.annotator.is_github_actions() {
        stage.annotate(annotations.clone());
    }
    let written = match &reporter {
        Some(reporter) => reporter.finish(
            &mut stage,
            &model_name,
            &report,
            &annotations,
            record.as_ref(),
        ),
        None => Written::default(),
    };
    if inputs.github.dry_run {
        stage.print(&plan.dry_run(&model_name, &report, &annotations, record.as_ref()))?;
    }
    stage.set_output("comment-url", written.comment_url.unwrap_or_default())?;
    stage.set_output("check-url", written.check_url.unwrap_or_default())?;
    Ok(match verdict.verdict {
        _ if verdict.is_let_through() => ExitCode::Success,
        Decision::Fail => ExitCode::GateFailed,
        _ => ExitCode::Inconclusive,
    })
}

/// Refuses to judge in a run that a comment started: such a run is of the default branch, so whatever was checked out,
/// its verdict would stand on one commit and be about another.
fn refuse_comment(context: &Context) -> anyhow::Result<()> {
    let Event::Comment(name) = &context.event else {
        return Ok(());
    };
    let commit = match context.pull_request {
        Some(number) => format!("$(gh pr view {number} --json headRefOid --jq .headRefOid)"),
        None => "SHA".to_owned(),
    };
    Err(anyhow!(
        "`gate` judges nothing on the event `{name}`: its run is of the default branch, not of the commit that was commented on"
    ))
    .exit_code(ExitCode::Usage)
    .hint(format!(
        "re-run the job of that commit, with `actions: write` under `permissions:`: `gh run rerun \"$(gh run list --commit \"{commit}\" --limit 1 --json databaseId --jq '.[0].databaseId')\"`"
    ))
}

/// The connection to GitHub, and in `context` what only GitHub knows. `None` where nothing is to be written.
fn open_link(stage: &mut Stage, context: &mut Context, args: &GitHubArgs) -> Option<Link> {
    let link = Link::open(context, args)?;
    match link.complete(context) {
        Ok(is_current) => is_current.then_some(link),
        Err(error) => {
            github::warn(stage, &error);
            None
        }
    }
}

/// Opens the check run, where one is wanted. That it cannot be opened is no reason not to train.
fn start(
    stage: &mut Stage,
    reporter: Option<&Reporter<'_>>,
    model: &str,
) -> anyhow::Result<ExitCode> {
    let Some(reporter) = reporter else {
        tracing::info!("no check run is opened");
        return Ok(ExitCode::Success);
    };
    let url = match reporter.start(model) {
        Ok(url) => url,
        Err(error) => {
            github::warn(stage, &error);
            None
        }
    };
    stage.set_output("check-url", url.unwrap_or_default())?;
    Ok(ExitCode::Success)
}

/// What a pull request must not change unseen: its own judges.
fn changes_since(
    record: &BaselineRecord,
    card: Option<&Scorecard>,
    own_rules_digest: &Sha256Digest,
) -> Vec<String> {
    let data_digest = card.and_then(|card| card.data_digest.as_ref());
    let has_other_data = data_digest.is_some()
        && record.data_digest.is_some()
        && data_digest != record.data_digest.as_ref();
    let changes = [
        (
            *own_rules_digest != record.rules_digest,
            "The rules are not those that judged the baseline.",
        ),
        (
            has_other_data,
            "The test data are not those of the baseline.",
        ),
    ];
    changes
        .into_iter()
        .filter(|(is_changed, _)| *is_changed)
        .map(|(_, note)| note.to_owned())
        .collect()
}

/// What later commits are compared with: the metrics that were judged.
fn record(
    card: &Scorecard,
    verdict: &Verdict,
    rules_from: RulesFrom,
    context: &Context,
    history: &[HistoryPoint],
) -> Option<BaselineRecord> {
    let commit = context.head_sha.as_deref()?;
    let mut record = BaselineRecord::of(card, commit, verdict.rules_digest.clone(), history);
    record.rules_from = rules_from;
    Some(match headline_metric(verdict) {
        Some(headline) => record.with_headline(&headline.name),
        None => record,
    })
}

/// One for each rule that does not simply hold, the worst first, on its line of the configuration where the rules are its.
fn annotations(verdict: &Verdict, config: Option<&Path>) -> Vec<Annotation> {
    let text = config.and_then(|config| files::read_text(config).ok());
    let text = text.unwrap_or_default();
    let mut results: Vec<_> = verdict
        .rules
        .iter()
        .filter(|result| result.decision > Decision::Pass)
        .collect();
    results.sort_by_key(|result| std::cmp::Reverse(result.decision));
    let mut annotations: Vec<Annotation> = results
        .into_iter()
        .map(|result| {
            let level = match result.decision {
                Decision::Fail | Decision::Inconclusive => Level::Error,
                _ => Level::Warning,
            };
            let message = format!("{} {}: {}", result.subject, result.wanted, result.reason);
            let annotation =
                Annotation::new(level, message).title(format!("Gate: {}", result.decision.word()));
            let rule_idx = result.rule_idx.to_string();
            let line = config::line_of(&text, &["gate", "rules", &rule_idx]);
            match config.zip(line) {
                Some((config, line)) => annotation.at(config, line),
                None => annotation,
            }
        })
        .collect();
    // Red for a reason that is no rule's, such as an evaluation that cannot be read.
    if annotations.is_empty() && !verdict.verdict.is_green() {
        annotations.push(Annotation::error(verdict.reasons()).title("Gate: inconclusive"));
    }
    annotations
}
