//! Predictions of any tool: a CSV or npz file in, labels, predicted classes or numbers and scores out.
//!
//! CSV has a header with `label` and `predicted`, or one `score_<class>` column a class, or both; npz has the arrays
//! `label` and `predicted` or `score`. `row_id`, `weight`, `group` and `fold` are optional in both; every other column of a
//! CSV, and every array `column/<name>`, is a further column. What is read as f64 is kept as f64.

mod archive;
mod binary;
mod columns;
mod further;
mod labels;
mod logits;
mod places;
mod problem;
mod table;

use std::collections::BTreeMap;
use std::path::Path;

use trainyard_core::config::EvaluateConfig;
use trainyard_core::digest::Sha256Digest;
use trainyard_core::files;
use trainyard_core::metrics::{argmax, predictions as predicted_classes, quantile_of};
use trainyard_core::row_mask::RowMask;
use trainyard_core::row_set::RowSet;
use trainyard_core::scored_rows::{ScoreTable, ScoredRows};

use crate::data::npz::Array;
use crate::data::{DataError, Labels, refuse_lfs_pointer};

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
}

impl Predictions {
    /// Reads the file at `path`. What is not `given` is found in the file: the classes are those of its score columns,
    /// else its labels and predictions, sorted, numbers by value.
    pub fn read(path: &Path, given: &Given<'_>) -> Result<Self, DataError> {
        let bytes = files::read(path)?;
        refuse_lfs_pointer(path, &bytes)?;
        let columns = if bytes.starts_with(b"PK") {
            archive::columns(&bytes)
        } else {
            table::columns(&bytes)
        };
        columns
            .and_then(|columns| assembled(columns, given, Sha256Digest::of(&bytes)))
            .map_err(|problem| DataError::malformed(path, problem.to_string()))
    }

    /// The predictions of a classifier that gave `scores[n_rows, n_classes]`.
    pub fn of_scores(
        labels: Labels,
        scores: ScoreTable,
        classes: Vec<String>,
        digest: Sha256Digest,
    ) -> Self {
        let predicted = predicted_classes(scores.as_scores(), classes.len());
        Self::of_rows(
            ScoredRows {
                scores: Some(scores),
                ..ScoredRows::new(labels, Labels::Class(predicted), classes)
            },
            digest,
        )
    }

    /// The predictions of a regression model.
    pub const fn of_values(labels: Labels, predicted: Vec<f64>, digest: Sha256Digest) -> Self {
        let rows = ScoredRows::new(labels, Labels::Value(predicted), Vec::new());
        Self::of_rows(rows, digest)
    }

    const fn of_rows(rows: ScoredRows, digest: Sha256Digest) -> Self {
        Self {
            rows,
            digest,
            raw_columns: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    /// The identity of the rows, and the mask of the rows in `misses`, indices, in their canonical order.
    pub fn row_set(&self, misses: &[usize]) -> (RowSet, RowMask) {
        let rows = &self.rows;
        let label = |row: usize| match &rows.labels {
            Labels::Class(labels) => rows.classes[labels[row] as usize].clone(),
            Labels::Value(labels) => labels[row].to_string(),
        };
        let n_rows = rows.n_rows();
        let mut place: Vec<u64> = (0..n_rows as u64).collect();
        let set = match &rows.row_ids {
            Some(row_ids) => {
                let (set, order) = RowSet::of_ids(row_ids, label);
                for (position, row) in order.into_iter().enumerate() {
                    place[row] = position as u64;
                }
                set
            }
            None => RowSet::of_positions(n_rows, label, self.raw_columns.clone()),
        };
        let missed = misses.iter().map(|&row| place[row]).collect();
        let mask = RowMask::new(n_rows as u64, missed).expect("each row is missed at most once");
        (set, mask)
    }

    /// `predictions.npz`: `label`, `predicted`, and where there are any `row_id`, `score`, `weight`, `group`, `fold` and
    /// `column/<name>`.
    pub fn to_npz(&self) -> Result<Vec<u8>, DataError> {
        let rows = &self.rows;
        let mut arrays: Vec<(&str, Array)> = Vec::new();
        arrays.extend(
            rows.row_ids
                .as_deref()
                .map(|ids| ("row_id", archive::row_ids(ids))),
        );
        arrays.push(("label", archive::answers(&rows.labels)));
        arrays.push(("predicted", archive::answers(&rows.predicted)));
        arrays.extend(
            rows.scores
                .as_ref()
                .map(|scores| ("score", archive::scores(scores, rows.classes.len()))),
        );
        arrays.extend(
            rows.weights
                .as_ref()
                .map(|weights| ("weight", Array::numbers(weights.clone()))),
        );
        arrays.extend(
            rows.groups
                .as_deref()
                .map(|groups| ("group", archive::texts(groups))),
        );
        arrays.extend(rows.folds.as_ref().map(|folds| {
            let folds = folds.iter().copied().map(i64::from);
            ("fold", Array::integers(folds.collect()))
        }));
        let columns: Vec<(String, Array)> = rows
            .columns
            .iter()
            .map(|(name, column)| {
                let name = format!("{}{name}", archive::COLUMN_PREFIX);
                (name, archive::further(column))
            })
            .collect();
        arrays.extend(
            columns
                .iter()
                .map(|(name, array)| (name.as_str(), array.clone())),
        );
        archive::write(&arrays)
    }
}

fn assembled(
    columns: Columns,
    given: &Given<'_>,
    digest: Sha256Digest,
) -> Result<Predictions, Problem> {
    let Resolved {
        labels,
        predicted,
        scores,
        classes,
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
    let mut notes: Vec<String> = unused(&others, evaluate).into_iter().collect();
    // What a model cost or took is not what a row is: without ids, it would make other rows of the same.
    others.retain(|name, _| {
        quantile_of(name).is_none() && !evaluate.columns.iter().any(|column| column.name == *name)
    });
    if evaluate.fixed_threshold().is_none() {
        notes.extend(contradiction(&predicted, scores.as_ref(), classes.len()));
    }
    let weights = weights.map(|cells| further::weights(&cells, &places));
    let groups = groups.map(|cells| further::groups(cells, &places));
    let folds = folds.map(|cells| further::folds(&cells, &places));
    Ok(Predictions {
        rows: ScoredRows {
            row_ids,
            scores,
            weights: weights.transpose()?,
            groups: groups.transpose()?,
            folds: folds.transpose()?,
            columns: further::kept(further, evaluate, &places)?,
            ..ScoredRows::new(labels, predicted, classes)
        },
        digest,
        raw_columns: others,
        notes,
    })
}

/// A note that names the columns that nothing is made of.
fn unused(others: &BTreeMap<String, Sha256Digest>, evaluate: &EvaluateConfig) -> Option<String> {
    let is_unused = |name: &&String| {
        !["weight", "group"].contains(&name.as_str()) && !further::is_used(name, evaluate)
    };
    let named = |name: &String| match name.as_str() {
        "" => "one without a name".to_owned(),
        name => format!("`{name}`"),
    };
    let names: Vec<String> = others.keys().filter(is_unused).map(named).collect();
    let shown = some(names.iter().map(String::as_str));
    (!names.is_empty()).then(|| format!("Columns that were not used: {shown}."))
}

/// A note where most predictions are another class than the one with the highest score.
fn contradiction(
    predicted: &Labels,
    scores: Option<&ScoreTable>,
    n_classes: usize,
) -> Option<String> {
    let (Labels::Class(predicted), Some(scores)) = (predicted, scores) else {
        return None;
    };
    let best: Vec<usize> = match scores {
        ScoreTable::F32(scores) => scores.chunks_exact(n_classes).map(argmax).collect(),
        ScoreTable::F64(scores) => scores.chunks_exact(n_classes).map(argmax).collect(),
    };
    let differs = |(predicted, best): &(&u32, usize)| **predicted as usize != *best;
    let n_other = predicted.iter().zip(best).filter(differs).count();
    (2 * n_other > predicted.len()).then(|| {
        format!(
            "`predicted` is another class than the one with the highest score in {n_other} of {} rows: are the scores in the order of the classes?",
            predicted.len()
        )
    })
}

#[cfg(test)]
mod tests;
