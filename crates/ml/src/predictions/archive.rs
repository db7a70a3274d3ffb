//! Predictions as an npz archive, read and written.

use std::collections::BTreeMap;

use trainyard_core::digest::DigestBuilder;
use trainyard_core::scored_rows::{Column, ScoreTable};

use super::columns::{Cells, Columns, FurtherColumn, ScoreColumns};
use super::places::Places;
use super::problem::{Problem, some};
use crate::data::npz::{self, Array, Values};
use crate::data::{DataError, Labels};

/// Before the name of an array that is a further column of the rows.
pub(super) const COLUMN_PREFIX: &str = "column/";

/// The columns of an archive with the arrays `label` and `predicted` or `score`.
pub(super) fn columns(bytes: &[u8]) -> Result<Columns, Problem> {
    let mut arrays = npz::read_npz(bytes).map_err(Problem::Format)?;
    let labels = arrays.remove("label").ok_or_else(|| Problem::NoColumn {
        what: "array",
        name: "label",
        found: some(arrays.keys().map(String::as_str)),
        hint: "",
    })?;
    let n_rows = labels.shape.first().copied().unwrap_or(0);
    let labels = column("label", labels, n_rows)?;
    let row_ids = match arrays.remove("row_id") {
        Some(array) => match column("row_id", array, n_rows)? {
            Cells::Texts(texts) => Some(texts),
            Cells::Numbers(_) => return Err(Problem::RowIdType),
        },
        None => None,
    };
    let predicted = match arrays.remove("predicted") {
        Some(array) => Some(column("predicted", array, n_rows)?),
        None => None,
    };
    let scores = match arrays.remove("score") {
        Some(array) => Some(score_columns(array, n_rows)?),
        None => None,
    };
    let mut others = BTreeMap::new();
    let mut digest_of = |name: &str, array: &Array| {
        let mut digest = DigestBuilder::new(name);
        digest.bytes(&npz::write_npy(array));
        others.insert(name.to_owned(), digest.finish());
    };
    let mut one_a_row = |name: &'static str| match arrays.remove(name) {
        Some(array) => {
            if name != "fold" {
                digest_of(name, &array);
            }
            column(name, array, n_rows).map(Some)
        }
        None => Ok(None),
    };
    let (weights, groups) = (one_a_row("weight")?, one_a_row("group")?);
    let folds = one_a_row("fold")?;
    let mut further = BTreeMap::new();
    for (name, array) in arrays {
        let of_rows = name.strip_prefix(COLUMN_PREFIX).map(str::to_owned);
        let is_of_rows = of_rows.is_some();
        let name = of_rows.unwrap_or(name);
        digest_of(&name, &array);
        // Any other array may be of anything.
        if is_of_rows || array.shape == [n_rows] || array.shape == [n_rows, 1] {
            let cells = numbers_or_texts(&name, array, n_rows)?;
            let column = FurtherColumn { cells, is_of_rows };
            if further.insert(name.clone(), column).is_some() {
                return Err(Problem::ColumnTwice(name));
            }
        }
    }
    Ok(Columns {
        row_ids,
        labels,
        predicted,
        scores,
        weights,
        groups,
        folds,
        further,
        others,
        places: Places::Rows,
    })
}

/// An array of one value a row, in which whole numbers are numbers and not names.
fn numbers_or_texts(name: &str, array: Array, n_rows: usize) -> Result<Cells, Problem> {
    // Beyond, not every whole number is a 64-bit floating point number.
    const MAX_EXACT: u64 = 1 << 53;
    let is_exact = |values: &[i64]| values.iter().all(|value| value.unsigned_abs() <= MAX_EXACT);
    let values = match array.values {
        Values::I64(values) if is_exact(&values) => {
            Values::F64(values.into_iter().map(|value| value as f64).collect())
        }
        Values::U8(values) => Values::F64(values.into_iter().map(f64::from).collect()),
        values => values,
    };
    let shape = array.shape;
    column(name, Array { shape, values }, n_rows)
}

/// An array of one value a row.
fn column(name: &str, array: Array, n_rows: usize) -> Result<Cells, Problem> {
    let Array { shape, values } = array;
    if !(shape == [n_rows] || shape == [n_rows, 1]) {
        return Err(Problem::Shape {
            name: name.to_owned(),
            shape,
            n_rows,
        });
    }
    Ok(match values {
        Values::I64(values) => Cells::Texts(values.iter().map(i64::to_string).collect()),
        Values::U8(values) => Cells::Texts(values.iter().map(u8::to_string).collect()),
        Values::F32(values) => Cells::Numbers(values.into_iter().map(f64::from).collect()),
        Values::F64(values) => Cells::Numbers(values),
        Values::Text(values) => Cells::Texts(values),
    })
}

fn score_columns(array: Array, n_rows: usize) -> Result<ScoreColumns, Problem> {
    let Array { shape, values } = array;
    let n_columns = match shape.as_slice() {
        [n] if *n == n_rows => 1,
        [n, n_columns] if *n == n_rows => *n_columns,
        _ => {
            return Err(Problem::Shape {
                name: "score".to_owned(),
                shape,
                n_rows,
            });
        }
    };
    let scores = match values {
        Values::F32(values) => ScoreTable::F32(values),
        Values::F64(values) => ScoreTable::F64(values),
        Values::I64(values) => {
            ScoreTable::F64(values.into_iter().map(|value| value as f64).collect())
        }
        Values::U8(values) => ScoreTable::F64(values.into_iter().map(f64::from).collect()),
        Values::Text(_) => {
            return Err(Problem::Format(
                "the array `score` holds texts, not numbers".to_owned(),
            ));
        }
    };
    Ok(ScoreColumns::Array { scores, n_columns })
}

/// Row ids as an array: integers where all are, else texts.
pub(super) fn row_ids(row_ids: &[String]) -> Array {
    let integer = |text: &String| {
        let value: i64 = text.parse().ok()?;
        (value.to_string() == *text).then_some(value)
    };
    let integers: Option<Vec<i64>> = row_ids.iter().map(integer).collect();
    Array {
        shape: vec![row_ids.len()],
        values: match integers {
            Some(integers) => Values::I64(integers),
            None => Values::Text(row_ids.to_vec()),
        },
    }
}

/// Class indices or numbers as an array.
pub(super) fn answers(answers: &Labels) -> Array {
    match answers {
        Labels::Class(classes) => Array::integers(classes.iter().copied().map(i64::from).collect()),
        Labels::Value(values) => Array::numbers(values.clone()),
    }
}

/// Scores as an array `[n_rows, n_columns]`.
pub(super) fn scores(scores: &ScoreTable, n_columns: usize) -> Array {
    let (n, values) = match scores {
        ScoreTable::F32(scores) => (scores.len(), Values::F32(scores.clone())),
        ScoreTable::F64(scores) => (scores.len(), Values::F64(scores.clone())),
    };
    Array {
        shape: vec![n / n_columns.max(1), n_columns],
        values,
    }
}

/// A further column as an array.
pub(super) fn further(column: &Column) -> Array {
    match column {
        Column::Numbers(numbers) => Array::numbers(numbers.clone()),
        Column::Texts(texts) => self::texts(texts),
    }
}

/// Texts as an array.
pub(super) fn texts(texts: &[String]) -> Array {
    Array {
        shape: vec![texts.len()],
        values: Values::Text(texts.to_vec()),
    }
}

/// The archive, with the same bytes for the same arrays.
pub(super) fn write(arrays: &[(&str, Array)]) -> Result<Vec<u8>, DataError> {
    let arrays: Vec<(&str, &Array)> = arrays.iter().map(|(name, array)| (*name, array)).collect();
    npz::write_npz(&arrays).map_err(|error| {
        DataError::malformed(
            std::path::Path::new(trainyard_core::evaluation::PREDICTIONS_FILE),
            format!("cannot be packed ({error})"),
        )
    })
}
