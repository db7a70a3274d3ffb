//! What can be wrong with a file of predictions. `place` is where: `line 3` or `row 2`.

use trainyard_core::csv_text::CsvTextProblem;

use super::binary::ThresholdError;
pub(super) use super::names::{shortened, some};
use super::places::Places;

/// Why a file cannot be read as predictions.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum Problem {
    #[error("{0}")]
    Format(String),
    #[error(transparent)]
    Text(#[from] CsvTextProblem),
    #[error("there are no rows")]
    NoRows,
    #[error("there is no {what} `{name}`; there are {found}{hint}")]
    NoColumn {
        what: &'static str,
        name: &'static str,
        found: String,
        hint: &'static str,
    },
    #[error(
        "there is neither a `predicted` column nor `score_<class>` columns (`score` in an npz)"
    )]
    NoAnswers,
    #[error("regression needs a column `predicted`")]
    NoPredictedNumbers,
    #[error(
        "there are neither `predicted_<name>` nor `score_<name>` columns beside `label_<name>` (`predicted` or `score` in an npz)"
    )]
    NoAnswersOfSeveral,
    #[error(
        "regression of several outputs needs a column `predicted_<name>` of each (`predicted` in an npz)"
    )]
    NoPredictedOutputs,
    #[error(
        "scores are of classes, and numbers are predicted: remove the `score_<name>` columns (`score` in an npz), or write `predicted_<name>`"
    )]
    ScoresOfNumbers,
    #[error("there is no column `{column}`{hint}")]
    NoColumnOfSeveral { column: String, hint: String },
    #[error(
        "there is neither a column `predicted_{name}` nor `score_{name}` for `{label}`: add one, or rename `{label}`{hint}"
    )]
    NoCounterpart {
        label: String,
        name: String,
        hint: String,
    },
    #[error("there is no column `{label}` for `{column}`: add it, or remove `{column}`{hint}")]
    ExtraColumn {
        column: String,
        label: String,
        hint: String,
    },
    #[error("the column `{column}` is of no class: add it to `[data] classes`, or remove it")]
    ColumnOfNoClass { column: String },
    #[error(
        "the array `{array}` has {n_columns} columns for {n_names} classes or outputs: write one of each, in one order"
    )]
    AnswerColumns {
        array: &'static str,
        n_columns: usize,
        n_names: usize,
    },
    #[error(
        "`label_{0}` is the only column of labels: call it `label`, and `predicted_{0}` `predicted`; several labels a row are two or more `label_<name>` columns"
    )]
    OneOfSeveral(String),
    #[error(
        "there is one label a row, and the task is `multilabel`: write a column `label_<class>` of 0 and 1 for each class"
    )]
    OneOfMultilabel,
    #[error(
        "there are `label` and `{0}`: remove one of the two, or rename `{0}`; where it is a column to slice by, name it in `[[evaluate.slices]]`"
    )]
    LabelBeside(String),
    #[error(
        "there are `predicted` and `label_<name>` columns ({labels}): call it `predicted_<name>`, one column for each label"
    )]
    PredictedBeside { labels: String },
    #[error("{place}: `{cell}` in the column `{column}` is neither 0 nor 1{hint}")]
    NotFlag {
        place: String,
        column: String,
        cell: String,
        hint: &'static str,
    },
    #[error(
        "{place}: `{cell}` in the column `{column}`, while all labels are 0 or 1: write probabilities of classes as `score_<name>` columns, or set the task to `regression`"
    )]
    SetsOrNumbers {
        place: String,
        column: String,
        cell: String,
    },
    #[error(
        "{place}: `{cell}` in the column `{column}` is not a probability between 0 and 1; of logits, say `[evaluate] scores = \"logits\"`"
    )]
    NotProbability {
        place: String,
        column: String,
        cell: String,
    },
    #[error(
        "{place}: {found}, but the scores of a row are probabilities, not negative and with a sum of 1: {remedy}"
    )]
    NotProbabilities {
        place: String,
        found: String,
        remedy: &'static str,
    },
    #[error(
        "`predicted` is another class than the one with the highest score in {n_other} of {n_rows} rows, as if the scores were those of other classes: name each score column by its class, or list `[data] classes` in the order of an array's columns"
    )]
    ScoresOfOthers { n_other: usize, n_rows: usize },
    #[error(
        "the scores of every row are probabilities with a sum of 1 already: remove `scores = \"logits\"` from `[evaluate]`"
    )]
    NotLogits,
    #[error("{place}: the column `{column}` is empty")]
    Empty { place: String, column: String },
    #[error("{place}: {found} cells, but the header has {expected}")]
    Ragged {
        place: String,
        found: u64,
        expected: u64,
    },
    #[error("the header names `{0}` twice")]
    ColumnTwice(String),
    #[error(
        "{place}: the row_id `{row_id}` is there twice; of a repeated cross-validation, write one file of each repetition"
    )]
    RowIdTwice { place: String, row_id: String },
    #[error("the array `row_id` must hold integers or texts")]
    RowIdType,
    #[error("the array `{name}` has the shape {shape:?}, which does not fit the {n_rows} labels")]
    Shape {
        name: String,
        shape: Vec<usize>,
        n_rows: usize,
    },
    #[error(
        "{place}: `{cell}` in the column `{column}` is not a finite number{}",
        decimal_comma(cell)
    )]
    NotFinite {
        place: String,
        column: String,
        cell: String,
    },
    #[error("{place}: the {column} `{cell}` is not {wanted}")]
    Wrong {
        place: String,
        column: &'static str,
        cell: String,
        wanted: &'static str,
    },
    #[error("`[evaluate.ranking]`: {0}")]
    Ranking(String),
    #[error("every `weight` is 0, so that no row counts")]
    NoWeight,
    #[error(transparent)]
    Threshold(#[from] ThresholdError),
    #[error(
        "{place}: `predicted` is not what `[evaluate] threshold = {threshold}` gives, in {n_other} of {n_rows} rows: remove the column, or the threshold"
    )]
    OtherThreshold {
        place: String,
        threshold: f64,
        n_other: usize,
        n_rows: usize,
    },
    #[error(
        "{place}: the {column} `{cell}` is not a class: where it is the name of one, list it in `[data] classes`, else fill or remove the row"
    )]
    Gap {
        place: String,
        column: &'static str,
        cell: String,
    },
    #[error("{place}: the {column} `{cell}` is none of the classes {classes}{hint}")]
    NoClass {
        place: String,
        column: &'static str,
        cell: String,
        classes: String,
        hint: String,
    },
    #[error(
        "{place}: the {column} `{cell}` is not the class `{class}`, but differs from it by case or blanks, or by Unicode form (NFC, NFD), alone: write both alike"
    )]
    AlmostClass {
        place: String,
        column: &'static str,
        cell: String,
        class: String,
    },
    #[error(
        "the {column} column writes one number as `{one}` and as `{other}`: write it alike, or list both in `[data] classes`"
    )]
    TwoSpellings {
        column: &'static str,
        one: String,
        other: String,
    },
    #[error(
        "no prediction is among the labels (labels {labels}; predictions {predicted}): write both alike, or list every class in `[data] classes`"
    )]
    NothingInCommon { labels: String, predicted: String },
    #[error(
        "the predictions are off by {offset}: as they are, {share} % of the rows are right, and shifted by {shift} it would be {shifted_share} %; count classes alike in `label` and `predicted`"
    )]
    Offset {
        offset: &'static str,
        shift: &'static str,
        share: String,
        shifted_share: String,
    },
    #[error(
        "the values look like numbers to predict, such as `{0}`: set `--task regression`, or list the classes in `[data] classes`"
    )]
    LooksLikeRegression(String),
    #[error("the array `score` has {n_columns} columns for {n_classes} classes{hint}")]
    ScoreColumns {
        n_columns: usize,
        n_classes: usize,
        hint: &'static str,
    },
    #[error(
        "the array `score` has {n_columns} columns, and the label `{label}` does not say which is its own: list `[data] classes` in the order of the columns"
    )]
    UnnamedColumns { n_columns: usize, label: String },
    #[error("there is no column `score_{class}`; there are score columns of {found}")]
    NoScoreColumn { class: String, found: String },
    #[error(
        "the column `score_{0}` is of no class: add it to `[data] classes`, or remove the column"
    )]
    ExtraScoreColumn(String),
}

/// What to write in place of a number with a comma, where a cell is one.
fn decimal_comma(cell: &str) -> String {
    let with_point = cell.replacen(',', ".", 1);
    match with_point.parse::<f64>() {
        Ok(value) if cell.contains(',') && value.is_finite() => {
            format!("; predictions have a decimal point: write `{with_point}`")
        }
        _ => String::new(),
    }
}

/// Refuses predictions that are not those of the threshold in force, row by row.
pub(super) fn refuse_other_threshold<T: PartialEq>(
    predicted: impl Iterator<Item = T>,
    expected: impl Iterator<Item = T>,
    threshold: f64,
    places: &Places,
) -> Result<(), Problem> {
    let (mut first, mut n_other, mut n_rows) = (None, 0, 0);
    for (row, (predicted, expected)) in predicted.zip(expected).enumerate() {
        n_rows += 1;
        if predicted != expected {
            first.get_or_insert(row);
            n_other += 1;
        }
    }
    match first {
        None => Ok(()),
        Some(first) => Err(Problem::OtherThreshold {
            place: places.of(first),
            threshold,
            n_other,
            n_rows,
        }),
    }
}
