//! Both models on the rows that they share, where a rule needs that: from the predictions of both.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};

use trainyard_core::config::{EvaluateConfig, GateConfig};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::error_chain::in_one_line;
use trainyard_core::evaluation::{EVALUATION_FILE, Evaluation, PREDICTIONS_FILE};
use trainyard_core::files;
use trainyard_core::gate::{
    Baseline, BaselineRecord, CompareRows, Flips, MustPass, Rule, Scorecard, SharedRows,
    compared_keys, paired_keys,
};
use trainyard_core::measurement::MetricKey;
use trainyard_core::row_set::{MatchedBy, RowMatch};
use zip::ZipArchive;

use crate::github::Reporter;
use crate::stored::{Asked, StoredPredictions};

/// The largest file that is unpacked.
const MAX_BYTES: u64 = 1 << 30;

/// Where the baseline came from, and so where its predictions are.
pub(crate) enum Origin<'a> {
    /// A record, which names an artifact.
    Record(&'a BaselineRecord, &'a Reporter<'a>),
    /// A file here; predictions lie beside an evaluation.
    File(PathBuf),
    /// Somewhere else, in words.
    Elsewhere(&'static str),
}

/// What is judged.
pub(crate) struct Candidate<'a> {
    pub(crate) card: &'a Scorecard,
    /// Its evaluation, and the folder that the predictions are in; absent where they must not be read.
    pub(crate) evaluation: Option<(&'a Evaluation, &'a Path)>,
}

/// The baseline as its model was `rescored` on today's rows, and the file's text; or why that does not count, as a clause. A
/// pull request can write its own cache, so only the model that the baseline names counts.
pub(crate) fn rescored(path: &Path, baseline: &Baseline) -> Result<(Baseline, String), String> {
    let Baseline::Ready { source, card, .. } = baseline else {
        return Err("there is no baseline whose model it could be of".to_owned());
    };
    let Some(wanted) = &card.model_digest else {
        return Err("the baseline does not name its model".to_owned());
    };
    let source = format!("{source}, its model scored again on these rows");
    let text = files::read_text(path).map_err(|error| in_one_line(&error))?;
    let rescored = Baseline::parse(text.as_bytes(), path, &source);
    match &rescored {
        Baseline::Ready { card, .. } if card.model_digest.as_ref() == Some(wanted) => {
            Ok((rescored, text))
        }
        Baseline::Ready { .. } => Err("it is of another model than the baseline's".to_owned()),
        Baseline::Unavailable(reason)
        | Baseline::NeverRecorded(reason)
        | Baseline::NotConfigured(reason) => Err(reason.clone()),
    }
}

/// The baseline with both models on the rows that they share, where a rule needs them; and the rows that flipped, where they
/// can be told without another request.
pub(crate) fn attach(
    baseline: Baseline,
    gate: &GateConfig,
    evaluate: &EvaluateConfig,
    candidate: &Candidate<'_>,
    origin: &Origin<'_>,
) -> (Baseline, Option<Flips>) {
    let card = candidate.card;
    let Baseline::Ready { card: old, .. } = &baseline else {
        return (baseline, None);
    };
    let asked = Asked {
        keys: paired_keys(gate, card, old),
        compared: compared_keys(gate, card, old),
        evaluate,
    };
    if is_needed(gate, card, old) {
        let found = find(candidate, old, origin, &asked);
        if let Err(reason) = &found {
            tracing::warn!("the models are not compared row by row: {reason}");
        }
        let (found, flips) = match found {
            Ok((found, flips)) => (Ok(Box::new(found)), flips),
            Err(reason) => (Err(reason), None),
        };
        return (baseline.on_shared_rows(card, found), flips);
    }
    let flips = match (card.rows_match(old), origin) {
        (RowMatch::Same { .. }, Origin::File(_)) => match find(candidate, old, origin, &asked) {
            // Figures of rows that weigh otherwise are not compared, whether or not a rule asks for an interval.
            Ok((found, flips)) if found.has_other_weights => {
                return (baseline.on_shared_rows(card, Ok(Box::new(found))), flips);
            }
            Ok((_, flips)) => flips,
            Err(_) => None,
        },
        _ => None,
    };
    let flips = flips.or_else(|| flips_by_mask(candidate, old));
    (baseline, flips)
}

/// The rows that flipped, from the rows that the baseline predicted wrong.
fn flips_by_mask(candidate: &Candidate<'_>, old: &Scorecard) -> Option<Flips> {
    let RowMatch::Same { .. } = candidate.card.rows_match(old) else {
        return None;
    };
    let missed = old.missed_rows.as_ref()?;
    own_stored(candidate).ok()?.flips_from(missed)
}

/// How the rows listed in `text` came out; or why that is not known, as a clause.
pub(crate) fn must_pass(candidate: &Candidate<'_>, text: &[u8]) -> Result<MustPass, String> {
    own_stored(candidate)?.must_pass(text)
}

/// The ids of the candidate's rows, in their canonical order; or why they are not known, as a clause.
pub(crate) fn own_row_ids(candidate: &Candidate<'_>) -> Result<Vec<String>, String> {
    own_stored(candidate)?
        .row_ids()
        .ok_or_else(|| "the rows have no `row_id`".to_owned())
}

/// The candidate's predictions; or why they cannot be used, as a clause.
fn own_stored(candidate: &Candidate<'_>) -> Result<StoredPredictions, String> {
    let (evaluation, folder) = candidate
        .evaluation
        .ok_or("the predictions of this model are not at hand")?;
    let bytes = files::read(&folder.join(PREDICTIONS_FILE)).map_err(|error| in_one_line(&error))?;
    StoredPredictions::parse(evaluation, &bytes)
        .map_err(|error| format!("this model's predictions cannot be used: {error}"))
}

/// Whether a rule can be judged by the predictions of both alone.
fn is_needed(gate: &GateConfig, card: &Scorecard, old: &Scorecard) -> bool {
    let counts_errors = |rule: &Rule| rule.max_new_errors.is_some();
    match card.rows_match(old) {
        RowMatch::Same { .. } => {
            let keys = paired_keys(gate, card, old);
            // Accuracy needs no more than the rows that each predicts wrong.
            let is_accuracy =
                |key: &MetricKey| card.is_plain_accuracy(key) && old.is_plain_accuracy(key);
            let has_masks = card.missed_rows.is_some() && old.missed_rows.is_some();
            let needs_rows = !keys.is_empty() || gate.rules.iter().any(counts_errors);
            keys.iter().any(|key| !is_accuracy(key)) || needs_rows && !has_masks
        }
        RowMatch::Different { .. } => {
            let rows = [card, old].map(|card| card.rows.as_ref().map(|rows| rows.matched_by));
            gate.compare_rows == CompareRows::Common
                && rows == [Some(MatchedBy::RowId); 2]
                && gate.rules.iter().any(Rule::compares)
        }
        RowMatch::Unknown => false,
    }
}

fn find(
    candidate: &Candidate<'_>,
    old: &Scorecard,
    origin: &Origin<'_>,
    asked: &Asked<'_>,
) -> Result<(SharedRows, Option<Flips>), String> {
    let new = own_stored(candidate)?;
    let of_baseline =
        |reason: String| format!("the baseline's predictions cannot be had: {reason}");
    if candidate.card.has_predictions_of(old) {
        return new
            .shared_with(&new, asked)
            .map_err(|error| error.to_string());
    }
    let (evaluation, old) = match origin {
        Origin::Record(record, reporter) => of_record(record, reporter),
        Origin::File(path) => of_file(path, old),
        Origin::Elsewhere(words) => Err((*words).to_owned()),
    }
    .map_err(of_baseline)?;
    let old = StoredPredictions::parse(&evaluation, &old)
        .map_err(|error| of_baseline(error.to_string()))?;
    new.shared_with(&old, asked)
        .map_err(|error| error.to_string())
}

/// The evaluation at `path` and the predictions beside it.
fn of_file(path: &Path, old: &Scorecard) -> Result<(Evaluation, Vec<u8>), String> {
    let bytes = files::read(path).map_err(|error| in_one_line(&error))?;
    if Sha256Digest::of(&bytes) != old.source_digest {
        return Err(format!("`{}` has changed meanwhile", path.display()));
    }
    let evaluation = Evaluation::parse(&bytes, path).map_err(|_| {
        format!(
            "`{}` is not an evaluation with predictions beside it",
            path.display()
        )
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let predictions = folder.join(PREDICTIONS_FILE);
    let predictions = files::read(&predictions).map_err(|error| in_one_line(&error))?;
    Ok((evaluation, predictions))
}

/// The same from the artifact that the record names.
fn of_record(
    record: &BaselineRecord,
    reporter: &Reporter<'_>,
) -> Result<(Evaluation, Vec<u8>), String> {
    let Some(stored) = &record.predictions else {
        return Err(format!(
            "the run of {} kept none: let it upload `evaluation/`, and give `gate` the artifact's name as `artifact`",
            record.commit.get(..7).unwrap_or(&record.commit)
        ));
    };
    let mut file = tempfile::tempfile().map_err(|error| error.to_string())?;
    reporter
        .artifact(stored.run_id, &stored.artifact, &mut file)
        .map_err(|reason| {
            format!("{reason}; run the workflow by hand on the base branch to renew them")
        })?;
    file.rewind().map_err(|error| error.to_string())?;
    let mut archive = ZipArchive::new(file)
        .map_err(|error| format!("the artifact is not an archive ({error})"))?;
    let evaluation = unpacked(&mut archive, EVALUATION_FILE, &record.evaluation_digest)?;
    let evaluation = Evaluation::parse(&evaluation, Path::new(EVALUATION_FILE))
        .map_err(|error| in_one_line(&error))?;
    let predictions = unpacked(&mut archive, PREDICTIONS_FILE, &stored.sha256)?;
    Ok((evaluation, predictions))
}

/// The file of this name and content in the archive, in whichever folder.
fn unpacked(
    archive: &mut ZipArchive<File>,
    name: &str,
    digest: &Sha256Digest,
) -> Result<Vec<u8>, String> {
    let mut has_name = false;
    for idx in 0..archive.len() {
        let mut entry = archive.by_index(idx).map_err(|error| error.to_string())?;
        let is_named = entry
            .enclosed_name()
            .is_some_and(|path| path.file_name().is_some_and(|found| found == name));
        if !is_named || entry.size() > MAX_BYTES {
            continue;
        }
        has_name = true;
        let mut bytes = Vec::new();
        let read = entry.by_ref().take(MAX_BYTES).read_to_end(&mut bytes);
        read.map_err(|error| format!("the artifact is damaged ({error})"))?;
        if Sha256Digest::of(&bytes) == *digest {
            return Ok(bytes);
        }
    }
    Err(if has_name {
        format!("`{name}` in the artifact is another one than the record names")
    } else {
        format!("there is no `{name}` in the artifact")
    })
}
