//! Predictions as an npz archive of any tool.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use trainyard_core::digest::DigestBuilder;
use trainyard_core::scored_rows::{COLUMN_PREFIX, ScoreTable};

use super::coded::Coded;
use super::columns::{
    AnswerColumns, AnswerForm, Answers, Cells, Columns, FurtherColumn, OneColumn, ScoreColumns,
    SeveralColumns,
};
use super::places::Places;
use super::problem::{Problem, some};
use super::several::{LABEL, PREDICTED};
use crate::data::npz::{self, Array, Values};

/// The columns of an archive with the arrays `label` and `predicted` or `score`.
pub(super) fn columns(reader: impl Read + Seek) -> Result<Columns, Problem> {
    let mut arrays = npz::read_npz_from(reader).map_err(Problem::Format)?;
    let labels = arrays.remove("label").ok_or_else(|| Problem::NoColumn {
        what: "array",
        name: "label",
        found: some(arrays.keys().map(String::as_str)),
        hint: match arrays.keys().any(|name| name.starts_with(LABEL)) {
            true => "; several labels a row are one array `label` of the shape [n_rows, n_names]",
            false => "",
        },
    })?;
    let n_rows = labels.shape.first().copied().unwrap_or(0);
    let is_several = |array: &Array| matches!(array.shape[..], [_, n] if n > 1);
    let has_several = is_several(&labels);
    let row_ids = match arrays.remove("row_id") {
        Some(array) => match column("row_id", array, n_rows)? {
            Cells::Texts(texts) => Some(texts),
            Cells::Numbers(_) => return Err(Problem::RowIdType),
        },
        None => None,
    };
    let predicted = arrays.remove("predicted");
    let scores = match arrays.remove("score") {
        Some(array) => Some(score_columns(array, n_rows)?),
        None => None,
    };
    let answers = if has_several {
        let of_each = |prefix, array| {
            Ok::<_, Problem>(AnswerColumns {
                prefix,
                names: None,
                columns: several(prefix, array, n_rows)?,
            })
        };
        AnswerForm::Several(SeveralColumns {
            labels: of_each(LABEL, labels)?,
            predicted: predicted
                .map(|array| of_each(PREDICTED, array))
                .transpose()?,
            scores,
            unmatched: Vec::new(),
        })
    } else {
        let one = |name, array| answers(name, array, n_rows);
        AnswerForm::One(OneColumn {
            labels: one("label", labels)?,
            predicted: predicted.map(|array| one("predicted", array)).transpose()?,
            scores,
            beside: Vec::new(),
        })
    };
    let mut others = BTreeMap::new();
    let mut digest_of = |name: &str, array: &Array| {
        let mut digest = DigestBuilder::new(name);
        digest.bytes(&npz::write_npy(array));
        others.insert(name.to_owned(), digest.finish());
    };
    let mut optional = |name: &'static str| match arrays.remove(name) {
        Some(array) => {
            if name != "fold" {
                digest_of(name, &array);
            }
            column(name, array, n_rows).map(Some)
        }
        None => Ok(None),
    };
    let (weights, groups) = (optional("weight")?, optional("group")?);
    let folds = optional("fold")?;
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
        answers,
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

/// An array of one label or prediction a row.
fn answers(name: &str, array: Array, n_rows: usize) -> Result<Answers, Problem> {
    Ok(match one_a_row(name, array, n_rows)? {
        Values::I64(values) => Answers::Texts(Coded::of_integers(&values)),
        Values::U8(values) => {
            let values: Vec<i64> = values.into_iter().map(i64::from).collect();
            Answers::Texts(Coded::of_integers(&values))
        }
        Values::F32(values) => Answers::Numbers(values.into_iter().map(f64::from).collect()),
        Values::F64(values) => Answers::Numbers(values),
        Values::Text(values) => Answers::Texts(Coded::of_texts(values)),
    })
}

/// The columns of an array of several labels or predictions a row.
fn several(prefix: &'static str, array: Array, n_rows: usize) -> Result<Vec<Answers>, Problem> {
    fn columns<T: Copy>(values: &[T], n_columns: usize) -> Vec<Vec<T>> {
        let column = |idx: usize| values.iter().skip(idx).step_by(n_columns).copied();
        (0..n_columns).map(|idx| column(idx).collect()).collect()
    }
    let Array { shape, values } = array;
    let [n, n_columns] = shape[..] else {
        return Err(Problem::Shape {
            name: prefix.trim_end_matches('_').to_owned(),
            shape,
            n_rows,
        });
    };
    if n != n_rows || n_columns == 0 {
        return Err(Problem::Shape {
            name: prefix.trim_end_matches('_').to_owned(),
            shape,
            n_rows,
        });
    }
    let numbers = |columns: Vec<Vec<f64>>| columns.into_iter().map(Answers::Numbers).collect();
    Ok(match values {
        Values::I64(values) => columns(&values, n_columns)
            .iter()
            .map(|column| Answers::Texts(Coded::of_integers(column)))
            .collect(),
        Values::U8(values) => {
            let values: Vec<i64> = values.into_iter().map(i64::from).collect();
            columns(&values, n_columns)
                .iter()
                .map(|column| Answers::Texts(Coded::of_integers(column)))
                .collect()
        }
        Values::F32(values) => {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            numbers(columns(&values, n_columns))
        }
        Values::F64(values) => numbers(columns(&values, n_columns)),
        Values::Text(values) => (0..n_columns)
            .map(|idx| {
                let column = values.iter().skip(idx).step_by(n_columns).cloned();
                Answers::Texts(Coded::of_texts(column.collect()))
            })
            .collect(),
    })
}

/// The elements of an array of one value a row.
fn one_a_row(name: &str, array: Array, n_rows: usize) -> Result<Values, Problem> {
    let Array { shape, values } = array;
    if shape == [n_rows] || shape == [n_rows, 1] {
        return Ok(values);
    }
    Err(Problem::Shape {
        name: name.to_owned(),
        shape,
        n_rows,
    })
}

/// An array of one value a row.
fn column(name: &str, array: Array, n_rows: usize) -> Result<Cells, Problem> {
    Ok(match one_a_row(name, array, n_rows)? {
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
