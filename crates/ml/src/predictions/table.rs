//! Predictions as a CSV table.

use std::collections::BTreeMap;

use trainyard_core::digest::DigestBuilder;
use trainyard_core::files::without_byte_order_mark;

use super::coded::Coding;
use super::columns::{Answers, Cells, Columns, FurtherColumn, ScoreColumns};
use super::places::Places;
use super::problem::{Problem, shortened, some};

/// A score column is called this and the class.
const SCORE_PREFIX: &str = "score_";

/// What a column of the header is for.
enum Role {
    RowId,
    Label,
    Predicted,
    /// The index of its column of scores.
    Score(usize),
    Weight,
    Group,
    Fold,
    /// The cells, and a digest: part of what tells rows without ids apart.
    Other(DigestBuilder, Vec<String>),
}

/// The columns of a CSV table with a header.
pub(super) fn columns(bytes: &[u8]) -> Result<Columns, Problem> {
    let bytes = without_byte_order_mark(bytes);
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let header: Vec<String> = reader
        .headers()
        .map_err(|error| Problem::Format(format!("the header cannot be read ({error})")))?
        .iter()
        .map(str::to_owned)
        .collect();
    let mut columns = Columns {
        row_ids: None,
        labels: Answers::Texts(Coding::default().finish()),
        predicted: None,
        scores: None,
        weights: None,
        groups: None,
        folds: None,
        further: BTreeMap::new(),
        others: BTreeMap::new(),
        places: Places::Lines(Vec::new()),
    };
    let mut scores: Vec<(String, Vec<f64>)> = Vec::new();
    let mut roles: Vec<Role> = Vec::new();
    for (idx, name) in header.iter().enumerate() {
        if header[..idx].contains(name) {
            return Err(Problem::ColumnTwice(shortened(name)));
        }
        roles.push(match (name.as_str(), name.strip_prefix(SCORE_PREFIX)) {
            ("row_id", _) => Role::RowId,
            ("label", _) => Role::Label,
            ("predicted", _) => Role::Predicted,
            ("weight", _) => Role::Weight,
            ("group", _) => Role::Group,
            ("fold", _) => Role::Fold,
            (_, Some(class)) => {
                scores.push((class.to_owned(), Vec::new()));
                Role::Score(scores.len() - 1)
            }
            (name, None) => Role::Other(DigestBuilder::new(name), Vec::new()),
        });
    }
    let has = |wanted: &str| header.iter().any(|name| name == wanted);
    if !has("label") {
        return Err(Problem::NoColumn {
            what: "column",
            name: "label",
            found: some(header.iter().map(String::as_str)),
            hint: match header.as_slice() {
                [only] if only.contains([';', '\t', '|']) => "; separate the cells by commas",
                _ => "",
            },
        });
    }
    if !has("predicted") && scores.is_empty() {
        return Err(Problem::NoAnswers);
    }
    let mut row_ids = Vec::new();
    let (mut labels, mut predicted) = (Coding::default(), Coding::default());
    let (mut weights, mut groups, mut folds) = (Vec::new(), Vec::new(), Vec::new());
    let mut digests = [DigestBuilder::new("weight"), DigestBuilder::new("group")];
    let mut record = csv::StringRecord::new();
    let mut lines = Vec::new();
    // Counted on from row to row: a count from the start for each would take the square of the time.
    let (mut counted_to, mut line) = (0, 1);
    loop {
        let start = reader.position().byte();
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Err(of_csv(&error, bytes, start)),
        }
        let at = record.position().map_or(0, csv::Position::byte) as usize;
        let begin = at + n_breaks(bytes, at);
        let skipped = bytes[counted_to..begin].split(|&byte| byte == b'\n');
        line += skipped.count() as u32 - 1;
        counted_to = begin;
        lines.push(line);
        let place = || format!("line {line}");
        for ((role, name), cell) in roles.iter_mut().zip(&header).zip(&record) {
            let filled = || match cell {
                "" => Err(Problem::Empty {
                    place: place(),
                    column: name.clone(),
                }),
                text => Ok(text),
            };
            match role {
                Role::RowId => row_ids.push(filled()?.to_owned()),
                Role::Label => labels.push(filled()?),
                Role::Predicted => predicted.push(filled()?),
                Role::Weight => {
                    digests[0].text(cell);
                    weights.push(filled()?.to_owned());
                }
                Role::Group => {
                    digests[1].text(cell);
                    groups.push(filled()?.to_owned());
                }
                Role::Fold => folds.push(filled()?.to_owned()),
                Role::Score(idx) => match cell.parse::<f64>() {
                    Ok(value) if value.is_finite() => scores[*idx].1.push(value),
                    _ => {
                        return Err(Problem::NotFinite {
                            place: place(),
                            column: name.clone(),
                            cell: shortened(cell),
                        });
                    }
                },
                Role::Other(digest, cells) => {
                    digest.text(cell);
                    cells.push(cell.to_owned());
                }
            }
        }
    }
    columns.places = Places::Lines(lines);
    columns.row_ids = has("row_id").then_some(row_ids);
    columns.labels = Answers::Texts(labels.finish());
    columns.predicted = has("predicted").then(|| Answers::Texts(predicted.finish()));
    columns.scores = (!scores.is_empty()).then_some(ScoreColumns::Named(scores));
    columns.weights = has("weight").then_some(Cells::Texts(weights));
    columns.groups = has("group").then_some(Cells::Texts(groups));
    columns.folds = has("fold").then_some(Cells::Texts(folds));
    for (name, digest) in ["weight", "group"].into_iter().zip(digests) {
        if has(name) {
            columns.others.insert(name.to_owned(), digest.finish());
        }
    }
    for (role, name) in roles.into_iter().zip(header) {
        if let Role::Other(digest, cells) = role {
            columns.others.insert(name.clone(), digest.finish());
            let column = FurtherColumn {
                cells: Cells::Texts(cells),
                is_of_rows: true,
            };
            columns.further.insert(name, column);
        }
    }
    Ok(columns)
}

/// The line, as an editor counts it, of the record that begins at `start`, or behind the line breaks there.
fn line_at(bytes: &[u8], start: usize) -> usize {
    let before = &bytes[..start.min(bytes.len()) + n_breaks(bytes, start)];
    before.split(|&byte| byte == b'\n').count()
}

/// Line breaks and empty lines at `start`, which belong to no record.
fn n_breaks(bytes: &[u8], start: usize) -> usize {
    bytes[start.min(bytes.len())..]
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count()
}

fn of_csv(error: &csv::Error, bytes: &[u8], start: u64) -> Problem {
    let at = error.position().map_or(start, csv::Position::byte);
    let place = format!("line {}", line_at(bytes, at as usize));
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => Problem::Ragged {
            place,
            found: *len,
            expected: *expected_len,
        },
        _ => Problem::Format(format!("{place}: {}", shortened(&error.to_string()))),
    }
}
