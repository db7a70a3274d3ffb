//! A verdict written to the folder, the outputs, the job summary and the annotations.

use std::io::IsTerminal as _;
use std::path::Path;

use anyhow::Context as _;
use trainyard_core::config;
use trainyard_core::files;
use trainyard_core::gate::{Decision, FRESH_ROWS_FILE, Verdict};
use trainyard_core::model::FileEntry;
use trainyard_core::report::{COMMENT_LIMIT, Report, UNCHANGED_FILE};
use trainyard_core::results::ResultFolder;
use trainyard_runner::{Annotation, Level, Stage};

use crate::ExplainFormat;

const COMMENT_FILE: &str = "comment.md";
const JUNIT_FILE: &str = "junit.xml";
const BADGE_FILE: &str = "badge.json";
const SARIF_FILE: &str = "results.sarif";
const PAGE_FILE: &str = "verdict.html";
const EXPLANATION_FILE: &str = "explanation.json";

/// Removes the files of an earlier report: beside a gate that breaks off they would say what it did not.
pub(crate) fn remove_files(folder: &Path) -> anyhow::Result<()> {
    for path in [
        COMMENT_FILE,
        JUNIT_FILE,
        BADGE_FILE,
        SARIF_FILE,
        EXPLANATION_FILE,
        PAGE_FILE,
        UNCHANGED_FILE,
    ] {
        files::remove(&folder.join(path))?;
    }
    Ok(())
}

/// Writes the report's files and last `verdict.json`; returns the report as Markdown.
///
/// `config` is the configuration, where the rules are its.
pub(crate) fn write_files(
    results: &ResultFolder,
    report: &Report<'_>,
    config: Option<&Path>,
) -> anyhow::Result<String> {
    let comment = report.markdown(COMMENT_LIMIT);
    let junit = report.junit();
    let badge = report.badge().to_string();
    let page = report.page().context("rendering the verdict's page")?;
    let sarif = sarif(report, config);
    let explanation = files::json_bytes(&report.explanation())?;
    let explanation = String::from_utf8_lossy(&explanation).into_owned();
    let mut entries = Vec::new();
    for (path, content) in [
        (COMMENT_FILE, &comment),
        (JUNIT_FILE, &junit),
        (BADGE_FILE, &badge),
        (SARIF_FILE, &sarif),
        (EXPLANATION_FILE, &explanation),
        (PAGE_FILE, &page),
    ] {
        files::write(&results.path().join(path), content.as_bytes())?;
        entries.push(FileEntry::of_bytes(path, content.as_bytes()));
    }
    results.finish_by_line(&report.verdict.clone().with_files(entries))?;
    Ok(comment)
}

fn sarif(report: &Report<'_>, config: Option<&Path>) -> String {
    let text = config.and_then(|config| files::read_text(config).ok());
    let text = text.unwrap_or_default();
    // SARIF's paths are URIs.
    let path = config.map(|config| config.display().to_string().replace('\\', "/"));
    report
        .sarif(path.as_deref(), |rule_idx| {
            config::line_of(&text, &["gate", "rules", &rule_idx.to_string()])
        })
        .to_string()
}

/// Prints the report, sets the outputs and appends `comment`, the report as Markdown, to the job summary.
pub(crate) fn say(
    stage: &Stage,
    folder: &Path,
    report: &Report<'_>,
    comment: &str,
    explain: Option<ExplainFormat>,
) -> anyhow::Result<()> {
    let verdict = report.verdict;
    let has_colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    match explain {
        None => stage.print(&report.terminal(has_colour))?,
        Some(ExplainFormat::Text) => stage.print(&report.explanation().text())?,
        Some(ExplainFormat::Json) => {
            let json = files::json_bytes(&report.explanation())?;
            stage.print(&String::from_utf8_lossy(&json))?;
        }
    }
    stage.set_output("verdict", verdict.verdict.word())?;
    stage.set_output("title", report.title())?;
    stage.set_path_output("verdict-folder", folder)?;
    stage.set_path_output("folder", folder.parent().unwrap_or(folder))?;
    stage.set_path_output("comment", &folder.join(COMMENT_FILE))?;
    stage.set_path_output("junit", &folder.join(JUNIT_FILE))?;
    stage.set_path_output("badge", &folder.join(BADGE_FILE))?;
    stage.set_path_output("page", &folder.join(PAGE_FILE))?;
    stage.set_path_output("sarif", &folder.join(SARIF_FILE))?;
    let evidence = folder.join(FRESH_ROWS_FILE);
    if files::is_there(&evidence) {
        stage.set_path_output("fresh-rows", &evidence)?;
    } else {
        stage.set_output("fresh-rows", "")?;
    }
    stage.set_path_output("explanation", &folder.join(EXPLANATION_FILE))?;
    let digest = verdict.model_digest.as_ref();
    let digest = digest.map(ToString::to_string).unwrap_or_default();
    stage.set_output("model-digest", digest)?;
    stage.set_output("overridden", verdict.overridden.is_some())?;
    stage.summarise(comment);
    Ok(())
}

/// One for each rule that does not simply hold, the worst first, on its line of the configuration where the rules are its.
pub(crate) fn annotations(verdict: &Verdict, config: Option<&Path>) -> Vec<Annotation> {
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
            let message = format!("{} {}: {}", result.key(), result.wanted, result.reason);
            let annotation =
                Annotation::new(level, message).title(format!("Gate: {}", result.word()));
            let rule_idx = result.rule_idx.to_string();
            let line = config::line_of(&text, &["gate", "rules", &rule_idx]);
            match config.zip(line) {
                Some((config, line)) => annotation.at(config, line),
                None => annotation,
            }
        })
        .collect();
    // Red for a reason that is not a rule's, such as an evaluation that cannot be read.
    if annotations.is_empty() && !verdict.verdict.is_green() {
        annotations.push(Annotation::error(verdict.reasons()).title("Gate: inconclusive"));
    }
    annotations
}
