//! Predictions of any tool: a CSV or npz file in, labels, predicted classes or numbers and scores out.
//!
//! CSV has a header with `label` and `predicted`, or one `score_<class>` column a class, or both; npz has the arrays
//! `label` and `predicted` or `score`. Of several labels a row (classes that are there or not, or numbers of several outputs) CSV has
//! `label_<name>`, `predicted_<name>` and `score_<name>`, and npz arrays `[n_rows, n_names]`. `row_id`, `weight`, `group` and `fold` are optional in both; every other column of a
//! CSV, and every array `column/<name>`, is a further column. What is read as f64 is kept as f64.

mod agreement;
mod archive;
mod binary;
mod coded;
mod columns;
mod flags;
mod further;
mod labels;
mod logits;
mod names;
mod places;
mod problem;
mod ranking;
mod resolve;
mod several;
mod table;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Cursor, Read as _, Write as _};
use std::path::Path;
use std::thread;

use trainyard_core::config::EvaluateConfig;
use trainyard_core::digest::Sha256Digest;
use trainyard_core::evaluation::PREDICTIONS_FILE;
use trainyard_core::files::{self, FileError};
use trainyard_core::metrics::{predictions as predicted_classes, quantile_of};
use trainyard_core::model::FileEntry;
use trainyard_core::row_mask::RowMask;
use trainyard_core::row_set::RowSet;
use trainyard_core::scored_rows::{LabelTexts, Labels, ScoreTable, ScoredRows};

use crate::data::{self, DataError, refuse_lfs_pointer};

pub(crate) use binary::positive_idx;
pub use binary::{ThresholdError, predict_by_threshold};
pub use columns::Given;
use columns::{Columns, Resolved};
use problem::{Problem, some};

/// Labelled rows with what was predicted for them, and where they came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// The rows.
    pub rows: ScoredRows,
    /// Digest of the file or data that they came from.
    pub digest: Sha256Digest,
    /// Digests of the raw columns, by which rows without ids are told apart.
    pub raw_columns: BTreeMap<String, Sha256Digest>,
    /// What a reader should know, in sentences.
    pub notes: Vec<String>,
    /// Of multilabel rows: from which score on each class is predicted, where scores decide.
    pub threshold: Option<f64>,
}

impl Predictions {
    /// Reads the file at `path`. What is not `given` is found in the file: the classes are those of its score columns,
    /// else its labels and predictions, sorted, numbers by value.
    pub fn read(path: &Path, given: &Given<'_>) -> Result<Self, DataError> {
        let (columns, digest) = if let Some(archive) = archive_at(path) {
            // Neither needs the other, and a file of gigabytes is not held beside its arrays.
            thread::scope(|scope| {
                let digest = scope.spawn(|| files::measure(path));
                let columns = archive::columns(archive);
                let digest = digest.join().expect("digests do not panic");
                Ok::<_, FileError>((columns, digest?.0))
            })?
        } else {
            let bytes = files::read(path)?;
            refuse_lfs_pointer(path, &bytes)?;
            let columns = if bytes.starts_with(ARCHIVE) {
                archive::columns(Cursor::new(&bytes))
            } else {
                table::columns(&bytes)
            };
            (columns, Sha256Digest::of(&bytes))
        };
        columns
            .and_then(|columns| assembled(columns, given, digest))
            .map_err(|problem| DataError::malformed(path, problem.to_string()))
    }

    /// The predictions of a classifier that gave `scores[n_rows, n_classes]`.
    pub fn of_scores(
        labels: data::Labels,
        scores: ScoreTable,
        classes: Vec<String>,
        digest: Sha256Digest,
    ) -> Self {
        let predicted = predicted_classes(scores.as_scores(), classes.len());
        Self::of_rows(
            ScoredRows {
                scores: Some(scores),
                ..ScoredRows::new(labels.into(), Labels::Class(predicted), classes)
            },
            digest,
        )
    }

    /// The predictions of a regression model.
    pub fn of_values(labels: data::Labels, predicted: Vec<f64>, digest: Sha256Digest) -> Self {
        let rows = ScoredRows::new(labels.into(), Labels::Value(predicted), Vec::new());
        Self::of_rows(rows, digest)
    }

    const fn of_rows(rows: ScoredRows, digest: Sha256Digest) -> Self {
        Self {
            rows,
            digest,
            raw_columns: BTreeMap::new(),
            notes: Vec::new(),
            threshold: None,
        }
    }

    /// The identity of the rows, and their canonical order.
    pub fn row_set(&self) -> (RowSet, RowOrder) {
        let rows = &self.rows;
        let texts = LabelTexts::of(rows);
        let label = |row: usize| texts.of_row(row);
        let n_rows = rows.n_rows();
        let Some(row_ids) = &rows.row_ids else {
            let set = RowSet::of_positions(n_rows, label, self.raw_columns.clone());
            let places = None;
            return (set, RowOrder { n_rows, places });
        };
        let (set, order) = RowSet::of_ids(row_ids, label);
        let mut places = vec![0; n_rows];
        for (position, row) in order.into_iter().enumerate() {
            places[row] = position as u64;
        }
        let places = Some(places);
        (set, RowOrder { n_rows, places })
    }

    /// Writes the rows into `folder` as `predictions.npz`.
    pub fn write(&self, folder: &Path) -> Result<FileEntry, FileError> {
        files::write_with(&folder.join(PREDICTIONS_FILE), |file| {
            let mut file = BufWriter::with_capacity(WRITTEN_AT_ONCE, file);
            self.rows.write_archive(&mut file)?;
            file.flush()
        })?;
        FileEntry::measure(folder, PREDICTIONS_FILE)
    }
}

/// The canonical order of rows: bytewise by id, else as they are.
#[derive(Debug)]
pub struct RowOrder {
    n_rows: usize,
    /// The place of each row; absent where each has its own.
    places: Option<Vec<u64>>,
}

impl RowOrder {
    /// The mask of the rows in `misses`, indices, in the canonical order.
    pub fn mask(&self, misses: &[usize]) -> RowMask {
        let missed = misses.iter().map(|&row| match &self.places {
            Some(places) => places[row],
            None => row as u64,
        });
        RowMask::new(self.n_rows as u64, missed.collect()).expect("each row is missed at most once")
    }
}

/// How a zip archive begins.
const ARCHIVE: &[u8] = b"PK";

/// Bytes that reach the disk at a time.
const WRITTEN_AT_ONCE: usize = 1 << 20;

/// The file at `path`, where it is an archive that can be read from any place: no pipe.
fn archive_at(path: &Path) -> Option<File> {
    let mut file = File::open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut start = [0; ARCHIVE.len()];
    file.read_exact(&mut start).ok()?;
    (start == ARCHIVE).then_some(file)
}

fn assembled(
    mut columns: Columns,
    given: &Given<'_>,
    digest: Sha256Digest,
) -> Result<Predictions, Problem> {
    let Resolved {
        labels,
        predicted,
        scores,
        classes,
        threshold,
    } = columns.resolve(given)?;
    let Columns {
        row_ids,
        weights,
        groups,
        folds,
        further,
        mut others,
        places,
        ..
    } = columns;
    let default = EvaluateConfig::default();
    let evaluate = given.evaluate.unwrap_or(&default);
    let has_quantiles = matches!(labels, Labels::Value(_)) && evaluate.ranking.is_none();
    let mut notes: Vec<String> = unused(&others, evaluate, has_quantiles)
        .into_iter()
        .collect();
    // What a model cost or took is not what a row is: without ids, it would make other rows of the same.
    others.retain(|name, _| {
        quantile_of(name).is_none() && !evaluate.columns.iter().any(|column| column.name == *name)
    });
    if let (Some(threshold), None) = (threshold, evaluate.fixed_threshold()) {
        notes.push(format!(
            "A class is predicted where its score is at least {threshold}: set `[evaluate] threshold` for another."
        ));
    }
    if evaluate.fixed_threshold().is_none() {
        notes.extend(agreement::check(
            &predicted,
            scores.as_ref(),
            classes.len(),
        )?);
    }
    let weights = weights.map(|cells| further::weights(&cells, &places));
    let groups = groups.map(|cells| further::groups(cells, &places));
    let folds = folds.map(|cells| further::folds(&cells, &places));
    let columns = further::kept(further, evaluate, has_quantiles, &places, &mut notes)?;
    let mut rows = ScoredRows {
        row_ids,
        scores,
        weights: weights.transpose()?,
        groups: groups.transpose()?,
        folds: folds.transpose()?,
        columns,
        ..ScoredRows::new(labels, predicted, classes)
    };
    if let Some(ranking) = &evaluate.ranking {
        ranking::prepare(&mut rows, ranking, &places)?;
    }
    if given.classes.is_none() {
        notes.extend(labels::note_on_writing(&rows.classes));
    }
    let rows = in_order_of_ids(rows);
    Ok(Predictions {
        rows,
        digest,
        raw_columns: others,
        notes,
        threshold,
    })
}

/// The rows by their ids, the shorter first, as integers are counted: rows of a file in another order are then the same bytes, and so the
/// same predictions. Without ids they stay as they are.
fn in_order_of_ids(rows: ScoredRows) -> ScoredRows {
    let Some(ids) = &rows.row_ids else {
        return rows;
    };
    let key = |row: usize| (ids[row].len(), ids[row].as_str());
    if (1..ids.len()).all(|row| key(row - 1) <= key(row)) {
        return rows;
    }
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_unstable_by(|&left, &right| key(left).cmp(&key(right)));
    rows.gather(&order)
}

/// A note that names the columns that nothing is made of.
fn unused(
    others: &BTreeMap<String, Sha256Digest>,
    evaluate: &EvaluateConfig,
    has_quantiles: bool,
) -> Option<String> {
    let is_unused = |name: &&String| {
        !["weight", "group"].contains(&name.as_str())
            && !further::is_used(name, evaluate, has_quantiles)
    };
    let named = |name: &String| match name.as_str() {
        "" => "one without a name".to_owned(),
        name => format!("`{name}`"),
    };
    let names: Vec<String> = others.keys().filter(is_unused).map(named).collect();
    let shown = some(names.iter().map(String::as_str));
    (!names.is_empty()).then(|| format!("Columns that no slice or metric names: {shown}."))
}

#[cfg(test)]
mod tests;
