//! Predictions of any tool: a CSV or npz file in, labels and answers by class index out.
//!
//! CSV has a header with `label` and either `predicted` or one `score_<class>` column per class; npz has the arrays
//! `label` and `predicted` or `score`. `row_id` is optional in both.

mod table;

use std::collections::BTreeSet;
use std::path::Path;

use trainyard_core::digest::Sha256Digest;
use trainyard_core::files;
use trainyard_core::metrics::predictions as predicted_classes;
use trainyard_core::model::Task;

use crate::data::npz::{self, Array};
use crate::data::{DataError, Labels, refuse_lfs_pointer};

/// Predicted rows and their labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// Identifies each row, for pairing with other predictions of it.
    pub row_ids: Vec<i64>,
    /// One a row.
    pub labels: Labels,
    /// One a row.
    pub answers: Answers,
    /// Names of the classes, in the order of their indices; empty for regression.
    pub classes: Vec<String>,
    /// Digest of the file that they came from.
    pub digest: Sha256Digest,
}

/// What was predicted.
#[derive(Debug, Clone, PartialEq)]
pub enum Answers {
    /// Probabilities `[n_rows, n_classes]`, row-major.
    Scores(Vec<f32>),
    /// Class indices.
    Classes(Vec<u32>),
    /// Numbers.
    Values(Vec<f32>),
}

/// Text of the cells that matter, before classes have indices.
pub(crate) struct Columns {
    row_ids: Option<Vec<i64>>,
    labels: Vec<String>,
    predicted: Option<Vec<String>>,
    /// Name of the class and its scores, for each class.
    scores: Vec<(String, Vec<f32>)>,
    /// What a row is called in errors: its number plus this is the line.
    place: fn(usize) -> String,
}

impl Predictions {
    /// Reads the file at `path`. `classes` gives the classes' order; by default that of the file's score columns, else
    /// sorted, numbers by value.
    pub fn read(path: &Path, task: Task, classes: Option<&[String]>) -> Result<Self, DataError> {
        let bytes = files::read(path)?;
        refuse_lfs_pointer(path, &bytes)?;
        let columns = if bytes.starts_with(b"PK") {
            columns_of_npz(&bytes)
        } else {
            table::columns(&bytes)
        };
        columns
            .and_then(|columns| columns.resolve(task, classes, Sha256Digest::of(&bytes)))
            .map_err(|problem| DataError::malformed(path, problem))
    }

    /// The predicted class of each row; `None` for regression.
    pub fn predicted_classes(&self) -> Option<Vec<u32>> {
        match &self.answers {
            Answers::Scores(scores) => Some(predicted_classes(scores, self.classes.len())),
            Answers::Classes(classes) => Some(classes.clone()),
            Answers::Values(_) => None,
        }
    }

    /// The digest that two evaluations share exactly when their rows can be paired.
    pub fn row_set_digest(&self) -> Sha256Digest {
        self.labels.row_set_digest(&self.row_ids)
    }
}

impl Columns {
    fn resolve(
        self,
        task: Task,
        classes: Option<&[String]>,
        digest: Sha256Digest,
    ) -> Result<Predictions, String> {
        if self.labels.is_empty() {
            return Err("there are no rows".to_owned());
        }
        let n_rows = self.labels.len();
        let row_ids = match &self.row_ids {
            None => (0..n_rows as i64).collect(),
            Some(row_ids) => self.unique(row_ids)?,
        };
        let (labels, answers, classes) = match task {
            Task::Regression => {
                let labels = self.numbers(&self.labels, "label")?;
                let values = match (&self.predicted, self.scores.as_slice()) {
                    (Some(predicted), _) => self.numbers(predicted, "predicted")?,
                    (None, [(_, scores)]) => scores.iter().copied().map(f64::from).collect(),
                    _ => return Err("regression needs a column `predicted`".to_owned()),
                };
                let values = values.into_iter().map(|value| value as f32).collect();
                (Labels::Value(labels), Answers::Values(values), Vec::new())
            }
            Task::Classification => self.resolve_classes(classes)?,
        };
        Ok(Predictions {
            row_ids,
            labels,
            answers,
            classes,
            digest,
        })
    }

    fn resolve_classes(
        &self,
        classes: Option<&[String]>,
    ) -> Result<(Labels, Answers, Vec<String>), String> {
        let classes = match classes {
            Some(classes) => classes.to_vec(),
            None if !self.scores.is_empty() => {
                self.scores.iter().map(|(class, _)| class.clone()).collect()
            }
            None => sorted_classes(self.labels.iter().chain(self.predicted.iter().flatten())),
        };
        let labels = self.indices(&self.labels, "label", &classes)?;
        let answers = match &self.predicted {
            _ if !self.scores.is_empty() => Answers::Scores(self.interleaved(&classes)?),
            Some(predicted) => Answers::Classes(self.indices(predicted, "predicted", &classes)?),
            None => return Err(NO_ANSWERS.to_owned()),
        };
        Ok((Labels::Class(labels), answers, classes))
    }

    /// The class index of each cell, by name; by number where no class is called by one.
    fn indices(
        &self,
        cells: &[String],
        column: &str,
        classes: &[String],
    ) -> Result<Vec<u32>, String> {
        let has_numeric_names = classes.iter().any(|class| class.parse::<f64>().is_ok());
        let by_name: std::collections::HashMap<&str, u32> = classes
            .iter()
            .enumerate()
            .map(|(idx, class)| (class.as_str(), idx as u32))
            .collect();
        let index = |(row, cell): (usize, &String)| {
            let by_number = || {
                let idx: u32 = cell.parse().ok().filter(|_| !has_numeric_names)?;
                ((idx as usize) < classes.len()).then_some(idx)
            };
            by_name
                .get(cell.as_str())
                .copied()
                .or_else(by_number)
                .ok_or_else(|| {
                    let mut problem = format!(
                        "{}: the {column} `{cell}` is none of the classes {}",
                        (self.place)(row),
                        classes.join(", ")
                    );
                    if cell.parse::<f64>().is_ok_and(|value| value.fract() != 0.0) {
                        problem.push_str("; for numbers to predict, set the task to `regression`");
                    }
                    problem
                })
        };
        cells.iter().enumerate().map(index).collect()
    }

    /// Scores by row, in the order of `classes`.
    fn interleaved(&self, classes: &[String]) -> Result<Vec<f32>, String> {
        if self.scores.len() != classes.len() {
            return Err(format!(
                "there are {} scores a row for {} classes",
                self.scores.len(),
                classes.len()
            ));
        }
        // Arrays have no names, so their columns are in the order of the classes already.
        let is_numbered = self
            .scores
            .iter()
            .enumerate()
            .all(|(idx, (name, _))| *name == idx.to_string());
        let column = |(idx, class): (usize, &String)| {
            let named = self.scores.iter().find(|(name, _)| name == class);
            let numbered = self.scores.get(idx).filter(|_| is_numbered);
            named
                .or(numbered)
                .map(|(_, scores)| scores)
                .ok_or_else(|| format!("there is no column `score_{class}`"))
        };
        let columns: Vec<&Vec<f32>> = classes
            .iter()
            .enumerate()
            .map(column)
            .collect::<Result<_, _>>()?;
        Ok((0..self.labels.len())
            .flat_map(|row| columns.iter().map(move |column| column[row]))
            .collect())
    }

    fn numbers(&self, cells: &[String], column: &str) -> Result<Vec<f64>, String> {
        let number = |(row, cell): (usize, &String)| match cell.parse::<f64>() {
            Ok(value) if (value as f32).is_finite() => Ok(value),
            _ => Err(format!(
                "{}: the {column} `{cell}` is not a finite number",
                (self.place)(row)
            )),
        };
        cells.iter().enumerate().map(number).collect()
    }

    fn unique(&self, row_ids: &[i64]) -> Result<Vec<i64>, String> {
        let mut seen = BTreeSet::new();
        match row_ids.iter().position(|row_id| !seen.insert(row_id)) {
            Some(row) => Err(format!(
                "{}: the row_id {} is there twice",
                (self.place)(row),
                row_ids[row]
            )),
            None => Ok(row_ids.to_vec()),
        }
    }
}

const NO_ANSWERS: &str =
    "there is neither a `predicted` column nor `score_<class>` columns (`score` in an npz)";

/// Numbers by value, before other names.
fn sorted_classes<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let distinct: BTreeSet<&String> = names.collect();
    let mut classes: Vec<String> = distinct.into_iter().cloned().collect();
    classes.sort_by(
        |left, right| match (left.parse::<f64>(), right.parse::<f64>()) {
            (Ok(left), Ok(right)) => left.total_cmp(&right),
            (Ok(_), Err(_)) => std::cmp::Ordering::Less,
            (Err(_), Ok(_)) => std::cmp::Ordering::Greater,
            (Err(_), Err(_)) => left.cmp(right),
        },
    );
    classes
}

fn columns_of_npz(bytes: &[u8]) -> Result<Columns, String> {
    let arrays = npz::read_npz(bytes)?;
    let array = |name: &str| arrays.get(name);
    let labels = array("label").ok_or_else(|| {
        let names: Vec<&str> = arrays.keys().map(String::as_str).collect();
        format!("there is no array `label`; there are {}", names.join(", "))
    })?;
    let n_rows = labels.shape.first().copied().unwrap_or(0);
    let check = |name: &str, array: &Array, n_axes: std::ops::RangeInclusive<usize>| {
        if n_axes.contains(&array.shape.len()) && array.shape.first() == Some(&n_rows) {
            return Ok(());
        }
        Err(format!(
            "the array `{name}` has the shape {:?}, which does not fit the {n_rows} labels",
            array.shape
        ))
    };
    check("label", labels, 1..=1)?;
    let texts = |array: &Array| array.to_f64().iter().map(f64::to_string).collect();
    let row_ids = array("row_id")
        .map(|array| {
            check("row_id", array, 1..=1)?;
            Ok::<_, String>(
                array
                    .to_f64()
                    .into_iter()
                    .map(|value| value as i64)
                    .collect(),
            )
        })
        .transpose()?;
    let predicted = array("predicted")
        .map(|array| check("predicted", array, 1..=1).map(|()| texts(array)))
        .transpose()?;
    let mut scores = Vec::new();
    if let Some(array) = array("score") {
        check("score", array, 1..=2)?;
        let n_columns = array.shape.get(1).copied().unwrap_or(1);
        let values = array.to_f32();
        scores = (0..n_columns)
            .map(|column| {
                let column_values = values.iter().skip(column).step_by(n_columns.max(1));
                (column.to_string(), column_values.copied().collect())
            })
            .collect();
    }
    Ok(Columns {
        row_ids,
        labels: texts(labels),
        predicted,
        scores,
        place: |row| format!("row {row}"),
    })
}

#[cfg(test)]
mod tests;
