//! What folds follow: the texts of a column in, numbered groups or an order of time out.

use std::collections::BTreeMap;

/// Why a column cannot be put in the order of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Neither a number nor a date.
    #[error(
        "`{text}` is neither a number nor a date such as `2026-05-31` or `2026-05-31T08:00:00Z`"
    )]
    NotATime {
        /// The row, counted from 0.
        row: usize,
        /// What stands there.
        text: String,
    },
    /// Two ways of writing times.
    #[error("`{text}` is written differently from `{first}`: write all times in one way")]
    Mixed {
        /// The row, counted from 0.
        row: usize,
        /// What stands there.
        text: String,
        /// What stands in the first row.
        first: String,
    },
}

impl KeyError {
    /// The row, counted from 0.
    pub const fn row(&self) -> usize {
        match self {
            Self::NotATime { row, .. } | Self::Mixed { row, .. } => *row,
        }
    }
}

/// The groups that `names` stand for, numbered in their order: by value where all are numbers, else by text.
pub fn groups(names: &[String]) -> Vec<u32> {
    let values: Option<Vec<f64>> = names.iter().map(|name| number(name)).collect();
    let mut distinct: BTreeMap<&str, f64> = BTreeMap::new();
    for (row, name) in names.iter().enumerate() {
        distinct.insert(name, values.as_ref().map_or(0.0, |values| values[row]));
    }
    let mut order: Vec<(&str, f64)> = distinct.into_iter().collect();
    // Stable, so that two ways of writing a number stay two groups in the order of their texts.
    order.sort_by(|(_, left), (_, right)| left.total_cmp(right));
    let number_of: BTreeMap<&str, u32> = order
        .into_iter()
        .enumerate()
        .map(|(number, (name, _))| (name, number as u32))
        .collect();
    names.iter().map(|name| number_of[name.as_str()]).collect()
}

/// The rows in the order of `times`, equal ones as they stand. Times are numbers, or dates and times of ISO 8601 that are
/// all written alike, so that their texts sort as they do.
pub fn by_time(times: &[String]) -> Result<Vec<u32>, KeyError> {
    let mut order: Vec<u32> = (0..times.len() as u32).collect();
    let values: Vec<Option<f64>> = times.iter().map(|time| number(time)).collect();
    if values.first().is_some_and(Option::is_some) {
        if let Some(row) = values.iter().position(Option::is_none) {
            let text = times[row].clone();
            return Err(KeyError::NotATime { row, text });
        }
        let value = |row: u32| values[row as usize].expect("all are numbers");
        order.sort_by(|&left, &right| value(left).total_cmp(&value(right)));
        return Ok(order);
    }
    let first = times.first().map(String::as_str).unwrap_or_default();
    for (row, time) in times.iter().enumerate() {
        let text = time.clone();
        if !is_date(time) {
            return Err(KeyError::NotATime { row, text });
        }
        if form(time) != form(first) {
            let first = first.to_owned();
            return Err(KeyError::Mixed { row, text, first });
        }
    }
    order.sort_by_key(|&row| &times[row as usize]);
    Ok(order)
}

/// Negative zero is zero.
fn number(text: &str) -> Option<f64> {
    let value = text.parse::<f64>().ok()?;
    value.is_finite().then_some(value + 0.0)
}

/// A date of ISO 8601, with or without a time.
fn is_date(text: &str) -> bool {
    let (date, time) = text.split_at_checked(10).unwrap_or((text, ""));
    digits_out(date) == "0000-00-00"
        && (time.is_empty() || time.starts_with(['T', 't', ' ']) && time.len() > 3)
}

/// How it is written: its digits as zeros, but the offset from UTC as it stands, for only equal ones sort as texts.
fn form(text: &str) -> String {
    let offset = text.get(10..).and_then(|time| time.find(['+', '-']));
    let offset = offset.map_or(text.len(), |at| at + 10);
    digits_out(&text[..offset]) + &text[offset..]
}

fn digits_out(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect()
}
