//! Texts of labels and predictions in, class indices out.
//!
//! Two spellings are one class only where nothing else can be meant: one column written wholly as `1` and the other wholly
//! as `1.0`. Everything that would end in an accuracy of 0 for the sake of spelling is an error that says so.

use std::cmp::Ordering;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use icu_normalizer::ComposingNormalizerBorrowed;

use super::coded::Coded;
use super::places::Places;
use super::problem::{Problem, shortened, some};

/// Texts that stand for a gap, unless `classes` lists them.
pub(super) const GAPS: [&str; 9] = [
    "NA", "N/A", "None", "null", "nan", "NaN", "none", "<NA>", "?",
];

/// A column of labels or predictions.
pub(super) struct Texts<'a> {
    /// `label` or `predicted`.
    pub(super) name: &'static str,
    pub(super) cells: &'a Coded,
    pub(super) places: &'a Places,
}

/// How the whole numbers of a column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `1`
    Integer,
    /// `1.0`
    Decimal,
}

impl Form {
    /// The form and the digits before the point; leading zeros and exponents are text.
    fn of(text: &str) -> Option<(Self, &str)> {
        let (whole, form) = match text.split_once('.') {
            None => (text, Self::Integer),
            Some((whole, zeros)) => {
                let is_zero = !zeros.is_empty() && zeros.bytes().all(|digit| digit == b'0');
                is_zero.then_some((whole, Self::Decimal))?
            }
        };
        let digits = whole.strip_prefix('-').unwrap_or(whole);
        let is_plain = !digits.is_empty()
            && digits.bytes().all(|digit| digit.is_ascii_digit())
            && (digits == "0" || !digits.starts_with('0'))
            && whole != "-0";
        is_plain.then_some((form, whole))
    }

    /// The one form in which all of `texts` are written, if there is one.
    fn common<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut common = None;
        for text in texts {
            let (form, _) = Self::of(text)?;
            if common.is_some_and(|common| common != form) {
                return None;
            }
            common = Some(form);
        }
        common
    }
}

impl<'a> Texts<'a> {
    pub(super) fn distinct(&self) -> BTreeSet<&'a str> {
        self.cells.distinct().iter().map(String::as_str).collect()
    }

    /// Refuses gaps and two spellings of one number, unless `classes` lists them.
    pub(super) fn check(&self, classes: Option<&[String]>) -> Result<(), Problem> {
        let is_listed =
            |text: &str| classes.is_some_and(|classes| classes.iter().any(|c| c == text));
        let is_gap = |cell: &String| GAPS.contains(&cell.as_str()) && !is_listed(cell);
        let distinct = self.cells.distinct();
        if let Some(code) = distinct.iter().position(|cell| cell.trim().is_empty()) {
            return Err(Problem::Empty {
                place: self.places.of(self.cells.first_row(code)),
                column: self.name.to_owned(),
            });
        }
        if let Some(code) = distinct.iter().position(is_gap) {
            return Err(Problem::Gap {
                place: self.places.of(self.cells.first_row(code)),
                column: self.name,
                cell: distinct[code].clone(),
            });
        }
        let mut by_number: BTreeMap<&str, &str> = BTreeMap::new();
        for text in self.distinct() {
            let Some((_, number)) = Form::of(text) else {
                continue;
            };
            if let Some(other) = by_number.insert(number, text)
                && !(is_listed(other) && is_listed(text))
            {
                return Err(Problem::TwoSpellings {
                    column: self.name,
                    one: other.to_owned(),
                    other: text.to_owned(),
                });
            }
        }
        Ok(())
    }

    /// The class index of each cell: by name; by number where all cells are indices and no class is called by a number.
    pub(super) fn indices(&self, classes: &[String]) -> Result<Vec<u32>, Problem> {
        let by_name: HashMap<&str, u32> = classes
            .iter()
            .enumerate()
            .map(|(idx, class)| (class.as_str(), idx as u32))
            .collect();
        let distinct = self.distinct();
        let spelled = spellings(&distinct, classes);
        let has_numeric_names = classes.iter().any(|class| class.parse::<f64>().is_ok());
        let index = |text: &str| {
            let idx: u32 = text.parse().ok()?;
            ((idx as usize) < classes.len() && Form::of(text).is_some()).then_some(idx)
        };
        let are_indices = !has_numeric_names && distinct.iter().all(|text| index(text).is_some());
        let class_of = |text: &str| {
            let named = by_name
                .get(spelled.get(text).copied().unwrap_or(text))
                .copied();
            named.or_else(|| are_indices.then(|| index(text)).flatten())
        };
        let index_of_code = self.cells.distinct().iter().enumerate();
        let index_of_code: Vec<u32> = index_of_code
            .map(|(code, text)| class_of(text).ok_or_else(|| self.no_class(code, text, classes)))
            .collect::<Result<_, _>>()?;
        let codes = self.cells.codes().iter();
        Ok(codes.map(|&code| index_of_code[code as usize]).collect())
    }

    /// `cell`, the distinct text of index `code`, is not a class.
    fn no_class(&self, code: usize, cell: &str, classes: &[String]) -> Problem {
        let place = self.places.of(self.cells.first_row(code));
        if let Some(class) = classes.iter().find(|class| folded(class) == folded(cell)) {
            return Problem::AlmostClass {
                place,
                column: self.name,
                cell: shortened(cell),
                class: class.clone(),
            };
        }
        let hint = if cell.parse::<f64>().is_ok_and(|value| value.fract() != 0.0) {
            "; for numbers to predict, set the task to `regression`"
        } else if is_number_of_a_class(cell, classes) {
            "; are classes counted from 1 in one place and from 0 in the other?"
        } else {
            ""
        };
        Problem::NoClass {
            place,
            column: self.name,
            cell: shortened(cell),
            classes: some(classes.iter().map(String::as_str)),
            hint: hint.to_owned(),
        }
    }
}

/// What is left of a name where neither case, nor blanks around it, nor the form in which Unicode writes its marks (NFC or NFD) counts.
fn folded(text: &str) -> String {
    let normal_form = ComposingNormalizerBorrowed::new_nfc();
    normal_form
        .normalize(&text.trim().to_lowercase())
        .into_owned()
}

/// A sentence about classes that are told apart by how they are written alone, where there are any: both may be meant, but mostly one is.
pub(super) fn note_on_writing(classes: &[String]) -> Option<String> {
    const N_NAMED: usize = 3;
    let mut first_of: HashMap<String, &String> = HashMap::new();
    let alike: Vec<String> = classes
        .iter()
        .filter_map(|class| match first_of.entry(folded(class)) {
            Entry::Occupied(first) => Some(format!("`{}` and `{class}`", first.get())),
            Entry::Vacant(place) => {
                place.insert(class);
                None
            }
        })
        .collect();
    if alike.is_empty() {
        return None;
    }
    let more = match alike.len().saturating_sub(N_NAMED) {
        0 => String::new(),
        n_more => format!(", and {n_more} more"),
    };
    Some(format!(
        "Classes that differ by case, blanks or Unicode form alone: {}{more}. Write each alike, or list both in `[data] classes`.",
        alike[..alike.len().min(N_NAMED)].join(", ")
    ))
}

/// Numbers by value, before other names.
pub(super) fn by_value_or_name(left: &str, right: &str) -> Ordering {
    match (left.parse::<f64>(), right.parse::<f64>()) {
        (Ok(left), Ok(right)) => left.total_cmp(&right),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => left.cmp(right),
    }
}

/// Whether `cell` is a whole number one above or below those that classes are called.
fn is_number_of_a_class(cell: &str, classes: &[String]) -> bool {
    let number = |text: &str| text.parse::<i64>().ok();
    number(cell).is_some_and(|cell| {
        classes
            .iter()
            .filter_map(|class| number(class))
            .any(|class| class.abs_diff(cell) == 1)
    })
}

/// How `texts` are spelled in `classes`, where they are written wholly in the one form and the classes in the other.
fn spellings<'a>(texts: &BTreeSet<&'a str>, classes: &'a [String]) -> HashMap<&'a str, &'a str> {
    let form_of_classes = Form::common(classes.iter().map(String::as_str));
    match (Form::common(texts.iter().copied()), form_of_classes) {
        (Some(form), Some(other)) if form != other => {}
        _ => return HashMap::new(),
    }
    let by_number: HashMap<&str, &str> = classes
        .iter()
        .filter_map(|class| Some((Form::of(class)?.1, class.as_str())))
        .collect();
    texts
        .iter()
        .filter_map(|text| Some((*text, *by_number.get(Form::of(text)?.1)?)))
        .collect()
}

/// The classes of a file that lists none: all its labels and predictions, in the labels' spelling; numbers by value,
/// before other names.
pub(super) fn found_classes(labels: &Texts<'_>, predicted: Option<&Texts<'_>>) -> Vec<String> {
    let of_labels = labels.distinct();
    let mut classes: Vec<String> = of_labels.iter().map(|&text| text.to_owned()).collect();
    if let Some(predicted) = predicted {
        let distinct = predicted.distinct();
        let forms = (
            Form::common(of_labels.iter().copied()),
            Form::common(distinct.iter().copied()),
        );
        let is_respelled = matches!(forms, (Some(form), Some(other)) if form != other);
        for text in distinct {
            let spelled = match (is_respelled, Form::of(text), forms.0) {
                (true, Some((_, number)), Some(Form::Integer)) => number.to_owned(),
                (true, Some((_, number)), _) => format!("{number}.0"),
                _ => text.to_owned(),
            };
            classes.push(spelled);
        }
        classes.sort_unstable();
        classes.dedup();
    }
    classes.sort_by(|left, right| by_value_or_name(left, right));
    classes
}

/// Refuses what is plainly not a classification, where the task was not given.
pub(super) fn refuse_regression(
    labels: &Texts<'_>,
    predicted: Option<&Texts<'_>>,
) -> Result<(), Problem> {
    let is_number = |text: &str| text.parse::<f64>().is_ok_and(f64::is_finite);
    let of_labels = labels.distinct();
    if !of_labels.iter().all(|text| is_number(text)) {
        return Ok(());
    }
    let of_predicted = predicted.map(Texts::distinct).unwrap_or_default();
    let fraction = of_labels.iter().chain(&of_predicted).find(|text| {
        text.parse::<f64>()
            .is_ok_and(|value| value.is_finite() && value.fract() != 0.0)
    });
    match fraction {
        Some(text) => Err(Problem::LooksLikeRegression((*text).to_owned())),
        None => Ok(()),
    }
}

/// Refuses predictions that agree with no label only because of how they are written or counted. `labels` and
/// `predicted` are class indices; `is_declared` says that the configuration lists the classes.
pub(super) fn refuse_mismatch(
    labels: &[u32],
    predicted: &[u32],
    classes: &[String],
    is_declared: bool,
) -> Result<(), Problem> {
    let (of_labels, of_predicted) = (occurring(labels, classes), occurring(predicted, classes));
    if of_predicted.is_subset(&of_labels) {
        return Ok(());
    }
    refuse_offset(labels, predicted, classes)?;
    // Only in writing another name than a label.
    let folded = |idx: u32| folded(&classes[idx as usize]);
    for &idx in of_predicted.difference(&of_labels) {
        if is_declared {
            break;
        }
        if let Some(&label) = of_labels
            .iter()
            .find(|&&label| folded(label) == folded(idx))
        {
            return Err(Problem::AlmostClass {
                place: "the file".to_owned(),
                column: "predicted",
                cell: classes[idx as usize].clone(),
                class: classes[label as usize].clone(),
            });
        }
    }
    if !is_declared && of_predicted.is_disjoint(&of_labels) {
        let names =
            |found: &BTreeSet<u32>| some(found.iter().map(|&idx| classes[idx as usize].as_str()));
        return Err(Problem::NothingInCommon {
            labels: names(&of_labels),
            predicted: names(&of_predicted),
        });
    }
    Ok(())
}

/// The classes of which there are rows.
fn occurring(rows: &[u32], classes: &[String]) -> BTreeSet<u32> {
    let mut occurs = vec![false; classes.len()];
    rows.iter().for_each(|&idx| occurs[idx as usize] = true);
    let occurring = (0..).zip(occurs).filter(|(_, occurs)| *occurs);
    occurring.map(|(idx, _)| idx).collect()
}

/// Class numbers that count from 1 in one column and from 0 in the other.
fn refuse_offset(labels: &[u32], predicted: &[u32], classes: &[String]) -> Result<(), Problem> {
    let numbers: Option<Vec<i64>> = classes
        .iter()
        .map(|class| Form::of(class)?.1.parse().ok())
        .collect();
    let Some(numbers) = numbers else {
        return Ok(());
    };
    let share_right = |shift: i64| {
        let pairs = labels.iter().zip(predicted);
        let right = pairs.filter(|(label, predicted)| {
            numbers[**label as usize] == numbers[**predicted as usize] + shift
        });
        right.count() as f64 / labels.len() as f64
    };
    let share = share_right(0);
    let n_labelled = occurring(labels, classes).len();
    if share >= 1.0 / n_labelled as f64 {
        return Ok(());
    }
    for (shift, offset, words) in [(-1, "+1", "−1"), (1, "−1", "+1")] {
        let shifted = share_right(shift);
        if shifted > 0.5 {
            let percent =
                |share: f64| trainyard_core::figure::figure((share * 1e4).round() / 100.0);
            return Err(Problem::Offset {
                offset,
                shift: words,
                share: percent(share),
                shifted_share: percent(shifted),
            });
        }
    }
    Ok(())
}
