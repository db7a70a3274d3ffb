//! One row of a table.

use trainyard_core::config::{CsvConfig, Missing};

use super::{Place, Roles, Table, TableProblem};
use crate::data::column::{CellProblem, is_missing, narrow};
use crate::data::error::Excerpt;

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
    RowId(String),
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
            Self::RowId(text) => TableProblem::RowId {
                place,
                text: Excerpt::of(&text),
            },
        }
    }
}

/// The parser refuses rows of another length than the header's.
fn cell(record: &csv::StringRecord, idx: usize) -> &str {
    record.get(idx).expect("as many cells as the header")
}

impl Table {
    /// Reads the features of a row; `false` where it is dropped.
    pub(super) fn read_features(
        &mut self,
        record: &csv::StringRecord,
        roles: &Roles,
        config: &CsvConfig,
        means: Option<&[f32]>,
        row: &mut Vec<f32>,
    ) -> Result<bool, RowProblem> {
        row.clear();
        let mut is_kept = true;
        let columns = self.columns.iter_mut().zip(&roles.features);
        for (place, (column, idx)) in columns.enumerate() {
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
                // Without means, they are about to be taken, of what is a number.
                Missing::Mean => means.map_or(f32::NAN, |means| means[place]),
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

    /// Reads what a row has beside its features.
    pub(super) fn read_roles(
        &mut self,
        record: &csv::StringRecord,
        roles: &Roles,
        config: &CsvConfig,
        classes: &[String],
        row_idx: i64,
    ) -> Result<(), RowProblem> {
        let label = cell(record, roles.label);
        if is_missing(label) && !classes.iter().any(|class| class == label) {
            return Err(RowProblem::NoLabel {
                column: config.label.clone(),
                text: label.to_owned(),
                is_class: !classes.is_empty(),
            });
        }
        self.labels.push(label.to_owned());
        if let (Some(weights), Some(idx)) = (&mut self.weights, roles.weight) {
            let text = cell(record, idx);
            let weight = narrow(text, config.decimal).filter(|weight| *weight >= 0.0);
            weights.push(weight.ok_or_else(|| RowProblem::Weight(text.to_owned()))?);
        }
        self.row_ids.push(match roles.row_id {
            Some(idx) => {
                let text = cell(record, idx);
                text.parse()
                    .map_err(|_| RowProblem::RowId(text.to_owned()))?
            }
            None => row_idx,
        });
        Ok(())
    }
}
