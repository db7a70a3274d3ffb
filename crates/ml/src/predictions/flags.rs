//! Cells that say whether a class is there: 0 and 1, or false and true.

use super::columns::Answers;
use super::places::Places;
use super::problem::{Problem, shortened};

/// A column of such cells.
pub(super) struct Flags<'a> {
    /// What the file calls it.
    pub(super) title: &'a str,
    pub(super) column: &'a Answers,
    pub(super) places: &'a Places,
}

impl Flags<'_> {
    /// Whether the class is there, `[n_rows]`.
    pub(super) fn read(&self) -> Result<Vec<bool>, Problem> {
        if let Some((row, cell)) = other_than_flag(self.column) {
            return Err(Problem::NotFlag {
                place: self.places.of(row),
                column: self.title.to_owned(),
                cell,
                hint: "",
            });
        }
        Ok(match self.column {
            Answers::Texts(cells) => {
                let flags: Vec<bool> = cells
                    .distinct()
                    .iter()
                    .map(|text| flag(text) == Some(true))
                    .collect();
                let codes = cells.codes().iter();
                codes.map(|&code| flags[code as usize]).collect()
            }
            Answers::Numbers(cells) => cells.iter().map(|&cell| cell == 1.0).collect(),
        })
    }
}

/// The row and the content of the first cell that is neither.
pub(super) fn other_than_flag(column: &Answers) -> Option<(usize, String)> {
    match column {
        Answers::Texts(cells) => {
            let wrong = cells.distinct().iter().enumerate();
            let wrong = wrong.filter(|(_, text)| flag(text).is_none());
            let wrong = wrong.map(|(code, text)| (cells.first_row(code), shortened(text)));
            wrong.min_by_key(|(row, _)| *row)
        }
        Answers::Numbers(cells) => {
            let row = cells.iter().position(|&cell| cell != 0.0 && cell != 1.0)?;
            Some((row, cells[row].to_string()))
        }
    }
}

/// As Python, R and spreadsheets write them.
fn flag(text: &str) -> Option<bool> {
    match text {
        "1" | "1.0" => Some(true),
        "0" | "0.0" => Some(false),
        text if text.eq_ignore_ascii_case("true") => Some(true),
        text if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}
