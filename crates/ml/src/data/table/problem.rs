//! Why a table cannot be used.

use trainyard_core::csv_text::CsvTextProblem;
pub use trainyard_core::csv_text::Place;
use trainyard_core::folds::KeyError;

use crate::data::column::CellProblem;
use crate::data::excerpt::{Excerpt, Names};

/// Why a table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableProblem {
    /// Not the text of a table.
    #[error(transparent)]
    Text(#[from] CsvTextProblem),
    /// A header and nothing else.
    #[error("there are no rows below the header")]
    NoRows,
    /// Nothing left.
    #[error(
        "each of the {n_dropped} rows lacks a value, and `[data.csv] missing = \"drop\"` drops them all"
    )]
    AllDropped {
        /// How many there were.
        n_dropped: u64,
    },
    /// The system's words.
    #[error("{place}: {problem}")]
    Csv {
        /// Where.
        place: Place,
        /// The parser's words.
        problem: String,
    },
    /// A row that is too short or too long.
    #[error("{place}: {n_cells} cells, but the header has {n_columns}")]
    Ragged {
        /// Where.
        place: Place,
        /// Cells of that row.
        n_cells: u64,
        /// Cells of the header.
        n_columns: u64,
    },
    /// One name twice.
    #[error("two columns are called {name} (columns {first} and {second}); rename one of them")]
    Twice {
        /// Their name.
        name: Excerpt,
        /// Counted from 1.
        first: usize,
        /// Counted from 1.
        second: usize,
    },
    /// A column that the configuration names is not there.
    #[error("there is no column {name}; there are {known}{hint}")]
    NoColumn {
        /// Its name.
        name: Excerpt,
        /// Those that there are.
        known: Names,
        /// What may be wrong.
        hint: String,
    },
    /// Another number of features than the network takes.
    #[error(
        "{n_features} columns are features ({names}), but `[model] input_shape` is {input_shape:?}"
    )]
    Width {
        /// How many there are.
        n_features: usize,
        /// Their names.
        names: Names,
        /// What the network takes.
        input_shape: Vec<usize>,
    },
    /// A cell of a feature.
    #[error("{place}: {problem}")]
    Cell {
        /// Where.
        place: Place,
        /// What is wrong.
        problem: CellProblem,
    },
    /// A feature that is not there.
    #[error(
        "{place}: the column {column} is empty{text}; say what to do with `[data.csv] missing = \"drop\"`, `\"mean\"` \
         or a number"
    )]
    Missing {
        /// Where.
        place: Place,
        /// The column.
        column: Excerpt,
        /// What stands there instead.
        text: String,
    },
    /// A column without any value.
    #[error("the column {column} has no value to take a mean of")]
    NoMean {
        /// The column.
        column: Excerpt,
    },
    /// A label that is not there.
    #[error("{place}: the label {column} is empty{text}")]
    NoLabel {
        /// Where.
        place: Place,
        /// The column.
        column: Excerpt,
        /// What stands there instead, and what to do if it is a class.
        text: String,
    },
    /// A weight below 0 or none at all.
    #[error("{place}: the weight {text} is not a number of at least 0")]
    Weight {
        /// Where.
        place: Place,
        /// What stands there.
        text: Excerpt,
    },
    /// A column that the model was not trained on.
    #[error(
        "the model was not trained on the column {name}; remove it, or leave it out with `[data.csv] ignore = [{written:?}]`"
    )]
    UnknownColumn {
        /// Its name.
        name: Excerpt,
        /// The name as TOML writes it.
        written: String,
    },
    /// Other features than the model's.
    #[error(
        "the model was trained on the columns {trained}, but `[data.csv] features` says {features}; train again, or restore the setting"
    )]
    OtherFeatures {
        /// In their order.
        trained: Names,
        /// In their order.
        features: Names,
    },
    /// A row without an id.
    #[error("{place}: there is no row id in the column {column}")]
    NoRowId {
        /// Where.
        place: Place,
        /// The column.
        column: Excerpt,
    },
    /// A row without a group or time.
    #[error(
        "{place}: the column {column} is empty, and `[evaluate.cross_validation]` needs it in every row"
    )]
    NoKey {
        /// Where.
        place: Place,
        /// The column.
        column: Excerpt,
    },
    /// A time that cannot be put in order.
    #[error("{place}: {problem}; `[evaluate.cross_validation] time` is the column {column}")]
    Time {
        /// Where.
        place: Place,
        /// The column.
        column: Excerpt,
        /// What is wrong.
        problem: KeyError,
    },
    /// An identifier of two rows.
    #[error("{place}: the row id {row_id} is there twice, first on {first}")]
    RowIdTwice {
        /// Where.
        place: Place,
        /// Where it stands first.
        first: Place,
        /// The identifier.
        row_id: Excerpt,
    },
}
