//! The `gate` stage: an evaluation or metrics, a baseline and rules in; `verdict/` and an exit code out.
//!
//! What could not be judged is never green, and the verdict is written whatever it is.

mod inputs;

use std::io::IsTerminal as _;
use std::path::Path;

use trainyard_core::config::{self, JudgingConfig};
use trainyard_core::evaluation::Evaluation;
use trainyard_core::files;
use trainyard_core::gate::{Candidate, Case, Chain};
use trainyard_core::model::FileEntry;
use trainyard_core::report::{COMMENT_LIMIT, Report};
use trainyard_core::verdict::{Decision, VERDICT_FILE, Verdict};
use trainyard_runner::{Annotation, ExitCode, Level, Stage, WithExitCode as _};

pub use inputs::{Inputs, OUTPUTS};

const COMMENT_FILE: &str = "comment.md";
const JUNIT_FILE: &str = "junit.xml";

/// Runs the stage.
pub fn gate(inputs: Inputs) -> anyhow::Result<ExitCode> {
    let mut stage = Stage::start("gate", &inputs.log)?;
    let folder = inputs.out.join("verdict");
    // An earlier verdict must not be taken for this one, should this one break off.
    files::remove(&folder.join(VERDICT_FILE))?;
    let config = JudgingConfig::read(&inputs.config).exit_code(ExitCode::Usage)?;

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
        baseline: inputs.baseline.as_deref(),
    };
    let mut verdict = case.judge(Chain {
        rules_digest: config.gate.rules_digest().exit_code(ExitCode::Usage)?,
        trainyard_version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: stage.context.head_sha.clone(),
    });
    if verdict.model_name.is_none() {
        verdict.model_name = config.model_name;
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
    Ok(match verdict.verdict {
        Decision::Pass | Decision::Warn => ExitCode::Success,
        Decision::Fail => ExitCode::GateFailed,
        Decision::Inconclusive | Decision::Skipped => ExitCode::Inconclusive,
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
