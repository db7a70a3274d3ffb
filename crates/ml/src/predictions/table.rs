//! Predictions as a CSV table.

use std::collections::BTreeMap;

use trainyard_core::csv_text::CsvTextProblem;
use trainyard_core::digest::DigestBuilder;
use trainyard_core::files::without_byte_order_mark;

use super::coded::Coding;
use super::columns::{
    AnswerColumns, AnswerForm, Answers, Cells, Columns, FurtherColumn, OneColumn, ScoreColumns,
    SeveralColumns,
};
use super::places::Places;
use super::problem::{Problem, shortened, some};
use super::several::{LABEL, PREDICTED, listed};

/// A score column is called this and the class.
const SCORE_PREFIX: &str = "score_";

/// What a column of the header is for.
enum Role {
    RowId,
    Label,
    Predicted,
    /// The index of its column of scores.
    Score(usize),
    /// Of several labels a row: the index of its column of labels.
    LabelOf(usize),
    /// The index of its column of predictions.
    PredictedOf(usize),
    Weight,
    Group,
    Fold,
    /// The cells, and a digest: part of what tells rows without ids apart.
    Other(DigestBuilder, Vec<String>),
}

/// The names of the columns of several labels a row: those of a header without `label`, but with `label_<name>`.
struct Several {
    labels: Vec<String>,
    predicted: Vec<String>,
    /// Columns called so that have no counterpart.
    unmatched: Vec<String>,
}

impl Several {
    /// `None` where there is one label a row.
    fn of(header: &[String]) -> Result<Option<Self>, Problem> {
        let of = |prefix: &str| -> Vec<String> {
            let names = header
                .iter()
                .filter_map(|column| column.strip_prefix(prefix));
            names
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let (labels, predicted, scores) = (of(LABEL), of(PREDICTED), of(SCORE_PREFIX));
        if labels.is_empty() || header.iter().any(|column| column == "label") {
            return Ok(None);
        }
        if header.iter().any(|column| column == "predicted") {
            return Err(match labels.as_slice() {
                [only] => Problem::OneOfSeveral(only.clone()),
                labels => Problem::PredictedBeside {
                    labels: listed(LABEL, labels),
                },
            });
        }
        let has_counterpart = |name: &String| predicted.contains(name) || scores.contains(name);
        // Without any, nothing is predicted, which is said later.
        let has_any = labels.iter().any(has_counterpart);
        let (matched, lone): (Vec<String>, Vec<String>) = labels
            .into_iter()
            .partition(|name| !has_any || has_counterpart(name));
        let (predicted, extra): (Vec<String>, Vec<String>) = predicted
            .into_iter()
            .partition(|name| matched.contains(name));
        let lone = lone.iter().map(|name| format!("{LABEL}{name}"));
        let extra = extra.iter().map(|name| format!("{PREDICTED}{name}"));
        Ok(Some(Self {
            labels: matched,
            predicted,
            unmatched: lone.chain(extra).collect(),
        }))
    }

    fn finish(
        self,
        labels: Vec<Coding>,
        predicted: Vec<Coding>,
        scores: Option<ScoreColumns>,
    ) -> SeveralColumns {
        let columns = |prefix, names, codings: Vec<Coding>| AnswerColumns {
            prefix,
            names: Some(names),
            columns: codings
                .into_iter()
                .map(|coding| Answers::Texts(coding.finish()))
                .collect(),
        };
        let has_predicted = !self.predicted.is_empty();
        SeveralColumns {
            labels: columns(LABEL, self.labels, labels),
            predicted: has_predicted.then(|| columns(PREDICTED, self.predicted, predicted)),
            scores,
            unmatched: self.unmatched,
        }
    }
}

/// The columns of a CSV table with a header.
pub(super) fn columns(bytes: &[u8]) -> Result<Columns, Problem> {
    let bytes = without_byte_order_mark(bytes);
    CsvTextProblem::check(bytes, b',')?;
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let header: Vec<String> = reader
        .headers()
        .map_err(|error| Problem::Format(format!("the header cannot be read ({error})")))?
        .iter()
        .map(str::to_owned)
        .collect();
    if header.iter().all(String::is_empty) {
        return Err(CsvTextProblem::Empty.into());
    }
    let several = Several::of(&header)?;
    let mut columns = Columns {
        row_ids: None,
        answers: AnswerForm::One(OneColumn {
            labels: Answers::Texts(Coding::default().finish()),
            predicted: None,
            scores: None,
            beside: Vec::new(),
        }),
        weights: None,
        groups: None,
        folds: None,
        further: BTreeMap::new(),
        others: BTreeMap::new(),
        places: Places::Lines(Vec::new()),
    };
    let mut scores: Vec<(String, Vec<f64>)> = Vec::new();
    let index = |names: &[String], name: &str| names.iter().position(|known| known == name);
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
            (name, None) => {
                let of = |prefix: &str, names: &[String]| index(names, name.strip_prefix(prefix)?);
                let label = several
                    .as_ref()
                    .and_then(|several| of(LABEL, &several.labels));
                let predicted = several
                    .as_ref()
                    .and_then(|several| of(PREDICTED, &several.predicted));
                match (label, predicted) {
                    (Some(idx), _) => Role::LabelOf(idx),
                    (_, Some(idx)) => Role::PredictedOf(idx),
                    (None, None) => Role::Other(DigestBuilder::new(name), Vec::new()),
                }
            }
        });
    }
    let has = |wanted: &str| header.iter().any(|name| name == wanted);
    if !has("label") && several.is_none() {
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
    if several.is_none() && !has("predicted") && scores.is_empty() {
        return Err(Problem::NoAnswers);
    }
    let n_of_each = |names: fn(&Several) -> &Vec<String>| {
        several.as_ref().map_or(0, |several| names(several).len())
    };
    let mut of_labels: Vec<Coding> = Vec::new();
    of_labels.resize_with(n_of_each(|several| &several.labels), Coding::default);
    let mut of_predicted: Vec<Coding> = Vec::new();
    of_predicted.resize_with(n_of_each(|several| &several.predicted), Coding::default);
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
                Role::LabelOf(idx) => of_labels[*idx].push(filled()?),
                Role::PredictedOf(idx) => of_predicted[*idx].push(filled()?),
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
    let scores = (!scores.is_empty()).then_some(ScoreColumns::Named(scores));
    columns.answers = match several {
        Some(several) => AnswerForm::Several(several.finish(of_labels, of_predicted, scores)),
        None => AnswerForm::One(OneColumn {
            labels: Answers::Texts(labels.finish()),
            predicted: has("predicted").then(|| Answers::Texts(predicted.finish())),
            scores,
            beside: header
                .iter()
                .filter(|name| name.starts_with(LABEL))
                .cloned()
                .collect(),
        }),
    };
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
