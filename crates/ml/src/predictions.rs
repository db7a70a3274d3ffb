//! Predictions of any tool: a CSV or npz file in, labels, predicted classes or numbers and scores out.
//!
//! CSV has a header with `label` and `predicted`, or one `score_<class>` column a class, or both; npz has the arrays
//! `label` and `predicted` or `score`. `row_id` is optional in both. What is read as f64 is kept as f64.

mod archive;
mod columns;
mod labels;
mod places;
mod problem;
mod table;

use std::collections::BTreeMap;
use std::path::Path;

use trainyard_core::digest::Sha256Digest;
use trainyard_core::files;
use trainyard_core::metrics::argmax;
use trainyard_core::metrics::{
    ClassifiedRows, Measured, MetricError, Scores, ValuedRows, classify,
    predictions as predicted_classes, regress,
};
use trainyard_core::model::{Loss, Task};
use trainyard_core::row_mask::RowMask;
use trainyard_core::row_set::RowSet;

use crate::data::npz::Array;
use crate::data::{DataError, Labels, refuse_lfs_pointer};

use columns::{Columns, Resolved};
pub use columns::{Given, ScoreTable};
use problem::{Problem, some};

/// Labelled rows and what was predicted for them.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// Identifies each row, any text; absent where rows are known by their position alone.
    pub row_ids: Option<Vec<String>>,
    /// One a row.
    pub labels: Labels,
    /// One a row: class indices for a classifier, else numbers.
    pub predicted: Labels,
    /// A score of each class, `[n_rows, n_classes]`, where there are any.
    pub scores: Option<ScoreTable>,
    /// Names of the classes, in the order of their indices; empty for regression.
    pub classes: Vec<String>,
    /// Digest of the file or data that they came from.
    pub digest: Sha256Digest,
    /// Digests of the raw columns, by which rows without ids are told apart.
    pub columns: BTreeMap<String, Sha256Digest>,
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
        Self {
            row_ids: None,
            labels,
            predicted: Labels::Class(predicted),
            scores: Some(scores),
            classes,
            digest,
            columns: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    /// The predictions of a regression model.
    pub const fn of_values(labels: Labels, predicted: Vec<f64>, digest: Sha256Digest) -> Self {
        Self {
            row_ids: None,
            labels,
            predicted: Labels::Value(predicted),
            scores: None,
            classes: Vec::new(),
            digest,
            columns: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    /// Number of rows.
    pub const fn n_rows(&self) -> usize {
        self.labels.len()
    }

    /// What the predictions mean.
    pub const fn task(&self) -> Task {
        match self.labels {
            Labels::Class(_) => Task::Classification,
            Labels::Value(_) => Task::Regression,
        }
    }

    /// Every metric that the predictions allow; intervals hold at `confidence`. `objective` is what training minimised.
    pub fn measure(&self, objective: Loss, confidence: f64) -> Result<Measured, MetricError> {
        match (&self.labels, &self.predicted) {
            (Labels::Value(labels), Labels::Value(predicted)) => {
                let rows = ValuedRows {
                    labels,
                    predicted,
                    objective,
                };
                regress(&rows, confidence)
            }
            (Labels::Class(labels), Labels::Class(predicted)) => {
                let rows = ClassifiedRows {
                    labels,
                    predicted,
                    scores: self.scores(),
                    classes: &self.classes,
                };
                classify(&rows, confidence)
            }
            _ => unreachable!("labels and predictions are read for one task"),
        }
    }

    /// The identity of the rows, and the mask of the rows in `misses`, indices, in their canonical order.
    pub fn row_set(&self, misses: &[usize]) -> (RowSet, RowMask) {
        let label = |row: usize| match &self.labels {
            Labels::Class(labels) => self.classes[labels[row] as usize].clone(),
            Labels::Value(labels) => labels[row].to_string(),
        };
        let n_rows = self.n_rows();
        let mut place: Vec<u64> = (0..n_rows as u64).collect();
        let set = match &self.row_ids {
            Some(row_ids) => {
                let (set, order) = RowSet::of_ids(row_ids, label);
                for (position, row) in order.into_iter().enumerate() {
                    place[row] = position as u64;
                }
                set
            }
            None => RowSet::of_positions(n_rows, label, self.columns.clone()),
        };
        let missed = misses.iter().map(|&row| place[row]).collect();
        let mask = RowMask::new(n_rows as u64, missed).expect("each row is missed at most once");
        (set, mask)
    }

    /// `predictions.npz`: `row_id` where there are any, `label`, `predicted`, and `score` where there are any.
    pub fn to_npz(&self) -> Result<Vec<u8>, DataError> {
        let mut arrays: Vec<(&str, Array)> = Vec::new();
        arrays.extend(
            self.row_ids
                .as_deref()
                .map(|ids| ("row_id", archive::row_ids(ids))),
        );
        arrays.push(("label", archive::answers(&self.labels)));
        arrays.push(("predicted", archive::answers(&self.predicted)));
        arrays.extend(
            self.scores
                .as_ref()
                .map(|scores| ("score", scores.to_array(self.classes.len()))),
        );
        archive::write(&arrays)
    }

    /// The scores as metrics read them.
    pub fn scores(&self) -> Option<Scores<'_>> {
        self.scores.as_ref().map(ScoreTable::as_scores)
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
        row_ids, others, ..
    } = columns;
    let notes = if others.is_empty() {
        Vec::new()
    } else {
        let named = |name: &String| match name.as_str() {
            "" => "one without a name".to_owned(),
            name => format!("`{name}`"),
        };
        let names: Vec<String> = others.keys().map(named).collect();
        let names = some(names.iter().map(String::as_str));
        vec![format!("Columns that were not used: {names}.")]
    };
    let mut notes = notes;
    notes.extend(contradiction(&predicted, scores.as_ref(), classes.len()));
    Ok(Predictions {
        row_ids,
        labels,
        predicted,
        scores,
        classes,
        digest,
        columns: others,
        notes,
    })
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
