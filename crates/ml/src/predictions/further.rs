//! Columns beside labels, predictions and scores: weights, groups, folds, and what slices and metrics are made of.

use std::collections::BTreeMap;

use trainyard_core::config::{Bins, EvaluateConfig};
use trainyard_core::metrics::quantile_of;
use trainyard_core::scored_rows::Column;

use super::columns::{Cells, FurtherColumn};
use super::labels::GAPS;
use super::places::Places;
use super::problem::{Problem, shortened};

/// More columns that nothing uses are the features of a model: of those files only what is used is kept.
const MAX_UNUSED: usize = 32;

/// A column that nothing uses is kept, so that a later slice can be cut from stored rows, unless its texts are longer.
const MAX_UNUSED_BYTES: usize = 100;

/// The columns to keep; of a file of numbers to predict, those of predicted quantiles must be numbers. Adds to `notes` which columns
/// are texts for the sake of a few cells.
pub(super) fn kept(
    further: BTreeMap<String, FurtherColumn>,
    evaluate: &EvaluateConfig,
    has_quantiles: bool,
    places: &Places,
    notes: &mut Vec<String>,
) -> Result<BTreeMap<String, Column>, Problem> {
    let n_unused = further
        .keys()
        .filter(|name| !is_used(name, evaluate, true))
        .count();
    let mut kept = BTreeMap::new();
    for (name, FurtherColumn { cells, is_of_rows }) in further {
        let is_used = is_used(&name, evaluate, true);
        let is_short = match &cells {
            Cells::Numbers(_) => true,
            Cells::Texts(texts) => texts.iter().all(|text| text.len() <= MAX_UNUSED_BYTES),
        };
        let is_kept = is_of_rows && is_short && !name.is_empty() && n_unused <= MAX_UNUSED;
        if is_used || is_kept {
            let is_metric = evaluate.columns.iter().any(|column| column.name == name)
                || has_quantiles && matches!(quantile_of(&name), Some(Ok(_)));
            let column = column(&name, cells, is_metric, places)?;
            // Where bins are asked for, cells that are not numbers are in one of their own.
            if !is_binned(&name, evaluate) {
                notes.extend(note_on_texts(&name, &column, places));
            }
            kept.insert(name, column);
        }
    }
    Ok(kept)
}

/// Whether slices or metrics are made of the column. `has_quantiles`: whether a column may be a predicted quantile.
pub(super) fn is_used(name: &str, evaluate: &EvaluateConfig, has_quantiles: bool) -> bool {
    let mut of_slices = evaluate.slices.iter().flat_map(|slice| &slice.columns);
    let is_ranked_by = |name: &str| {
        let ranking = evaluate.ranking.as_ref();
        ranking.is_some_and(|ranking| ranking.group == name)
    };
    evaluate.columns.iter().any(|column| column.name == name)
        || is_ranked_by(name)
        || has_quantiles && quantile_of(name).is_some()
        || of_slices.any(|used| used == name)
}

/// Whether a slice cuts the column into bins, whatever its cells.
fn is_binned(name: &str, evaluate: &EvaluateConfig) -> bool {
    let of_column = evaluate.slices.iter();
    of_column
        .filter(|slice| slice.columns.iter().any(|column| column == name))
        .any(|slice| match &slice.bins {
            None => false,
            Some(Bins::Each(_)) => true,
            Some(Bins::ByColumn(by_column)) => by_column.contains_key(name),
        })
}

/// Numbers where all cells are finite numbers, else texts; a column that is a metric must be numbers.
///
/// Codes such as `01234` stay texts: as numbers they would lose their zeros.
fn column(name: &str, cells: Cells, is_metric: bool, places: &Places) -> Result<Column, Problem> {
    let not_finite = |row: usize, cell: String| match cell.as_str() {
        "" => Problem::Empty {
            place: places.of(row),
            column: name.to_owned(),
        },
        _ => Problem::NotFinite {
            place: places.of(row),
            column: name.to_owned(),
            cell: shortened(&cell),
        },
    };
    match cells {
        Cells::Numbers(numbers) => {
            let wrong = |value: &f64| value.is_infinite() || is_metric && value.is_nan();
            if let Some(row) = numbers.iter().position(wrong) {
                return Err(not_finite(row, numbers[row].to_string()));
            }
            if numbers.iter().any(|value| value.is_nan()) {
                let text = |value: &f64| match value {
                    value if value.is_nan() => String::new(),
                    value => value.to_string(),
                };
                return Ok(Column::Texts(numbers.iter().map(text).collect()));
            }
            Ok(Column::Numbers(numbers))
        }
        Cells::Texts(texts) => {
            let is_number =
                |text: &&String| number(text).is_some() && (is_metric || !is_code(text));
            match texts.iter().position(|text| !is_number(&text)) {
                Some(row) if is_metric => Err(not_finite(row, texts[row].clone())),
                Some(_) => Ok(Column::Texts(texts)),
                None => Ok(Column::Numbers(
                    texts.iter().filter_map(|text| number(text)).collect(),
                )),
            }
        }
    }
}

/// A note on a column of numbers that a few cells, such as empty ones, make one of texts.
fn note_on_texts(name: &str, column: &Column, places: &Places) -> Option<String> {
    /// Of the cells, as one in so many: more that are not numbers are no accident.
    const MAX_SHARE: usize = 20;
    let Column::Texts(texts) = column else {
        return None;
    };
    let is_gap = |text: &String| {
        text.trim().is_empty() || GAPS.contains(&text.as_str()) || text.parse::<f64>().is_ok()
    };
    let (mut others, mut n_gaps) = (Vec::new(), 0);
    for (row, text) in texts.iter().enumerate() {
        if is_code(text) {
            return None;
        }
        if number(text).is_none() {
            others.push(row);
            n_gaps += usize::from(is_gap(text));
        }
    }
    let n_numbers = texts.len() - others.len();
    let is_accident = n_gaps == others.len() || others.len() * MAX_SHARE <= texts.len();
    let first = *others.first()?;
    if n_numbers == 0 || !is_accident {
        return None;
    }
    let cell = match texts[first].as_str() {
        // Of an array of numbers.
        "" if matches!(places, Places::Rows) => "is empty or `NaN`".to_owned(),
        "" => "is empty".to_owned(),
        cell => format!("is `{}`", shortened(cell)),
    };
    let more = match others.len() - 1 {
        0 => String::new(),
        n_more => format!(", and {n_more} more are not numbers"),
    };
    Some(format!(
        "The column `{name}` is read as texts, each value a category for slices and weak segments: its cell at {} {cell}{more}, while \
         the others are numbers. Fill such cells to have it cut into bins.",
        places.of(first)
    ))
}

fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// Digits behind a zero: no number is written so.
fn is_code(text: &str) -> bool {
    let mut bytes = text.trim_start_matches(['+', '-']).bytes();
    bytes.next() == Some(b'0') && bytes.next().is_some_and(|next| next.is_ascii_digit())
}

/// Weights, finite and not negative, of which at least one counts.
pub(super) fn weights(cells: &Cells, places: &Places) -> Result<Vec<f64>, Problem> {
    let weights = numbers("weight", cells, places, |value| value >= 0.0)?;
    if weights.iter().all(|weight| *weight == 0.0) {
        return Err(Problem::NoWeight);
    }
    Ok(weights)
}

/// Folds, whole numbers from 0; `3.0` is one, since a column with gaps is written so by pandas.
pub(super) fn folds(cells: &Cells, places: &Places) -> Result<Vec<u32>, Problem> {
    let is_index =
        |value: f64| (0.0..=f64::from(u32::MAX)).contains(&value) && value.fract() == 0.0;
    let folds = numbers("fold", cells, places, is_index)?;
    Ok(folds.into_iter().map(|fold| fold as u32).collect())
}

/// Groups, any texts.
pub(super) fn groups(cells: Cells, places: &Places) -> Result<Vec<String>, Problem> {
    let groups = match cells {
        Cells::Texts(texts) => texts,
        Cells::Numbers(numbers) => {
            if let Some(row) = numbers.iter().position(|value| !value.is_finite()) {
                return Err(Problem::NotFinite {
                    place: places.of(row),
                    column: "group".to_owned(),
                    cell: numbers[row].to_string(),
                });
            }
            numbers.iter().map(f64::to_string).collect()
        }
    };
    match groups.iter().position(String::is_empty) {
        Some(row) => Err(Problem::Empty {
            place: places.of(row),
            column: "group".to_owned(),
        }),
        None => Ok(groups),
    }
}

fn numbers(
    name: &'static str,
    cells: &Cells,
    places: &Places,
    is_good: impl Fn(f64) -> bool,
) -> Result<Vec<f64>, Problem> {
    let wrong = |row: usize, cell: String| Problem::Wrong {
        place: places.of(row),
        column: name,
        cell: shortened(&cell),
        wanted: match name {
            "fold" => "a whole number from 0",
            _ => "a finite number that is not negative",
        },
    };
    let is_good = |value: &f64| value.is_finite() && is_good(*value);
    match cells {
        Cells::Numbers(numbers) => match numbers.iter().position(|value| !is_good(value)) {
            Some(row) => Err(wrong(row, numbers[row].to_string())),
            None => Ok(numbers.clone()),
        },
        Cells::Texts(texts) => {
            let number = |(row, text): (usize, &String)| {
                let value = text.parse::<f64>().ok().filter(is_good);
                value.ok_or_else(|| wrong(row, text.clone()))
            };
            texts.iter().enumerate().map(number).collect()
        }
    }
}
