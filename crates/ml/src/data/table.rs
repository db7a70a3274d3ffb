//! CSV tables: a file and the roles of its columns in; features, labels and weights out. Rows stream.

pub(super) mod problem;
mod roles;
mod row;
mod text;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use trainyard_core::config::CsvConfig;
use trainyard_core::csv_text::{CsvTextProblem, Watched};

use super::column::{Column, number};
use super::error::DataError;
use super::excerpt::Excerpt;
use super::features::{Features, Sink};
pub use problem::{Place, TableProblem};
use roles::Roles;
use row::{RowProblem, RowRoles};
use text::line_of;

/// What a table holds.
pub(super) struct Table {
    pub(super) n_columns: usize,
    pub(super) features: Features,
    /// As text: names of classes, or numbers.
    pub(super) labels: Vec<String>,
    /// Where each row begins, for errors.
    pub(super) starts: Vec<u64>,
    pub(super) weights: Option<Vec<f32>>,
    /// Any text, unique; where `[data.csv]` names their column.
    pub(super) row_ids: Option<Vec<String>>,
    /// The texts of the columns that were asked for, by name.
    pub(super) keys: BTreeMap<String, Vec<String>>,
    /// Rows without a value, where those are dropped.
    pub(super) n_dropped: u64,
    /// The columns that became features, in order.
    pub(super) columns: Vec<Column>,
}

/// Reads the table at `path`. Of `classes`, a name such as `NA` is a label and not a gap. Of the columns `keys` the texts
/// are kept, whatever their role. Where `is_closed`, each column must have a role. Missing cells that are to be filled with
/// means are NaN.
pub(super) fn read(
    path: &Path,
    config: &CsvConfig,
    classes: &[String],
    keys: &[String],
    is_closed: bool,
) -> Result<Table, DataError> {
    let malformed = DataError::table(path);
    let watched = text::open(path, config.delimiter as u8)
        .map_err(DataError::read(path))?
        .map_err(|problem| malformed(problem.into()))?;
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(config.delimiter as u8)
        .trim(csv::Trim::All)
        .from_reader(watched);
    let header = reader
        .headers()
        .map(|header| header.iter().map(str::to_owned).collect());
    let header: Vec<String> = checked(path, &reader, header)?;
    if header.iter().all(String::is_empty) {
        return Err(malformed(CsvTextProblem::Empty.into()));
    }
    let roles = Roles::of(&header, config, keys, is_closed).map_err(malformed)?;
    let mut table = Table {
        n_columns: roles.features.len(),
        features: Features::F32(Vec::new()),
        labels: Vec::new(),
        starts: Vec::new(),
        weights: roles.weight.map(|_| Vec::new()),
        row_ids: roles.row_id.map(|_| Vec::new()),
        keys: keys.iter().map(|name| (name.clone(), Vec::new())).collect(),
        n_dropped: 0,
        columns: roles
            .features
            .iter()
            .map(|idx| {
                let declared = config.types.get(&header[*idx]).copied();
                Column::new(&header[*idx], declared, config.decimal)
            })
            .collect(),
    };
    let mut sink = Sink::new();
    let mut row = Vec::with_capacity(roles.features.len());
    let mut record = csv::StringRecord::new();
    loop {
        let start = reader.position().byte();
        let is_there = reader.read_record(&mut record);
        if !checked(path, &reader, is_there)? {
            break;
        }
        let in_row = |problem: RowProblem| malformed(problem.at(place_of(path, start)));
        let columns = &mut table.columns;
        let is_kept = row::read_features(&record, &roles, config, columns, &mut row);
        if !is_kept.map_err(in_row)? {
            table.n_dropped += 1;
            continue;
        }
        sink.push(&row).map_err(DataError::temporary(path))?;
        let roles = RowRoles::read(&record, &roles, config, classes).map_err(in_row)?;
        table.push(roles, keys, start);
    }
    if table.labels.is_empty() {
        return Err(malformed(match table.n_dropped {
            0 => TableProblem::NoRows,
            n_dropped => TableProblem::AllDropped { n_dropped },
        }));
    }
    table.check_row_ids(path)?;
    table.features = sink.finish(path)?;
    Ok(table)
}

/// What the parser says, unless the bytes show why it says so, or that it should not have been content.
fn checked<T>(
    path: &Path,
    reader: &csv::Reader<Watched<std::fs::File>>,
    result: Result<T, csv::Error>,
) -> Result<T, DataError> {
    let place = |at| place_of(path, at);
    if let Some(finding) = reader.get_ref().finding() {
        return Err(DataError::table(path)(finding.problem(place).into()));
    }
    let error = match result {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let place_in = |pos: Option<&csv::Position>| place(pos.unwrap_or(reader.position()).byte());
    let problem = match error.kind() {
        csv::ErrorKind::UnequalLengths {
            pos,
            expected_len,
            len,
        } => TableProblem::Ragged {
            place: place_in(pos.as_ref()),
            n_cells: *len,
            n_columns: *expected_len,
        },
        csv::ErrorKind::Utf8 { pos, .. } => CsvTextProblem::NotUtf8 {
            place: place_in(pos.as_ref()),
        }
        .into(),
        csv::ErrorKind::Io(_) => {
            return Err(match error.into_kind() {
                csv::ErrorKind::Io(source) => DataError::read(path)(source),
                _ => unreachable!("this was an I/O error"),
            });
        }
        _ => TableProblem::Csv {
            place: place(reader.position().byte()),
            problem: error.to_string(),
        },
    };
    Err(DataError::table(path)(problem))
}

/// Errors are rare, so lines are counted when one needs to be named.
pub(super) fn place_of(path: &Path, start: u64) -> Place {
    line_of(path, start).map_or(Place::Byte(start), Place::Line)
}

impl Table {
    fn push(&mut self, row: RowRoles, names: &[String], start: u64) {
        let RowRoles {
            label,
            weight,
            row_id,
            keys,
        } = row;
        self.labels.push(label);
        if let (Some(weights), Some(weight)) = (&mut self.weights, weight) {
            weights.push(weight);
        }
        if let (Some(row_ids), Some(row_id)) = (&mut self.row_ids, row_id) {
            row_ids.push(row_id);
        }
        for (name, key) in names.iter().zip(keys) {
            self.keys.entry(name.clone()).or_default().push(key);
        }
        self.starts.push(start);
    }

    fn check_row_ids(&self, path: &Path) -> Result<(), DataError> {
        let mut seen = HashMap::new();
        let row_ids = self.row_ids.as_deref().unwrap_or(&[]);
        for (row_id, &start) in row_ids.iter().zip(&self.starts) {
            if let Some(first) = seen.insert(row_id, start) {
                return Err(DataError::table(path)(TableProblem::RowIdTwice {
                    place: place_of(path, start),
                    first: place_of(path, first),
                    row_id: Excerpt::of(row_id),
                }));
            }
        }
        Ok(())
    }

    /// Names of the features, in order.
    pub(super) fn names(&self) -> Vec<String> {
        self.columns
            .iter()
            .map(|column| column.name.clone())
            .collect()
    }

    /// The columns by their role, in a line of text.
    pub(super) fn describe(&self, config: &CsvConfig) -> String {
        const N_SHOWN: usize = 40;
        let n_features = self.columns.len();
        let shown: Vec<String> = self
            .columns
            .iter()
            .take(N_SHOWN)
            .map(Column::describe)
            .collect();
        let more = match n_features.saturating_sub(N_SHOWN) {
            0 => String::new(),
            n_more => format!(" and {n_more} more"),
        };
        let is_numeric = |label: &String| number(label, config.decimal).is_some();
        let label_type = if self.labels.iter().all(is_numeric) {
            "numbers"
        } else {
            "names"
        };
        let roles = [("weight", &config.weight), ("row id", &config.row_id)];
        let roles: String = roles
            .iter()
            .filter_map(|(role, name)| Some(format!(", {role} `{}`", name.as_ref()?)))
            .collect();
        let dropped = match self.n_dropped {
            0 => String::new(),
            n_dropped => format!(" ({n_dropped} more dropped for a missing value)"),
        };
        format!(
            "{} rows{dropped}, label `{}` ({label_type}){roles}, {n_features} features: {}{more}",
            self.labels.len(),
            config.label,
            shown.join(", "),
        )
    }
}
