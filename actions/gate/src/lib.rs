//! The `gate` stage: an evaluation or metrics, a baseline and rules in; `verdict/` and an exit code out.
//!
//! What could not be judged is never green, and the verdict is written whatever it is.

mod github;
mod inputs;

use std::io::IsTerminal as _;
use std::path::Path;

use trainyard_core::config::{self, JudgingConfig};
use trainyard_core::evaluation::Evaluation;
use trainyard_core::files;
use trainyard_core::gate::{
    BASELINE_FILE, BaselineRecord, Candidate, Case, Chain, Given, HistoryPoint, Scorecard,
};
use trainyard_core::model::FileEntry;
use trainyard_core::report::{COMMENT_LIMIT, Report};
use trainyard_core::verdict::{Decision, VERDICT_FILE, Verdict};
use trainyard_runner::{Annotation, Context, ExitCode, Level, Stage, WithExitCode as _};

use github::{LookedUp, Reporter, Written};
pub use inputs::{CommentMode, GitHubArgs, Inputs, OUTPUTS};

/// What a model is called that nobody named.
const NAMELESS: &str = "model";
const COMMENT_FILE: &str = "comment.md";
const JUNIT_FILE: &str = "junit.xml";

/// Runs the stage.
pub fn gate(inputs: Inputs) -> anyhow::Result<ExitCode> {
    let mut stage = Stage::start("gate", &inputs.log)?;
    let folder = inputs.out.join("verdict");
    // An earlier verdict must not be taken for this one, should this one break off.
    files::remove(&folder.join(VERDICT_FILE))?;
    let config = JudgingConfig::read(&inputs.config).exit_code(ExitCode::Usage)?;
    let context = stage.context.clone();
    let reporter = Reporter::new(&context, &inputs.github);
    let model_name = config.model_name.clone().or_else(|| inputs.name.clone());
    let model_name = model_name.unwrap_or_else(|| NAMELESS.to_owned());
    if inputs.start {
        return start(&mut stage, reporter.as_ref(), &model_name, &inputs.out);
    }

    let is_looked_for = inputs.baseline.is_none() && config.gate.baseline.is_none();
    let found = match &reporter {
        Some(reporter) if is_looked_for => reporter.baseline(&model_name),
        _ => LookedUp::Nothing,
    };
    let baseline_file = folder.join(BASELINE_FILE);
    files::remove(&baseline_file)?;
    if let Some(record) = found.record() {
        files::write_json(&baseline_file, record)?;
    }

    let evaluation = inputs
        .evaluation
        .clone()
        .unwrap_or_else(|| inputs.out.join("evaluation"));
    let model = inputs.out.join("model");
    let case = Case {
        gate: &config.gate,
        base: inputs.config.parent().unwrap_or(Path::new("")),
        candidate: match &inputs.metrics {
            Some(path) => Candidate::Metrics(path),
            None => Candidate::Evaluation {
                folder: &evaluation,
                model: &model,
            },
        },
        baseline: match &inputs.baseline {
            Some(path) => Given::File(path),
            None => found.given(),
        },
    };
    let mut verdict = case.judge(Chain {
        rules_digest: config.gate.rules_digest().exit_code(ExitCode::Usage)?,
        trainyard_version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: stage.context.head_sha.clone(),
    });
    if verdict.model_name.is_none() {
        verdict.model_name = config.model_name.or(inputs.name);
    }
    let card = case.candidate.read().ok();
    if let Some(record) = found.record() {
        let changes = changes_since(record, card.as_ref(), &verdict);
        verdict.notes.extend(changes);
    }
    let details = match inputs.metrics {
        Some(_) => None,
        None => Evaluation::open(&evaluation).ok().map(|(found, _)| found),
    };
    let run_url = stage.context.run.as_ref().and_then(|run| run.url.clone());
    let report = Report {
        verdict: &verdict,
        evaluation: details.as_ref(),
        run_url: run_url.as_deref(),
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
    verdict.files = siblings;
    files::write_json(&folder.join(VERDICT_FILE), &verdict)?;

    stage.set_output("verdict", verdict.verdict.word())?;
    stage.set_output("title", title)?;
    stage.set_output("verdict-folder", folder.display())?;
    stage.set_output("comment", folder.join(COMMENT_FILE).display())?;
    stage.set_output("junit", folder.join(JUNIT_FILE).display())?;
    let digest = verdict.model_digest.as_ref();
    let digest = digest.map(ToString::to_string).unwrap_or_default();
    stage.set_output("model-digest", digest)?;
    stage.summarise(&comment);
    if stage.annotator.is_github_actions() {
        stage.annotate(annotations(&verdict, &inputs.config));
    }
    let written = match &reporter {
        Some(reporter) => {
            let history = found.record().map_or(&[][..], |record| &record.history);
            let record = card
                .as_ref()
                .and_then(|card| record(card, &verdict, &context, history));
            let report = Report {
                verdict: &verdict,
                evaluation: details.as_ref(),
                run_url: run_url.as_deref(),
            };
            reporter.finish(
                &mut stage,
                &model_name,
                &inputs.out,
                &report,
                record.as_ref(),
            )
        }
        None => Written::default(),
    };
    stage.set_output("comment-url", written.comment_url.unwrap_or_default())?;
    stage.set_output("check-url", written.check_url.unwrap_or_default())?;
    Ok(match verdict.verdict {
        Decision::Pass | Decision::Warn => ExitCode::Success,
        Decision::Fail => ExitCode::GateFailed,
        Decision::Inconclusive | Decision::Skipped => ExitCode::Inconclusive,
    })
}

/// Opens the check run, where one is wanted. That it cannot be opened is no reason not to train.
fn start(
    stage: &mut Stage,
    reporter: Option<&Reporter<'_>>,
    model: &str,
    out: &Path,
) -> anyhow::Result<ExitCode> {
    let Some(reporter) = reporter else {
        tracing::info!("no check run is opened");
        return Ok(ExitCode::Success);
    };
    let url = match reporter.start(model, out) {
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
    verdict: &Verdict,
) -> Vec<String> {
    let data_digest = card.and_then(|card| card.data_digest.as_ref());
    let has_other_data = data_digest.is_some()
        && record.data_digest.is_some()
        && data_digest != record.data_digest.as_ref();
    let changes = [
        (
            verdict.rules_digest != record.rules_digest,
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
    context: &Context,
    history: &[HistoryPoint],
) -> Option<BaselineRecord> {
    let commit = context.head_sha.as_deref()?;
    let record = BaselineRecord::of(card, commit, verdict.rules_digest.clone(), history);
    Some(match verdict.metrics.first() {
        Some(headline) => record.with_headline(&headline.name),
        None => record,
    })
}

/// One for each rule that does not simply hold, on its line of the configuration, the worst first.
fn annotations(verdict: &Verdict, config: &Path) -> Vec<Annotation> {
    let text = files::read_text(config).unwrap_or_default();
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
            match config::line_of(&text, &["gate", "rules", &rule_idx]) {
                Some(line) => annotation.at(config, line),
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
