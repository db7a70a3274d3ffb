//! Rows and one definition in, the rows of each slice out.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::bins;
use super::{MAX_SLICES, SliceError};
use crate::config::{Binning, Bins, ROW_COLUMNS, SliceConfig};
use crate::scored_rows::{Column, Labels, ScoredRows};

/// The slice of rows without a value.
const MISSING: &str = "(missing)";

/// What stands for a missing number in columns that other tools write.
const MISSING_NUMBERS: [&str; 6] = ["NA", "N/A", "<NA>", "NaN", "None", "null"];

/// Some of the rows, by the values of columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// `country=DE, age=[20, 40)`.
    pub name: String,
    /// Indices of its rows, ascending; never empty.
    pub rows: Vec<usize>,
}

/// A column whose values are numbered.
struct Coded {
    /// One a row: the index of its value.
    codes: Vec<u32>,
    /// What each value is called, in the order of the values.
    names: Vec<String>,
}

/// The slices of `definition` that have rows, in the order of the values of its columns, those without a value last.
pub fn cut(rows: &ScoredRows, definition: &SliceConfig) -> Result<Vec<Slice>, SliceError> {
    let columns = definition.columns.iter().map(|name| find(rows, name));
    let columns: Vec<Cells<'_>> = columns.collect::<Result<_, _>>()?;
    let numeric: Vec<Option<Vec<Option<f64>>>> = columns.iter().map(Cells::numbers).collect();
    // One setting for several columns is for those of them that hold numbers.
    let is_optional =
        matches!(definition.bins, Some(Bins::Each(_))) && numeric.iter().any(Option::is_some);
    let mut coded = Vec::new();
    for ((name, cells), numbers) in definition.columns.iter().zip(&columns).zip(numeric) {
        let binning = definition.binning(name);
        coded.push(match (binning, numbers) {
            (Some(binning), Some(numbers)) => binned(binning, &numbers),
            (Some(_), None) if !is_optional => return Err(not_numbers(name, cells)),
            _ => cells.coded(),
        });
    }
    let mut by_codes: HashMap<Vec<u32>, Vec<usize>> = HashMap::new();
    let mut codes = Vec::with_capacity(coded.len());
    // A row of weight 0 is as if it were not there.
    let counts = |row: &usize| {
        let weights = rows.weights.as_ref();
        weights.is_none_or(|weights| weights[*row] > 0.0)
    };
    for row in (0..rows.n_rows()).filter(counts) {
        codes.clear();
        codes.extend(coded.iter().map(|column| column.codes[row]));
        match by_codes.get_mut(&codes) {
            Some(of_slice) => of_slice.push(row),
            None => {
                by_codes.insert(codes.clone(), vec![row]);
            }
        }
    }
    if by_codes.len() > MAX_SLICES {
        return Err(SliceError::TooMany {
            columns: quoted(definition.columns.iter().map(String::as_str)),
            n_slices: by_codes.len(),
        });
    }
    let in_order: BTreeMap<Vec<u32>, Vec<usize>> = by_codes.into_iter().collect();
    let named = in_order.into_iter().map(|(codes, rows)| {
        let parts = definition.columns.iter().zip(&coded).zip(codes);
        let parts: Vec<String> = parts
            .map(|((column, coded), code)| format!("{column}={}", coded.names[code as usize]))
            .collect();
        Slice {
            name: parts.join(", "),
            rows,
        }
    });
    Ok(named.collect())
}

/// The cells of one column.
enum Cells<'a> {
    Texts(&'a [String]),
    Numbers(Cow<'a, [f64]>),
    /// Indices of names.
    Classes(Cow<'a, [u32]>, Cow<'a, [String]>),
    Folds(&'a [u32]),
}

fn find<'a>(rows: &'a ScoredRows, name: &str) -> Result<Cells<'a>, SliceError> {
    let found = match name {
        "label" => Some(answers(&rows.labels, rows, name)?),
        "predicted" => Some(answers(&rows.predicted, rows, name)?),
        "group" => rows.groups.as_deref().map(Cells::Texts),
        "fold" => rows.folds.as_deref().map(Cells::Folds),
        _ => rows.columns.get(name).map(|column| match column {
            Column::Texts(texts) => Cells::Texts(texts),
            Column::Numbers(numbers) => Cells::Numbers(numbers.into()),
        }),
    };
    let found = found.or_else(|| {
        let of = |prefix: &str, answers: &'a Labels| {
            one_of_several(answers, rows, name.strip_prefix(prefix)?)
        };
        of("label_", &rows.labels).or_else(|| of("predicted_", &rows.predicted))
    });
    found.ok_or_else(|| {
        let is_there = |name: &&&str| match **name {
            "group" => rows.groups.is_some(),
            "fold" => rows.folds.is_some(),
            // Of several labels a row, one is named: `label_cat`.
            _ => matches!(rows.labels, Labels::Class(_) | Labels::Value(_)),
        };
        let built_in = ROW_COLUMNS.iter().filter(is_there).copied();
        let several = match rows.labels {
            Labels::Class(_) | Labels::Value(_) => Vec::new(),
            Labels::Sets(_) | Labels::Values(_) => {
                let names = rows.classes.iter().map(|name| format!("label_{name}"));
                names.collect()
            }
        };
        let several = several.iter().map(String::as_str);
        let found = rows.columns.keys().map(String::as_str).chain(built_in);
        SliceError::NoColumn {
            name: name.to_owned(),
            found: quoted(found.chain(several)),
        }
    })
}

/// Labels or predictions, of which there is one a row.
fn answers<'a>(
    answers: &'a Labels,
    rows: &'a ScoredRows,
    name: &str,
) -> Result<Cells<'a>, SliceError> {
    match answers {
        Labels::Class(classes) => Ok(Cells::Classes(
            classes.into(),
            rows.classes.as_slice().into(),
        )),
        Labels::Value(values) => Ok(Cells::Numbers(values.into())),
        Labels::Sets(_) | Labels::Values(_) => Err(SliceError::Several {
            name: name.to_owned(),
            example: format!("{name}_{}", rows.classes[0]),
        }),
    }
}

/// The labels or predictions of one of several classes or outputs.
fn one_of_several<'a>(answers: &Labels, rows: &ScoredRows, name: &str) -> Option<Cells<'a>> {
    let column = rows.classes.iter().position(|known| known == name)?;
    match answers {
        Labels::Class(_) | Labels::Value(_) => None,
        Labels::Sets(sets) => {
            let classes: Vec<u32> = sets.column(column).map(u32::from).collect();
            Some(Cells::Classes(
                classes.into(),
                ["0", "1"].map(str::to_owned).to_vec().into(),
            ))
        }
        Labels::Values(values) => {
            let numbers: Vec<f64> = values.column(column).collect();
            Some(Cells::Numbers(numbers.into()))
        }
    }
}

impl Cells<'_> {
    /// The cells as numbers, `None` where one is missing; `None` where any is another text.
    fn numbers(&self) -> Option<Vec<Option<f64>>> {
        match self {
            Self::Numbers(numbers) => Some(numbers.iter().copied().map(Some).collect()),
            Self::Folds(folds) => Some(folds.iter().map(|&fold| Some(f64::from(fold))).collect()),
            Self::Classes(..) => None,
            Self::Texts(texts) => {
                let number = |text: &String| match NumberCell::of(text) {
                    NumberCell::Number(value) => Some(Some(value)),
                    NumberCell::Missing => Some(None),
                    NumberCell::Other => None,
                };
                let numbers: Option<Vec<Option<f64>>> = texts.iter().map(number).collect();
                // Missing cells alone are not a column of numbers.
                numbers.filter(|numbers| numbers.iter().any(Option::is_some))
            }
        }
    }

    /// By value: names ascending, numbers by size, classes in their order.
    fn coded(&self) -> Coded {
        match self {
            Self::Texts(texts) => {
                let texts: Vec<Option<&str>> = texts
                    .iter()
                    .map(|text| Some(text.as_str()).filter(|text| !text.is_empty()))
                    .collect();
                by_value(&texts, |text| (*text).to_owned())
            }
            Self::Numbers(numbers) => {
                // Zero is zero, whatever its sign.
                let keys: Vec<Option<Ordered>> = numbers
                    .iter()
                    .map(|&value| Some(Ordered(value + 0.0)))
                    .collect();
                by_value(&keys, |value| value.0.to_string())
            }
            Self::Classes(classes, names) => Coded {
                codes: classes.to_vec(),
                names: names.to_vec(),
            },
            Self::Folds(folds) => {
                let folds: Vec<Option<u32>> = folds.iter().copied().map(Some).collect();
                by_value(&folds, u32::to_string)
            }
        }
    }
}

/// A finite number, ordered by size.
#[derive(Clone, Copy, PartialEq)]
struct Ordered(f64);

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Codes in the order of the values; missing ones last.
fn by_value<T: Ord + Copy>(cells: &[Option<T>], name: impl Fn(&T) -> String) -> Coded {
    let mut places: BTreeMap<T, u32> = cells.iter().flatten().map(|&cell| (cell, 0)).collect();
    for (code, place) in places.values_mut().enumerate() {
        *place = code as u32;
    }
    let missing = places.len() as u32;
    let code = |cell: &Option<T>| cell.as_ref().map_or(missing, |cell| places[cell]);
    let codes = cells.iter().map(code).collect();
    let names = places.keys().map(name).chain([MISSING.to_owned()]);
    Coded {
        codes,
        names: names.collect(),
    }
}

fn binned(binning: &Binning, numbers: &[Option<f64>]) -> Coded {
    let edges = bins::edges(binning, numbers.iter().flatten().copied());
    let n_bins = edges.len() + 1;
    let code = |number: &Option<f64>| {
        let bin = number.map_or(n_bins, |number| bins::bin_of(&edges, number));
        bin as u32
    };
    let names = (0..n_bins).map(|bin| bins::name(&edges, bin));
    Coded {
        codes: numbers.iter().map(code).collect(),
        names: names.chain([MISSING.to_owned()]).collect(),
    }
}

/// What a text says where numbers are asked for.
#[derive(Clone, Copy, PartialEq)]
enum NumberCell {
    Number(f64),
    Missing,
    Other,
}

impl NumberCell {
    fn of(text: &str) -> Self {
        let is_word = |word: &&str| word.eq_ignore_ascii_case(text);
        if text.is_empty() || MISSING_NUMBERS.iter().any(is_word) {
            return Self::Missing;
        }
        let value = text.parse::<f64>().ok().filter(|value| value.is_finite());
        value.map_or(Self::Other, Self::Number)
    }
}

fn not_numbers(name: &str, cells: &Cells<'_>) -> SliceError {
    let (row, cell) = match cells {
        Cells::Texts(texts) => {
            let is_text = |(_, text): &(usize, &String)| NumberCell::of(text) == NumberCell::Other;
            let found = texts.iter().enumerate().find(is_text);
            found.map_or((0, String::new()), |(row, text)| (row, text.clone()))
        }
        Cells::Classes(classes, names) => {
            let first = classes.first().map(|&class| names[class as usize].clone());
            (0, first.unwrap_or_default())
        }
        Cells::Numbers(_) | Cells::Folds(_) => unreachable!("these are numbers"),
    };
    SliceError::NotNumbers {
        name: name.to_owned(),
        cell: cell.chars().take(80).collect(),
        row,
    }
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const MAX_NAMES: usize = 20;
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    match names.len() {
        n if n > MAX_NAMES => format!(
            "{} and {} more",
            names[..MAX_NAMES].join(", "),
            n - MAX_NAMES
        ),
        _ => names.join(", "),
    }
}
