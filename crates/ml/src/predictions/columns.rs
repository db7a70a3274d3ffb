//! Columns as they stand in a file, before classes have indices.

use std::collections::BTreeMap;

use trainyard_core::config::EvaluateConfig;
use trainyard_core::digest::Sha256Digest;
use trainyard_core::prediction_task::PredictionTask;
use trainyard_core::scored_rows::{Labels, ScoreTable};

use super::coded::Coded;
use super::labels::{Texts, by_value_or_name};
use super::places::Places;
use super::problem::{Problem, shortened, some};

/// What is known about predictions before their file is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Given<'a> {
    /// What they mean; by default classes, unless the file plainly holds numbers to predict.
    pub task: Option<PredictionTask>,
    /// Names of the classes, in the order of the columns of an array of scores.
    pub classes: Option<&'a [String]>,
    /// `[evaluate]`; by default as an empty one.
    pub evaluate: Option<&'a EvaluateConfig>,
}

/// Labels or predictions as they are written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answers {
    /// As text: of a table, or of an array of texts or integers.
    Texts(Coded),
    /// Of an array of numbers that need not be whole.
    Numbers(Vec<f64>),
}

impl Answers {
    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Texts(cells) => cells.len(),
            Self::Numbers(cells) => cells.len(),
        }
    }

    /// Whether any cell is such a text.
    pub(super) fn any(&self, is_it: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Texts(cells) => cells.distinct().iter().any(|text| is_it(text)),
            Self::Numbers(cells) => cells.iter().any(|cell| is_it(&cell.to_string())),
        }
    }

    pub(super) fn into_texts(self) -> Coded {
        match self {
            Self::Texts(cells) => cells,
            Self::Numbers(cells) => Coded::of_numbers(&cells),
        }
    }
}

/// Any other column as it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cells {
    /// As text: of a table, or of an array of texts or integers.
    Texts(Vec<String>),
    /// Of an array of numbers that need not be whole.
    Numbers(Vec<f64>),
}

/// Scores as they stand in a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ScoreColumns {
    /// Columns of a table, named by class.
    Named(Vec<(String, Vec<f64>)>),
    /// An array `[n_rows, n_columns]`, whose columns are in the order of the classes.
    Array {
        scores: ScoreTable,
        n_columns: usize,
    },
}

/// A column as it stands in the file, and whether it says itself that it is one of rows.
#[derive(Debug)]
pub(super) struct FurtherColumn {
    pub(super) cells: Cells,
    /// Always in a table; in an archive by `column/` before its name. Other arrays count where the configuration names them.
    pub(super) is_of_rows: bool,
}

/// Labels, predictions and scores, one or several labels a row.
#[derive(Debug)]
pub(super) enum AnswerForm {
    One(OneColumn),
    Several(SeveralColumns),
}

/// One label a row, and what was predicted for it.
#[derive(Debug)]
pub(super) struct OneColumn {
    pub(super) labels: Answers,
    pub(super) predicted: Option<Answers>,
    pub(super) scores: Option<ScoreColumns>,
    /// Columns of a table called `label_<name>` beside `label`: further columns, where the configuration names them.
    pub(super) beside: Vec<String>,
}

/// One column a name, of labels or of predictions.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AnswerColumns {
    /// What their names begin with: `label_`.
    pub(super) prefix: &'static str,
    /// Absent for the columns of an array.
    pub(super) names: Option<Vec<String>>,
    pub(super) columns: Vec<Answers>,
}

/// Labels, predictions and scores of several names a row, as they stand in a file.
#[derive(Debug)]
pub(super) struct SeveralColumns {
    pub(super) labels: AnswerColumns,
    pub(super) predicted: Option<AnswerColumns>,
    pub(super) scores: Option<ScoreColumns>,
    /// Columns called `label_<name>` or `predicted_<name>` that have no counterpart: further columns, where the configuration names them.
    pub(super) unmatched: Vec<String>,
}

/// The columns that matter.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) row_ids: Option<Vec<String>>,
    pub(super) answers: AnswerForm,
    pub(super) weights: Option<Cells>,
    pub(super) groups: Option<Cells>,
    pub(super) folds: Option<Cells>,
    pub(super) further: BTreeMap<String, FurtherColumn>,
    /// Digests of the columns that tell rows without ids apart.
    pub(super) others: BTreeMap<String, Sha256Digest>,
    pub(super) places: Places,
}

/// Finite numbers, exactly as they are written.
pub(super) fn numbers(
    answers: Answers,
    column: &str,
    places: &Places,
) -> Result<Vec<f64>, Problem> {
    let cells = match answers {
        Answers::Numbers(numbers) => {
            refuse_not_finite(&numbers, column, places)?;
            return Ok(numbers);
        }
        Answers::Texts(cells) => cells,
    };
    let number = |(code, text): (usize, &String)| match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(Problem::NotFinite {
            place: places.of(cells.first_row(code)),
            column: column.to_owned(),
            cell: shortened(text),
        }),
    };
    let distinct = cells.distinct().iter().enumerate().map(number);
    let distinct: Vec<f64> = distinct.collect::<Result<_, _>>()?;
    Ok(cells
        .codes()
        .iter()
        .map(|&code| distinct[code as usize])
        .collect())
}

pub(super) fn refuse_not_finite(
    numbers: &[f64],
    column: &str,
    places: &Places,
) -> Result<(), Problem> {
    match numbers.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(row) => Err(Problem::NotFinite {
            place: places.of(row),
            column: column.to_owned(),
            cell: numbers[row].to_string(),
        }),
    }
}

/// What the columns come to.
pub(super) struct Resolved {
    pub(super) labels: Labels,
    pub(super) predicted: Labels,
    pub(super) scores: Option<ScoreTable>,
    pub(super) classes: Vec<String>,
    /// Of multilabel rows: from which score on each class is predicted, where scores decide.
    pub(super) threshold: Option<f64>,
}

impl ScoreColumns {
    pub(super) const fn n_columns(&self) -> usize {
        match self {
            Self::Named(columns) => columns.len(),
            Self::Array { n_columns, .. } => *n_columns,
        }
    }

    /// The classes of a file that lists none: those of its columns. Columns of an array have no names, so labels must say
    /// by their number which is theirs.
    pub(super) fn class_names(&self, labels: &Texts<'_>) -> Result<Vec<String>, Problem> {
        match self {
            // Not in the order of the file: that of its columns does not matter.
            Self::Named(columns) => {
                let mut classes: Vec<String> =
                    columns.iter().map(|(class, _)| class.clone()).collect();
                classes.sort_by(|left, right| by_value_or_name(left, right));
                Ok(classes)
            }
            Self::Array { n_columns, .. } => {
                let classes: Vec<String> = (0..*n_columns).map(|idx| idx.to_string()).collect();
                let is_numbered = |label: &&str| {
                    let whole = label.strip_suffix(".0").unwrap_or(label);
                    classes.iter().any(|class| class == whole)
                };
                match labels.distinct().iter().find(|label| !is_numbered(label)) {
                    Some(label) => Err(Problem::UnnamedColumns {
                        n_columns: *n_columns,
                        label: shortened(label),
                    }),
                    None => Ok(classes),
                }
            }
        }
    }

    /// Scores by row, in the order of `classes`: columns of a table by their names, those of an array as they stand.
    pub(super) fn in_order(self, classes: &[String]) -> Result<ScoreTable, Problem> {
        match self {
            Self::Array { scores, n_columns } => {
                if n_columns == classes.len() {
                    return Ok(scores);
                }
                Err(Problem::ScoreColumns {
                    n_columns,
                    n_classes: classes.len(),
                    hint: if n_columns == 1 && classes.len() == 2 {
                        "; say whose it is by `[evaluate] positive_class`, or write a column a class, `1 - p` and `p`"
                    } else {
                        ""
                    },
                })
            }
            Self::Named(columns) => {
                if let Some((extra, _)) = columns.iter().find(|(name, _)| !classes.contains(name)) {
                    let is_missing =
                        |class: &&String| columns.iter().all(|(name, _)| name != *class);
                    return Err(match classes.iter().find(is_missing) {
                        Some(class) => no_score_column(class, &columns),
                        None => Problem::ExtraScoreColumn(extra.clone()),
                    });
                }
                let column = |class: &String| {
                    let found = columns.iter().find(|(name, _)| name == class);
                    found
                        .map(|(_, values)| values)
                        .ok_or_else(|| no_score_column(class, &columns))
                };
                let in_order: Vec<&Vec<f64>> =
                    classes.iter().map(column).collect::<Result<_, _>>()?;
                let n_rows = in_order.first().map_or(0, |values| values.len());
                let by_row =
                    (0..n_rows).flat_map(|row| in_order.iter().map(move |values| values[row]));
                Ok(ScoreTable::F64(by_row.collect()))
            }
        }
    }
}

fn no_score_column(class: &str, columns: &[(String, Vec<f64>)]) -> Problem {
    Problem::NoScoreColumn {
        class: class.to_owned(),
        found: some(columns.iter().map(|(name, _)| name.as_str())),
    }
}
