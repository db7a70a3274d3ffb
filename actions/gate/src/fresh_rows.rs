//! What earlier runs found on fresh rows, and these rows added to it.

use std::path::Path;

use trainyard_core::config::GateConfig;
use trainyard_core::error_chain::in_one_line;
use trainyard_core::files;
use trainyard_core::gate::{Baseline, BaselineRecord, FRESH_ROWS_FILE, FreshEvidence, FreshRows};

use crate::Inputs;
use crate::github::Reporter;
use crate::shared::{Candidate, own_row_ids};

/// The evidence of fresh rows, these included; `None` where no rule asks for it or there is nothing to compare with. Adds to
/// `notes` where a file of earlier evidence is not there.
pub(crate) fn find(
    inputs: &Inputs,
    gate: &GateConfig,
    candidate: Option<&Candidate<'_>>,
    baseline: &Baseline,
    github: Option<(&Reporter<'_>, &str)>,
    record: Option<&BaselineRecord>,
    notes: &mut Vec<String>,
) -> Option<FreshEvidence> {
    gate.rules.iter().find(|rule| rule.sequential.is_some())?;
    let own = inputs.stage.out.join("verdict").join(FRESH_ROWS_FILE);
    let earlier = earlier(inputs.fresh_rows.as_deref(), &own, github, record, notes);
    let earlier = match earlier {
        Ok(earlier) => earlier,
        Err(reason) => return Some(FreshEvidence::unknown(&reason)),
    };
    let (Some(candidate), Baseline::Ready { card: old, .. }) = (candidate, baseline) else {
        // What is there is handed on.
        let process = earlier.last().cloned();
        return process.map(|process| FreshEvidence {
            process: Some(process),
            problem: Some("there is nothing to compare these rows with".to_owned()),
            ..FreshEvidence::default()
        });
    };
    let row_ids = own_row_ids(candidate);
    if let Err(reason) = &row_ids {
        tracing::warn!("whether rows were judged before is not known: {reason}");
    }
    let row_ids = row_ids.ok();
    Some(FreshEvidence::of(
        candidate.card,
        old,
        &earlier,
        row_ids.as_deref(),
    ))
}

/// What earlier runs left: in a file, and on GitHub. `own` is the file that this run will write.
fn earlier(
    file: Option<&Path>,
    own: &Path,
    github: Option<(&Reporter<'_>, &str)>,
    record: Option<&BaselineRecord>,
    notes: &mut Vec<String>,
) -> Result<Vec<FreshRows>, String> {
    let mut earlier = Vec::new();
    if let Some((reporter, model_name)) = github {
        let found = reporter.fresh_rows(model_name, record);
        earlier.extend(found.map_err(|error| in_one_line(&error))?);
    }
    match file {
        Some(path) if path.is_dir() => {
            return Err(format!(
                "`{}` is a folder: name the file in it, such as `{}`",
                path.display(),
                path.join(FRESH_ROWS_FILE).display()
            ));
        }
        // What may not be looked at may be there.
        Some(path) if !matches!(path.try_exists(), Ok(false)) => {
            let kept: FreshEvidence = files::read_json(path, "evidence of fresh rows")
                .map_err(|error| in_one_line(&error))?;
            earlier.extend(kept.process);
        }
        // A misspelt path would end what earlier nights began.
        Some(path) if files::is_there(own) => {
            return Err(format!(
                "`{}` does not exist, and an earlier run left `{}`: name that file, or remove it to begin anew",
                path.display(),
                own.display()
            ));
        }
        Some(path) => {
            let from = if earlier.is_empty() {
                "begins anew with these rows, as on the first night"
            } else {
                "goes on from what GitHub holds alone"
            };
            notes.push(format!(
                "`{}` does not exist, so the evidence of fresh rows {from}.",
                path.display()
            ));
        }
        None if github.is_none() => notes.push(
            "No evidence of earlier fresh rows was given, so it begins with these: give the last run's `verdict/fresh-rows.json` as `--fresh-rows`."
                .to_owned(),
        ),
        None => {}
    }
    Ok(earlier)
}
