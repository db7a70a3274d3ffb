//! One row of a table.

use trainyard_core::config::{CsvConfig, Missing};

use super::problem::{Place, TableProblem};
use super::roles::Roles;
use crate::data::column::{CellProblem, Column, is_missing, narrow};
use crate::data::excerpt::Excerpt;

/// What is wrong with a row, before its place is known.
pub(super) enum RowProblem {
    Missing {
        column: String,
        text: String,
    },
    Cell(CellProblem),
    NoLabel {
        column: String,
        text: String,
        is_class: bool,
    },
    Weight(String),
    NoRowId {
        column: String,
    },
    NoKey {
        column: String,
    },
}

impl RowProblem {
    pub(super) fn at(self, place: Place) -> TableProblem {
        let instead = |text: &str| match text {
            "" => String::new(),
            text => format!(" ({})", Excerpt::of(text)),
        };
        match self {
            Self::Missing { column, text } => TableProblem::Missing {
                place,
                column: Excerpt::of(&column),
                text: instead(&text),
            },
            Self::Cell(problem) => TableProblem::Cell { place, problem },
            Self::NoLabel {
                column,
                text,
                is_class,
            } => {
                let hint = match text.as_str() {
                    text if is_class && !text.is_empty() => {
                        format!("; if it is the name of a class, add {text:?} to `[data] classes`")
                    }
                    _ => "; fill it in, or remove the row".to_owned(),
                };
                TableProblem::NoLabel {
                    place,
                    column: Excerpt::of(&column),
                    text: instead(&text) + &hint,
                }
            }
            Self::Weight(text) => TableProblem::Weight {
                place,
                text: Excerpt::of(&text),
            },
            Self::NoRowId { column } => TableProblem::NoRowId {
                place,
                column: Excerpt::of(&column),
            },
            Self::NoKey { column } => TableProblem::NoKey {
                place,
                column: Excerpt::of(&column),
            },
        }
    }
}

/// The parser refuses rows of another length than the header's.
fn cell(record: &csv::StringRecord, idx: usize) -> &str {
    record.get(idx).expect("as many cells as the header")
}

/// Reads the features of a row into `row`; `false` where it is dropped.
pub(super) fn read_features(
    record: &csv::StringRecord,
    roles: &Roles,
    config: &CsvConfig,
    columns: &mut [Column],
    row: &mut Vec<f32>,
) -> Result<bool, RowProblem> {
    row.clear();
    let mut is_kept = true;
    for (column, idx) in columns.iter_mut().zip(&roles.features) {
        let text = cell(record, *idx);
        if !is_missing(text) {
            row.push(column.read(text).map_err(RowProblem::Cell)?);
            continue;
        }
        column.n_missing += 1;
        row.push(match config.missing {
            Missing::Drop => {
                is_kept = false;
                0.0
            }
            Missing::Value(value) => value as f32,
            // Filled when the row is used: which rows the mean is over depends on what it is used for.
            Missing::Mean => f32::NAN,
            Missing::Error => {
                return Err(RowProblem::Missing {
                    column: column.name.clone(),
                    text: text.to_owned(),
                });
            }
        });
    }
    Ok(is_kept)
}

/// What a row has beside its features.
pub(super) struct RowRoles {
    pub(super) label: String,
    pub(super) weight: Option<f32>,
    pub(super) row_id: Option<String>,
    /// In the order of [`Roles::keys`].
    pub(super) keys: Vec<String>,
}

impl RowRoles {
    pub(super) fn read(
        record: &csv::StringRecord,
        roles: &Roles,
        config: &CsvConfig,
        classes: &[String],
    ) -> Result<Self, RowProblem> {
        let label = cell(record, roles.label);
        if is_missing(label) && !classes.iter().any(|class| class == label) {
            return Err(RowProblem::NoLabel {
                column: config.label.clone(),
                text: label.to_owned(),
                is_class: !classes.is_empty(),
            });
        }
        let weight = |idx| {
            let text = cell(record, idx);
            narrow(text, config.decimal)
                .filter(|weight| *weight >= 0.0)
                .ok_or_else(|| RowProblem::Weight(text.to_owned()))
        };
        // Any text is an id, also one that would be a gap in another column.
        let row_id = |idx| match cell(record, idx) {
            "" => Err(RowProblem::NoRowId {
                column: config.row_id.clone().unwrap_or_default(),
            }),
            text => Ok(text.to_owned()),
        };
        let key = |(name, idx): &(String, usize)| match cell(record, *idx) {
            "" => Err(RowProblem::NoKey {
                column: name.clone(),
            }),
            text => Ok(text.to_owned()),
        };
        Ok(Self {
            label: label.to_owned(),
            weight: roles.weight.map(weight).transpose()?,
            row_id: roles.row_id.map(row_id).transpose()?,
            keys: roles.keys.iter().map(key).collect::<Result<_, _>>()?,
        })
    }
}
