//! What can be wrong with a file of predictions. `place` is where: `line 3` or `row 2`.

use super::binary::ThresholdError;
pub(super) use super::names::{shortened, some};

/// Why a file cannot be read as predictions.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum Problem {
    #[error("{0}")]
    Format(String),
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
    #[error("{place}: the row_id `{row_id}` is there twice")]
    RowIdTwice { place: String, row_id: String },
    #[error("the array `row_id` must hold integers or texts")]
    RowIdType,
    #[error("the array `{name}` has the shape {shape:?}, which does not fit the {n_rows} labels")]
    Shape {
        name: String,
        shape: Vec<usize>,
        n_rows: usize,
    },
    #[error("{place}: `{cell}` in the column `{column}` is not a finite number")]
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
        "{place}: the {column} `{cell}` is not the class `{class}`, but differs from it by case or blanks alone: write both alike"
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
    #[error("there is no column `score_{class}`; there are {found}")]
    NoScoreColumn { class: String, found: String },
    #[error(
        "the column `score_{0}` is of no class: add it to `[data] classes`, or remove the column"
    )]
    ExtraScoreColumn(String),
}
