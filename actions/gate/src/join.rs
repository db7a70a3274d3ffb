//! `--join`: the verdicts of a matrix's legs in, one comment and one check out, the worst of them.
//!
//! A leg that is missing, cannot be read or is of another commit is inconclusive, so that a leg that never ran is never
//! green.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use trainyard_core::error_chain::in_one_line;
use trainyard_core::files;
use trainyard_core::gate::{Decision, VERDICT_FILE, Verdict};
use trainyard_core::report::{
    COMMENT_LIMIT, Leg, LegOutcome, UNCHANGED_FILE, UnchangedSince, joined_decision,
    joined_markdown, joined_title,
};
use trainyard_github::MARKER_LIMIT;
use trainyard_runner::{Context, ExitCode, Stage, Trust, WithExitCode as _};

use crate::github::{Reporter, Written, warn};
use crate::inputs::Inputs;

/// How deep in an artifact a verdict may lie: `<artifact>/trainyard-out/verdict/verdict.json`.
const MAX_DEPTH: usize = 4;

/// Joins the verdicts in `folder`.
pub(crate) fn join(
    stage: &mut Stage,
    inputs: &Inputs,
    folder: &Path,
    reporter: Option<&Reporter<'_>>,
) -> anyhow::Result<ExitCode> {
    let context = stage.context.clone();
    if context.trust() == Trust::UnverifiedArtifact {
        return Err(anyhow!("`--join` reads nothing that a fork's run left"))
            .exit_code(ExitCode::Usage)
            .hint("join in the run of the pull request: its job summary shows the report");
    }
    let names = names(inputs.legs.as_deref().unwrap_or_default())?;
    let legs = legs(folder, &names, &context);
    let decision = joined_decision(&legs);
    let run_url = context.run.as_ref().and_then(|run| run.url.clone());
    let text = joined_markdown(&legs, run_url.as_deref(), COMMENT_LIMIT - MARKER_LIMIT);
    let title = joined_title(&legs);
    let path = inputs.stage.out.join("joined.md");
    files::write(&path, text.as_bytes())?;
    stage.print(&format!("{title}\n"))?;
    for leg in &legs {
        stage.print(&format!("  {}: {}\n", leg.name, leg.words()))?;
    }
    stage.set_output("verdict", decision.word())?;
    stage.set_output("title", &title)?;
    stage.set_path_output("comment", &path)?;
    stage.summarise(&text);
    let written = match reporter {
        Some(reporter) => {
            let models: Vec<&str> = legs.iter().filter_map(Leg::model).collect();
            reporter.write_joined(&title, &text, decision, &models)
        }
        None => Ok(Written::default()),
    };
    let written = written.unwrap_or_else(|error| {
        warn(stage, &error);
        Written::default()
    });
    stage.set_output("comment-url", written.comment_url.unwrap_or_default())?;
    stage.set_output("check-url", written.check_url.unwrap_or_default())?;
    Ok(match decision {
        decision if decision.is_green() => ExitCode::Success,
        Decision::Fail => ExitCode::GateFailed,
        _ => ExitCode::Inconclusive,
    })
}

/// The legs that must be there, separated by commas or lines.
fn names(text: &str) -> anyhow::Result<Vec<String>> {
    let names: Vec<String> = text
        .split([',', '\n'])
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    let distinct: BTreeSet<&String> = names.iter().collect();
    let problem = if names.is_empty() {
        "`--join` needs `--legs`, the names of all models: without them a leg that never ran would not be missed"
    } else if distinct.len() < names.len() {
        "a name occurs twice in `--legs`"
    } else {
        return Ok(names);
    };
    Err(anyhow!(problem))
        .exit_code(ExitCode::Usage)
        .hint("for two models: `legs: digits, diabetes`")
}

/// What became of each leg, in the order of the names; then what is there and was not named. A name is that of a model, or
/// of an artifact's folder, for legs that judge one model.
fn legs(folder: &Path, names: &[String], context: &Context) -> Vec<Leg> {
    let mut found = Vec::new();
    find_verdicts(folder, MAX_DEPTH, &mut found);
    found.sort();
    let mut read: Vec<Found> = found
        .iter()
        .map(|path| Found::read(path, folder, context))
        .collect();
    let mut of_name = |name: &String| {
        let of_folder = |found: &Found| found.folder == *name;
        let is_named = |found: &Found| of_folder(found) || found.model.as_ref() == Some(name);
        let has_folder = read.iter().any(of_folder);
        let (own, others): (Vec<Found>, Vec<Found>) =
            std::mem::take(&mut read).into_iter().partition(|found| {
                if has_folder {
                    of_folder(found)
                } else {
                    is_named(found)
                }
            });
        read = others;
        let mut own = own.into_iter();
        match (own.next(), own.next()) {
            (None, _) => LegOutcome::Missing(format!(
                "there is none in `{}`: see the job of that leg",
                folder.display()
            )),
            (Some(found), None) => found.outcome,
            (Some(_), Some(_)) => LegOutcome::Missing(
                "there are several of that name: let `--legs` name their artifacts".to_owned(),
            ),
        }
    };
    let named: Vec<Leg> = names
        .iter()
        .map(|name| Leg {
            name: name.clone(),
            outcome: of_name(name),
        })
        .collect();
    let others = read.into_iter().map(|found| Leg {
        name: found.model.unwrap_or(found.folder),
        outcome: LegOutcome::Missing("`--legs` does not name it".to_owned()),
    });
    named.into_iter().chain(others).collect()
}

/// A verdict that is there.
struct Found {
    /// The model that it is of, where it can be read.
    model: Option<String>,
    /// The artifact's folder.
    folder: String,
    outcome: LegOutcome,
}

impl Found {
    fn read(path: &Path, root: &Path, context: &Context) -> Self {
        let (model, outcome) = outcome(path, context);
        let folder = path.strip_prefix(root).unwrap_or(path).components().next();
        let folder = folder.map(|part| part.as_os_str().to_string_lossy().into_owned());
        Self {
            model,
            folder: folder.unwrap_or_default(),
            outcome,
        }
    }
}

/// The name and outcome that a folder of a verdict holds.
fn outcome(folder: &Path, context: &Context) -> (Option<String>, LegOutcome) {
    let checked = |commit: Option<&String>, outcome: LegOutcome| match &context.head_sha {
        Some(head) if commit != Some(head) => LegOutcome::Missing(format!(
            "the one there is of commit {}, not of {head}",
            commit.map_or("unknown", String::as_str)
        )),
        _ => outcome,
    };
    if files::is_there(&folder.join(VERDICT_FILE)) {
        return match Verdict::open(folder) {
            Ok(verdict) => (
                verdict.model_name.clone(),
                checked(
                    verdict.commit.clone().as_ref(),
                    LegOutcome::Judged(Box::new(verdict)),
                ),
            ),
            Err(error) => (None, LegOutcome::Missing(in_one_line(&error))),
        };
    }
    let path = folder.join(UNCHANGED_FILE);
    match files::read_json::<UnchangedSince>(&path, "unchanged verdict") {
        Ok(since) => (
            Some(since.model_name.clone()),
            checked(Some(&since.commit.clone()), LegOutcome::Unchanged(since)),
        ),
        Err(error) => (None, LegOutcome::Missing(in_one_line(&error))),
    }
}

/// The folders below `folder` that hold a verdict.
fn find_verdicts(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let holds = |name: &str| files::is_there(&folder.join(name));
    if holds(VERDICT_FILE) || holds(UNCHANGED_FILE) {
        found.push(folder.to_owned());
        return;
    }
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            find_verdicts(&entry.path(), depth, found);
        }
    }
}
