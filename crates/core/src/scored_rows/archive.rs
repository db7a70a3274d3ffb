//! Rows as `predictions.npz`: what `evaluate` and `train` write, and `evaluate` and `gate` read back.
//!
//! The arrays `label` and `predicted`, class indices or numbers, or `[n_rows, n_names]` of 0 and 1 (multilabel) or of numbers (several
//! outputs); where there are any, `row_id`, `score`, `weight`, `group`, `fold`, and `column/<name>` of each further column.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, Write};

use trainyard_npz::{Array, Elements, Values, read_npz_from, write_npz_to};

use super::{Column, Labels, ScoreTable, ScoredRows};
use crate::prediction_task::PredictionTask;
use crate::table::Table;

/// Before the name of an array that is a further column of the rows.
pub const COLUMN_PREFIX: &str = "column/";

impl ScoredRows {
    /// Writes the rows, none of whose columns is held a second time. The same rows give the same bytes.
    pub fn write_archive(&self, writer: impl Write + Seek) -> io::Result<()> {
        let n_rows = vec![self.n_rows()];
        let integer_ids = self.row_ids.as_deref().and_then(integers);
        let columns: Vec<(String, Elements<'_>)> = self
            .columns
            .iter()
            .map(|(name, column)| (format!("{COLUMN_PREFIX}{name}"), column.elements()))
            .collect();
        let mut arrays: Vec<(&str, Vec<usize>, Elements<'_>)> = Vec::new();
        let mut add = |name, elements| arrays.push((name, n_rows.clone(), elements));
        match (&integer_ids, &self.row_ids) {
            (Some(ids), _) => add("row_id", Elements::I64(ids)),
            (None, Some(ids)) => add("row_id", Elements::Text(ids)),
            (None, None) => {}
        }
        let (labels, predicted) = (flags(&self.labels), flags(&self.predicted));
        for (name, answers, flags) in [
            ("label", &self.labels, &labels),
            ("predicted", &self.predicted, &predicted),
        ] {
            arrays.push((name, answers.shape(), answers.elements(flags)));
        }
        if let Some(scores) = &self.scores {
            let elements = match scores {
                ScoreTable::F32(scores) => Elements::F32(scores),
                ScoreTable::F64(scores) => Elements::F64(scores),
            };
            let shape = vec![self.n_rows(), self.classes.len()];
            arrays.push(("score", shape, elements));
        }
        let mut add = |name, elements| arrays.push((name, n_rows.clone(), elements));
        if let Some(weights) = &self.weights {
            add("weight", Elements::F64(weights));
        }
        if let Some(groups) = &self.groups {
            add("group", Elements::Text(groups));
        }
        if let Some(folds) = &self.folds {
            add("fold", Elements::U32(folds));
        }
        for (name, elements) in &columns {
            add(name, *elements);
        }
        write_npz_to(writer, &arrays).map_err(io::Error::from)
    }

    /// Reads rows of `task` that [`Self::write_archive`] wrote, whose class indices are those of `classes`: of regression the names of its
    /// outputs, none where there is one. The error says what is wrong, in words.
    pub fn read_archive(
        reader: impl Read + Seek,
        task: PredictionTask,
        classes: Vec<String>,
    ) -> Result<Self, String> {
        let mut arrays = read_npz_from(reader)?;
        let mut answers = |name: &str| {
            let array = arrays.remove(name);
            let array = array.ok_or_else(|| format!("there is no array `{name}`"))?;
            answers(array, task, classes.len())
        };
        let (labels, predicted) = (answers("label")?, answers("predicted")?);
        let n_rows = labels.len();
        let mut one_a_row = |name: &str| arrays.remove(name);
        let row_ids = one_a_row("row_id").map(texts).transpose()?;
        let weights = one_a_row("weight").map(numbers).transpose()?;
        let groups = one_a_row("group").map(texts).transpose()?;
        let folds = one_a_row("fold").map(folds).transpose()?;
        let scores = one_a_row("score").map(|array| match array.values {
            Values::F32(scores) => Ok(ScoreTable::F32(scores)),
            Values::F64(scores) => Ok(ScoreTable::F64(scores)),
            _ => Err("`score` holds no numbers".to_owned()),
        });
        let scores = scores.transpose()?;
        let further = arrays.into_iter().filter_map(|(name, array)| {
            let name = name.strip_prefix(COLUMN_PREFIX)?.to_owned();
            Some(column(array).map(|column| (name, column)))
        });
        let columns: BTreeMap<String, Column> = further.collect::<Result<_, _>>()?;
        let n_scores = scores.as_ref().map(|scores| scores.as_scores().len());
        let is_whole = |len: Option<usize>| len.is_none_or(|len| len == n_rows);
        let are_whole = predicted.len() == n_rows
            && is_whole(row_ids.as_ref().map(Vec::len))
            && is_whole(weights.as_ref().map(Vec::len))
            && is_whole(groups.as_ref().map(Vec::len))
            && is_whole(folds.as_ref().map(Vec::len))
            && columns.values().all(|column| column.len() == n_rows)
            && n_scores.is_none_or(|n_scores| n_scores == n_rows * classes.len());
        if !are_whole {
            return Err("its arrays have different lengths".to_owned());
        }
        Ok(Self {
            row_ids,
            scores,
            weights,
            groups,
            folds,
            columns,
            ..Self::new(labels, predicted, classes)
        })
    }
}

impl Labels {
    fn shape(&self) -> Vec<usize> {
        match self {
            Self::Class(_) | Self::Value(_) => vec![self.len()],
            Self::Sets(sets) => vec![sets.n_rows(), sets.n_columns()],
            Self::Values(values) => vec![values.n_rows(), values.n_columns()],
        }
    }

    /// `flags` are its own.
    fn elements<'a>(&'a self, flags: &'a [u8]) -> Elements<'a> {
        match self {
            Self::Class(classes) => Elements::U32(classes),
            Self::Value(values) => Elements::F64(values),
            Self::Sets(_) => Elements::U8(flags),
            Self::Values(values) => Elements::F64(values.cells()),
        }
    }
}

/// 1 for each class that is there and 0 for others, `[n_rows, n_classes]`; empty where labels are not sets.
fn flags(answers: &Labels) -> Vec<u8> {
    match answers {
        Labels::Sets(sets) => sets
            .cells()
            .iter()
            .map(|&is_there| u8::from(is_there))
            .collect(),
        Labels::Class(_) | Labels::Value(_) | Labels::Values(_) => Vec::new(),
    }
}

impl Column {
    fn elements(&self) -> Elements<'_> {
        match self {
            Self::Texts(texts) => Elements::Text(texts),
            Self::Numbers(numbers) => Elements::F64(numbers),
        }
    }
}

/// Ids as integers, where all are written as integers are.
fn integers(ids: &[String]) -> Option<Vec<i64>> {
    let integer = |text: &String| {
        let value: i64 = text.parse().ok()?;
        (value.to_string() == *text).then_some(value)
    };
    ids.iter().map(integer).collect()
}

/// Class indices or numbers, or several a row of as many names.
fn answers(array: Array, task: PredictionTask, n_names: usize) -> Result<Labels, String> {
    let Array { shape, values } = array;
    let other = || "labels or predictions are of another task".to_owned();
    match (task, values, shape.as_slice()) {
        (PredictionTask::Classification, Values::I64(values), [_]) => indices(&values, n_names)
            .map(Labels::Class)
            .ok_or_else(|| "a class is outside those of the model".to_owned()),
        (PredictionTask::Regression, Values::F64(values), [_]) if n_names == 0 => {
            Ok(Labels::Value(values))
        }
        (PredictionTask::Multilabel, Values::U8(values), [_, n]) if *n == n_names => {
            let is_there = |value: u8| (value <= 1).then_some(value == 1);
            let cells: Option<Vec<bool>> = values.into_iter().map(is_there).collect();
            let sets = cells.and_then(|cells| Table::new(cells, n_names));
            let problem = "labels or predictions of classes are not 0 or 1";
            sets.map(Labels::Sets).ok_or_else(|| problem.to_owned())
        }
        (PredictionTask::Regression, Values::F64(values), [_, n]) if *n == n_names => {
            Table::new(values, n_names)
                .map(Labels::Values)
                .ok_or_else(other)
        }
        _ => Err(other()),
    }
}

/// `values` as indices below `end`.
fn indices(values: &[i64], end: usize) -> Option<Vec<u32>> {
    let index = |&value: &i64| {
        let index = u32::try_from(value).ok()?;
        ((index as usize) < end).then_some(index)
    };
    values.iter().map(index).collect()
}

fn texts(array: Array) -> Result<Vec<String>, String> {
    match array.values {
        Values::Text(values) => Ok(values),
        Values::I64(values) => Ok(values.iter().map(i64::to_string).collect()),
        _ => Err("ids or groups are not texts".to_owned()),
    }
}

fn column(array: Array) -> Result<Column, String> {
    match array.values {
        Values::Text(values) => Ok(Column::Texts(values)),
        _ => numbers(array).map(Column::Numbers),
    }
}

/// Finite numbers.
fn numbers(array: Array) -> Result<Vec<f64>, String> {
    let numbers = array.to_f64();
    let numbers = numbers.filter(|numbers| numbers.iter().all(|value| value.is_finite()));
    numbers.ok_or_else(|| "a column of numbers holds others".to_owned())
}

fn folds(array: Array) -> Result<Vec<u32>, String> {
    let found = match array.values {
        Values::I64(values) => indices(&values, usize::MAX),
        _ => None,
    };
    found.ok_or_else(|| "`fold` holds no indices".to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use trainyard_npz::write_npz;

    use super::*;

    fn read(arrays: &[(&str, Array)]) -> Result<ScoredRows, String> {
        let arrays: Vec<(&str, &Array)> =
            arrays.iter().map(|(name, array)| (*name, array)).collect();
        let bytes = write_npz(&arrays).unwrap();
        let classes = ["a", "b"].map(str::to_owned).to_vec();
        ScoredRows::read_archive(Cursor::new(bytes), PredictionTask::Classification, classes)
    }

    fn texts_of(values: [&str; 2]) -> Array {
        Array {
            shape: vec![2],
            values: Values::Text(values.map(str::to_owned).to_vec()),
        }
    }

    fn arrays() -> Vec<(&'static str, Array)> {
        vec![
            ("row_id", texts_of(["x", "7"])),
            ("label", Array::integers(vec![0, 1])),
            ("predicted", Array::integers(vec![0, 1])),
            ("score", Array::table(vec![0.75, 0.25, 0.5, 0.5], 2)),
            ("weight", Array::numbers(vec![0.5, 2.0])),
            ("group", texts_of(["p", "q"])),
            ("fold", Array::integers(vec![0, 3])),
            ("column/country", texts_of(["DE", ""])),
            ("column/latency_ms", Array::numbers(vec![1.5, 2.5])),
        ]
    }

    #[test]
    fn all_columns_of_the_rows_are_read_back_and_written_alike() {
        let rows = read(&arrays()).unwrap();
        let texts = |values: [&str; 2]| values.map(str::to_owned).to_vec();
        assert_eq!(rows.row_ids, Some(texts(["x", "7"])));
        assert_eq!(rows.weights, Some(vec![0.5, 2.0]));
        assert_eq!(rows.groups, Some(texts(["p", "q"])));
        assert_eq!(rows.folds, Some(vec![0, 3]));
        let columns = [
            ("country".to_owned(), Column::Texts(texts(["DE", ""]))),
            ("latency_ms".to_owned(), Column::Numbers(vec![1.5, 2.5])),
        ];
        assert_eq!(rows.columns, BTreeMap::from(columns));
        let mut written = Cursor::new(Vec::new());
        rows.write_archive(&mut written).unwrap();
        let arrays = arrays();
        let arrays: Vec<(&str, &Array)> =
            arrays.iter().map(|(name, array)| (*name, array)).collect();
        assert_eq!(written.into_inner(), write_npz(&arrays).unwrap());
    }

    /// Written twice, the bytes are the same, and what is read back is what was written.
    #[test]
    fn several_labels_a_row_are_read_back() {
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        let sets = |cells: [u8; 6]| {
            let cells = cells.iter().map(|&cell| cell == 1).collect();
            Labels::Sets(Table::new(cells, 3).unwrap())
        };
        let values = |cells: &[f64]| Labels::Values(Table::new(cells.to_vec(), 3).unwrap());
        let multilabel = ScoredRows {
            scores: Some(ScoreTable::F64(vec![0.5, 0.25, 1.0, 0.0, 0.75, 0.125])),
            weights: Some(vec![1.0, 2.0]),
            ..ScoredRows::new(
                sets([0, 1, 0, 1, 1, 0]),
                sets([1, 1, 0, 0, 0, 0]),
                names.clone(),
            )
        };
        let outputs = ScoredRows::new(
            values(&[1.5, -2.0, 1e300, 0.1, 0.2, 0.3]),
            values(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            names.clone(),
        );
        for rows in [multilabel, outputs] {
            let mut written = Cursor::new(Vec::new());
            rows.write_archive(&mut written).unwrap();
            let written = written.into_inner();
            let read = |names: &[String]| {
                ScoredRows::read_archive(Cursor::new(&written), rows.task(), names.to_vec())
            };
            let found = read(&names).unwrap();
            assert_eq!(found, rows);
            let mut again = Cursor::new(Vec::new());
            found.write_archive(&mut again).unwrap();
            assert_eq!(again.into_inner(), written);
            assert!(read(&names[..2]).unwrap_err().contains("another task"));
        }
    }

    #[test]
    fn ids_that_are_all_integers_are_stored_as_such() {
        let rows = read(&[
            ("row_id", texts_of(["12", "-7"])),
            ("label", Array::integers(vec![0, 1])),
            ("predicted", Array::integers(vec![0, 1])),
        ]);
        let rows = rows.unwrap();
        let mut written = Cursor::new(Vec::new());
        rows.write_archive(&mut written).unwrap();
        let arrays = trainyard_npz::read_npz(&written.into_inner()).unwrap();
        assert_eq!(arrays["row_id"], Array::integers(vec![12, -7]));
    }

    #[test]
    fn a_column_of_another_length_or_kind_is_refused() {
        for wrong in [
            ("label", Array::integers(vec![0, 2])),
            ("predicted", Array::numbers(vec![0.0, 1.0])),
            ("score", Array::table(vec![1.0; 6], 3)),
            ("weight", Array::numbers(vec![1.0])),
            ("weight", Array::numbers(vec![1.0, f64::NAN])),
            ("group", Array::numbers(vec![1.0, 2.0])),
            ("fold", Array::integers(vec![-1, 0])),
            ("column/latency_ms", Array::numbers(vec![1.0; 3])),
        ] {
            let mut arrays = arrays();
            arrays.retain(|(name, _)| *name != wrong.0);
            arrays.push(wrong);
            assert!(read(&arrays).is_err(), "{arrays:?}");
        }
    }
}
