//! Predictions as a CSV table.

use super::{Columns, NO_ANSWERS};

/// A score column is called this and the class.
const SCORE_PREFIX: &str = "score_";

/// The columns of a CSV table with a header. The error says what is wrong, in words.
pub(super) fn columns(bytes: &[u8]) -> Result<Columns, String> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes));
    let header: Vec<String> = reader
        .headers()
        .map_err(|error| format!("the header cannot be read ({error})"))?
        .iter()
        .map(str::to_owned)
        .collect();
    let place_of = |name: &str| header.iter().position(|column| column == name);
    let label = place_of("label").ok_or_else(|| {
        format!(
            "there is no column `label`; there are {}",
            header.join(", ")
        )
    })?;
    let (row_id, predicted) = (place_of("row_id"), place_of("predicted"));
    let scores: Vec<(usize, &str)> = header
        .iter()
        .enumerate()
        .filter_map(|(idx, column)| Some((idx, column.strip_prefix(SCORE_PREFIX)?)))
        .collect();
    if predicted.is_none() && scores.is_empty() {
        return Err(NO_ANSWERS.to_owned());
    }
    let mut columns = Columns {
        row_ids: row_id.map(|_| Vec::new()),
        labels: Vec::new(),
        predicted: predicted.map(|_| Vec::new()),
        scores: scores
            .iter()
            .map(|(_, class)| ((*class).to_owned(), Vec::new()))
            .collect(),
        // The header is line 1. Cells with line breaks in them would be counted short; predictions have none.
        place: |row| format!("line {}", row + 2),
    };
    for (row, record) in reader.records().enumerate() {
        let line = row + 2;
        let record = record.map_err(|error| match error.kind() {
            csv::ErrorKind::UnequalLengths {
                expected_len, len, ..
            } => format!("line {line}: {len} cells, but the header has {expected_len}"),
            _ => format!("line {line}: {error}"),
        })?;
        let cell = |idx: usize| record.get(idx).unwrap_or_default();
        let filled = |idx: usize| match cell(idx) {
            "" => Err(format!(
                "line {line}: the column `{}` is empty",
                header[idx]
            )),
            text => Ok(text.to_owned()),
        };
        columns.labels.push(filled(label)?);
        if let (Some(cells), Some(idx)) = (&mut columns.predicted, predicted) {
            cells.push(filled(idx)?);
        }
        if let (Some(row_ids), Some(idx)) = (&mut columns.row_ids, row_id) {
            row_ids.push(cell(idx).parse().map_err(|_| {
                format!(
                    "line {line}: the row_id `{}` is not a whole number",
                    cell(idx)
                )
            })?);
        }
        for ((_, values), (idx, _)) in columns.scores.iter_mut().zip(&scores) {
            match cell(*idx).parse::<f32>() {
                Ok(value) if value.is_finite() => values.push(value),
                _ => {
                    return Err(format!(
                        "line {line}: `{}` in the column `{}` is not a finite number",
                        cell(*idx),
                        header[*idx]
                    ));
                }
            }
        }
    }
    Ok(columns)
}
