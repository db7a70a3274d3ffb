//! CSV tables: a file and the roles of its columns in; features, labels and weights out. Rows stream.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use trainyard_core::config::{CsvConfig, Missing};

use super::DataError;
use super::column::{Column, is_missing, number};
use super::features::{Features, Sink};

/// What a table holds.
pub(super) struct Table {
    pub(super) n_columns: usize,
    pub(super) features: Features,
    /// As text: names of classes, or numbers.
    pub(super) labels: Vec<String>,
    /// Line of each row, for errors.
    pub(super) lines: Vec<u64>,
    pub(super) weights: Option<Vec<f32>>,
    pub(super) row_ids: Option<Vec<i64>>,
    /// The columns that became features, in order.
    pub(super) columns: Vec<Column>,
}

/// The columns of a table by their role.
struct Roles {
    label: usize,
    features: Vec<usize>,
    weight: Option<usize>,
    row_id: Option<usize>,
}

/// Reads the table at `path`. `means` are what missing cells are filled with where that is wanted: of the training rows.
pub(super) fn read(
    path: &Path,
    config: &CsvConfig,
    max_rows: Option<usize>,
    means: Option<&[f32]>,
) -> Result<Table, DataError> {
    let malformed = |problem: String| DataError::malformed(path, problem);
    let io = DataError::read(path);
    let file = File::open(path).map_err(io)?;
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(config.delimiter as u8)
        .trim(csv::Trim::All)
        .from_reader(BufReader::new(file));
    let header = reader
        .headers()
        .map_err(|error| malformed(format!("the header cannot be read ({error})")))?;
    let header: Vec<String> = header
        .iter()
        .map(|name| name.trim_start_matches('\u{feff}').to_owned())
        .collect();
    let roles = Roles::of(&header, config).map_err(malformed)?;
    let mut table = Table {
        n_columns: roles.features.len(),
        features: Features::F32(Vec::new()),
        labels: Vec::new(),
        lines: Vec::new(),
        weights: roles.weight.map(|_| Vec::new()),
        row_ids: roles.row_id.map(|_| Vec::new()),
        columns: roles
            .features
            .iter()
            .map(|idx| Column::new(&header[*idx], config.types.get(&header[*idx]).copied()))
            .collect(),
    };
    let mut sink = Sink::new();
    let mut row = Vec::with_capacity(roles.features.len());
    let mut record = csv::StringRecord::new();
    while max_rows.is_none_or(|max_rows| table.labels.len() < max_rows) {
        let is_there = reader
            .read_record(&mut record)
            .map_err(|error| malformed(describe(&error)))?;
        if !is_there {
            break;
        }
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |idx: usize| record.get(idx).unwrap_or_default();
        row.clear();
        let mut is_dropped = false;
        let columns = table.columns.iter_mut().zip(&roles.features);
        for (place, (column, idx)) in columns.enumerate() {
            let text = cell(*idx);
            let value = if is_missing(text) {
                column.n_missing += 1;
                match config.missing {
                    Missing::Drop => {
                        is_dropped = true;
                        0.0
                    }
                    Missing::Value(value) => value as f32,
                    Missing::Mean => means.map_or(f32::NAN, |means| means[place]),
                    Missing::Error => {
                        return Err(malformed(format!(
                            "line {line}: the column `{}` is empty; say what to do with `[data.csv] missing = \"drop\"`, \
                             `\"mean\"` or a number",
                            column.name
                        )));
                    }
                }
            } else {
                let value = column.read(text);
                value.map_err(|problem| malformed(format!("line {line}: {problem}")))?
            };
            row.push(value);
        }
        if is_dropped {
            continue;
        }
        let label = cell(roles.label);
        if is_missing(label) {
            return Err(malformed(format!(
                "line {line}: the label `{}` is empty",
                header[roles.label]
            )));
        }
        sink.push(&row).map_err(io)?;
        table.labels.push(label.to_owned());
        table.lines.push(line);
        if let (Some(weights), Some(idx)) = (&mut table.weights, roles.weight) {
            let weight = number(cell(idx)).filter(|weight| *weight >= 0.0);
            weights.push(weight.ok_or_else(|| {
                malformed(format!(
                    "line {line}: the weight `{}` is not a number of at least 0",
                    cell(idx)
                ))
            })?);
        }
        if let (Some(row_ids), Some(idx)) = (&mut table.row_ids, roles.row_id) {
            row_ids.push(cell(idx).parse().map_err(|_| {
                malformed(format!(
                    "line {line}: the row id `{}` is not a whole number",
                    cell(idx)
                ))
            })?);
        }
    }
    table.features = sink.finish().map_err(io)?;
    Ok(table)
}

/// The mean of each feature column over the cells that are there, in f64.
pub(super) fn means(path: &Path, config: &CsvConfig) -> Result<Vec<f32>, DataError> {
    let absent = CsvConfig {
        missing: Missing::Mean,
        ..config.clone()
    };
    let table = read(path, &absent, None, None)?;
    let mut sums = vec![(0.0_f64, 0_u64); table.n_columns];
    let mut row = vec![0.0; table.n_columns];
    for idx in 0..table.labels.len() {
        table.features.read(idx * table.n_columns, &mut row);
        for ((sum, n), &value) in sums
            .iter_mut()
            .zip(&row)
            .filter(|(_, value)| !value.is_nan())
        {
            *sum += f64::from(value);
            *n += 1;
        }
    }
    sums.iter()
        .zip(&table.columns)
        .map(|((sum, n), column)| match n {
            0 => Err(DataError::malformed(
                path,
                format!(
                    "the column `{}` has no value to take a mean of",
                    column.name
                ),
            )),
            n => Ok((sum / *n as f64) as f32),
        })
        .collect()
}

impl Table {
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
        let is_numeric = self.labels.iter().all(|label| number(label).is_some());
        let label_type = if is_numeric { "numbers" } else { "names" };
        let roles = [("weight", &config.weight), ("row id", &config.row_id)];
        let roles: String = roles
            .iter()
            .filter_map(|(role, name)| Some(format!(", {role} `{}`", name.as_ref()?)))
            .collect();
        format!(
            "{} rows, label `{}` ({label_type}){roles}, {n_features} features: {}{more}",
            self.labels.len(),
            config.label,
            shown.join(", "),
        )
    }
}

impl Roles {
    fn of(header: &[String], config: &CsvConfig) -> Result<Self, String> {
        let mut seen = BTreeMap::new();
        for (idx, name) in header.iter().enumerate() {
            if seen.insert(name.as_str(), idx).is_some() {
                return Err(format!("two columns are called `{name}`"));
            }
        }
        let find = |name: &String| {
            seen.get(name.as_str()).copied().ok_or_else(|| {
                format!(
                    "there is no column `{name}`; there are {}",
                    header.join(", ")
                )
            })
        };
        let label = find(&config.label)?;
        config
            .types
            .keys()
            .try_for_each(|name| find(name).map(|_| ()))?;
        let weight = config.weight.as_ref().map(find).transpose()?;
        let row_id = config.row_id.as_ref().map(find).transpose()?;
        let ignored: Vec<usize> = config.ignore.iter().map(find).collect::<Result<_, _>>()?;
        let features = if let Some(names) = &config.features {
            names.iter().map(find).collect::<Result<_, _>>()?
        } else {
            let has_role = |idx: &usize| {
                *idx == label
                    || Some(*idx) == weight
                    || Some(*idx) == row_id
                    || ignored.contains(idx)
            };
            (0..header.len()).filter(|idx| !has_role(idx)).collect()
        };
        Ok(Self {
            label,
            features,
            weight,
            row_id,
        })
    }
}

fn describe(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            pos,
            expected_len,
            len,
        } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            format!("line {line}: {len} cells, but the header has {expected_len}")
        }
        csv::ErrorKind::Utf8 { pos, .. } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            format!("line {line}: this is no UTF-8 text")
        }
        _ => error.to_string(),
    }
}
