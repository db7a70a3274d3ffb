//! Rows that must be right, whatever the figures say: golden examples, or cases that once went wrong.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::decision::Outcome;
use crate::csv_text::CsvTextProblem;
use crate::digest::Sha256Digest;
use crate::figure::count;
use crate::files::without_byte_order_mark;
use crate::scored_rows::{Labels, ScoredRows};

/// The gate's copy in the folder of the verdict, by the file that lists the rows.
pub const MUST_PASS_FILE: &str = "must-pass.json";

/// Rows that are named at most; all are counted.
const MAX_NAMED: usize = 20;

/// Name of the column of a file that lists rows.
const COLUMN: &str = "row_id";

/// How the rows of one list came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MustPass {
    /// Digest of the predictions.
    pub predictions: Sha256Digest,
    /// Rows listed.
    pub n_listed: u64,
    /// Rows that are predicted wrong.
    pub n_wrong: u64,
    /// The first of them.
    pub wrong: Vec<String>,
    /// Rows that are not among those that were judged.
    pub n_missing: u64,
    /// The first of them.
    pub missing: Vec<String>,
}

impl MustPass {
    /// The rows listed in `text`, a CSV with a column `row_id` or one id a line, among `rows`, whose predictions have the digest
    /// `predictions`; or why they cannot be told, as a clause.
    pub fn of(text: &[u8], rows: &ScoredRows, predictions: &Sha256Digest) -> Result<Self, String> {
        let text = without_byte_order_mark(text);
        if !text.is_empty() {
            CsvTextProblem::check(text, b',').map_err(|problem| problem.to_string())?;
        }
        let listed = ids(text)?;
        let row_ids = rows.row_ids.as_ref().ok_or(
            "the rows have no `row_id`, so a list cannot name them: add that column to the test data",
        )?;
        if matches!(rows.labels, Labels::Value(_) | Labels::Values(_)) {
            return Err(
                "numbers are neither right nor wrong: `must_pass` is for classes".to_owned(),
            );
        }
        let places: HashMap<&str, usize> = row_ids
            .iter()
            .enumerate()
            .map(|(row, id)| (id.as_str(), row))
            .collect();
        let (mut wrong, mut missing) = (Vec::new(), Vec::new());
        for id in &listed {
            match places.get(id.as_str()) {
                Some(&row) if rows.is_right(row) == Some(true) => {}
                Some(_) => wrong.push(id.clone()),
                None => missing.push(id.clone()),
            }
        }
        let first = |ids: &[String]| ids.iter().take(MAX_NAMED).cloned().collect();
        Ok(Self {
            predictions: predictions.clone(),
            n_listed: listed.len() as u64,
            n_wrong: wrong.len() as u64,
            wrong: first(&wrong),
            n_missing: missing.len() as u64,
            missing: first(&missing),
        })
    }

    /// Whether all are right, and why, as a clause.
    pub(super) fn judge(&self) -> (Outcome, String) {
        let of = format!("of {}", count(self.n_listed, "listed row"));
        if self.n_wrong > 0 {
            let named = named(&self.wrong, self.n_wrong);
            return (
                Outcome::Missed,
                format!("{} {of} wrong: {named}", self.n_wrong),
            );
        }
        if self.n_missing > 0 {
            let named = named(&self.missing, self.n_missing);
            return (
                Outcome::NotJudged,
                format!("{} {of} not among the rows judged: {named}", self.n_missing),
            );
        }
        let all = match self.n_listed {
            1 => "the listed row is right".to_owned(),
            n => format!("all {n} listed rows are right"),
        };
        (Outcome::Holds, all)
    }
}

fn named(ids: &[String], n_all: u64) -> String {
    let shown = ids.join(", ");
    match n_all - ids.len() as u64 {
        0 => shown,
        n_more => format!("{shown} and {n_more} more"),
    }
}

/// The ids of a list: of a table with a header, its column `row_id`; else one a line.
fn ids(text: &[u8]) -> Result<Vec<String>, String> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .has_headers(false)
        .flexible(true)
        .from_reader(text);
    let records: Result<Vec<csv::StringRecord>, csv::Error> = reader.records().collect();
    let mut records = records
        .map_err(|error| error.to_string())?
        .into_iter()
        .filter(|record| record.iter().any(|cell| !cell.is_empty()))
        .peekable();
    let header = records.peek().cloned().unwrap_or_default();
    let place = match header.iter().position(|name| name == COLUMN) {
        Some(place) => {
            records.next();
            place
        }
        None if header.len() > 1 => {
            let columns: Vec<&str> = header.iter().collect();
            return Err(format!(
                "it has no column `{COLUMN}`; there are {}",
                columns.join(", ")
            ));
        }
        None => 0,
    };
    let ids: Option<Vec<String>> = records
        .map(|record| {
            let id = record.get(place).filter(|id| !id.is_empty());
            id.map(str::to_owned)
        })
        .collect();
    let ids = ids.ok_or_else(|| format!("a line has no `{COLUMN}`"))?;
    if ids.is_empty() {
        return Err("it lists no row".to_owned());
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> ScoredRows {
        ScoredRows {
            row_ids: Some(["a", "b", "c"].map(str::to_owned).to_vec()),
            ..ScoredRows::new(
                Labels::Class(vec![0, 1, 1]),
                Labels::Class(vec![0, 1, 0]),
                vec!["x".to_owned(), "y".to_owned()],
            )
        }
    }

    fn judged(text: &str) -> (Outcome, String) {
        let digest = Sha256Digest::of(b"predictions");
        MustPass::of(text.as_bytes(), &rows(), &digest)
            .unwrap()
            .judge()
    }

    #[test]
    fn each_listed_row_must_be_there_and_right() {
        let (outcome, reason) = judged("note,row_id\nfirst,a\n\nsecond,\"b\"\n");
        assert_eq!(
            (outcome, reason.as_str()),
            (Outcome::Holds, "all 2 listed rows are right")
        );
        // A comma within quotes, and a line break in another column, are no new cell and no new row.
        let (outcome, reason) = judged("row_id,note\n\"c,d\",\"x\ny\"\na,z\n");
        assert_eq!(
            (outcome, reason.as_str()),
            (
                Outcome::NotJudged,
                "1 of 2 listed rows not among the rows judged: c,d"
            )
        );
        let (outcome, reason) = judged("a\nc\nz\n");
        assert_eq!(
            (outcome, reason.as_str()),
            (Outcome::Missed, "1 of 3 listed rows wrong: c")
        );
        let (outcome, reason) = judged("\u{FEFF}row_id\nz\na\n");
        assert_eq!(
            (outcome, reason.as_str()),
            (
                Outcome::NotJudged,
                "1 of 2 listed rows not among the rows judged: z"
            )
        );
    }

    #[test]
    fn lists_that_say_nothing_are_refused() {
        let digest = Sha256Digest::of(b"predictions");
        let problem = |text: &str| MustPass::of(text.as_bytes(), &rows(), &digest).unwrap_err();
        assert!(problem("").contains("lists no row"));
        assert!(problem("id,note\na,b\n").contains("no column `row_id`"));
        assert!(problem("note,row_id\nx\n").contains("a line has no `row_id`"));
        // Either would make other rows of those that are listed.
        let unclosed = problem("row_id,note\na,\"x\nc,y\n");
        assert!(unclosed.contains("line 2: a quote is opened"), "{unclosed}");
        assert!(problem("a\nb\0\n").contains("line 2: there is a NUL byte"));
        let nameless = ScoredRows {
            row_ids: None,
            ..rows()
        };
        assert!(
            MustPass::of(b"a", &nameless, &digest)
                .unwrap_err()
                .contains("no `row_id`")
        );
    }
}
