//! Labels as a file writes them in, class indices or numbers to predict out.

use super::excerpt::{Excerpt, Names};

/// Why labels cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LabelProblem {
    /// A number that counts none of the classes.
    #[error("{place}: the label {label} is not one of the {n_classes} classes (0 to {})", n_classes.saturating_sub(1))]
    Index {
        /// The row or line.
        place: String,
        /// What stands there.
        label: f64,
        /// How many classes there are.
        n_classes: usize,
    },
    /// A text that names none of the classes.
    #[error("{place}: the label {label} is none of the classes {classes}{hint}")]
    Name {
        /// The row or line.
        place: String,
        /// What stands there.
        label: Excerpt,
        /// The classes.
        classes: Names,
        /// What may be meant.
        hint: String,
    },
    /// A text where a number to predict should be.
    #[error("{place}: the label {label} is not a number{hint}")]
    Text {
        /// The row or line.
        place: String,
        /// What stands there.
        label: Excerpt,
        /// What may be meant.
        hint: &'static str,
    },
    /// NaN or infinity.
    #[error("{place}: the label {label} is not a finite number")]
    NotFinite {
        /// The row or line.
        place: String,
        /// What stands there.
        label: f64,
    },
    /// More than memory should hold.
    #[error("there are too many labels for memory")]
    TooMany,
}

/// Class indices given as numbers.
pub(super) fn of_indices(
    values: &[f64],
    n_classes: usize,
    place: impl Fn(usize) -> String,
) -> Result<Vec<u32>, LabelProblem> {
    let is_class = |value: &f64| value.fract() == 0.0 && *value >= 0.0 && *value < n_classes as f64;
    match values.iter().position(|value| !is_class(value)) {
        Some(row) => Err(LabelProblem::Index {
            place: place(row),
            label: values[row],
            n_classes,
        }),
        None => Ok(values.iter().map(|value| *value as u32).collect()),
    }
}

/// Numbers to predict.
pub(super) fn of_values(
    values: Vec<f64>,
    place: impl Fn(usize) -> String,
) -> Result<Vec<f64>, LabelProblem> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(row) => Err(LabelProblem::NotFinite {
            place: place(row),
            label: values[row],
        }),
        None => Ok(values),
    }
}

/// Class indices by name, or by number where the classes are not called by numbers.
///
/// `1` and `1.0` are one class where the labels are written wholly in one form and the classes in the other; a table
/// that once had gaps comes out of pandas so.
pub(super) fn of_names(
    labels: &[String],
    classes: &[String],
    place: impl Fn(usize) -> String,
) -> Result<Vec<u32>, LabelProblem> {
    let by_name = |classes: &[&str], label: &str| {
        let idx = classes.iter().position(|class| *class == label)?;
        Some(idx as u32)
    };
    let names: Vec<&str> = classes.iter().map(String::as_str).collect();
    let found: Vec<Option<u32>> = labels.iter().map(|label| by_name(&names, label)).collect();
    if found.iter().any(Option::is_some) {
        let missed = found.iter().position(Option::is_none);
        return match missed {
            None => Ok(found.into_iter().flatten().collect()),
            Some(row) => Err(no_class(place(row), &labels[row], classes)),
        };
    }
    let whole_labels: Option<Vec<&str>> = labels.iter().map(|label| whole(label)).collect();
    if let Some(whole_labels) = whole_labels {
        let whole_classes: Option<Vec<&str>> = names.iter().map(|class| whole(class)).collect();
        let is_indices = classes.iter().all(|class| class.parse::<f64>().is_err());
        if is_indices {
            let values: Vec<f64> = whole_labels
                .iter()
                // Digits alone, so a number: beyond f64's range it is infinite, which is none of the classes either.
                .map(|label| label.parse().unwrap_or(f64::INFINITY))
                .collect();
            return of_indices(&values, classes.len(), place);
        }
        // No label equals a name, so each column is wholly in a form of its own or they do not belong together.
        let is_other_form = |classes: &[String]| {
            let has_point = |text: &String| text.contains('.');
            let n_labels = labels.iter().filter(|label| has_point(label)).count();
            let n_classes = classes.iter().filter(|class| has_point(class)).count();
            (n_labels, n_classes) == (labels.len(), 0)
                || (n_labels, n_classes) == (0, classes.len())
        };
        if let Some(whole_classes) = whole_classes.filter(|_| is_other_form(classes)) {
            let found = whole_labels.iter().enumerate().map(|(row, label)| {
                by_name(&whole_classes, label)
                    .ok_or_else(|| no_class(place(row), &labels[row], classes))
            });
            return found.collect();
        }
    }
    match labels.first() {
        Some(label) => Err(no_class(place(0), label, classes)),
        None => Ok(Vec::new()),
    }
}

/// The digits of a whole number that is written as `7` or `7.0`. Leading zeros and exponents are text.
fn whole(text: &str) -> Option<&str> {
    let (digits, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let unsigned = digits.strip_prefix('-').unwrap_or(digits);
    let is_plain = unsigned == "0" || !unsigned.starts_with('0');
    let is_digits = !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit());
    let is_whole = !fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0');
    (is_plain && is_digits && is_whole).then_some(digits)
}

fn no_class(place: String, label: &str, classes: &[String]) -> LabelProblem {
    let by_case = classes
        .iter()
        .find(|class| class.to_lowercase() == label.to_lowercase());
    let hint = match by_case {
        Some(class) => format!("; case counts: write {}", Excerpt::of(class)),
        None => String::new(),
    };
    LabelProblem::Name {
        place,
        label: Excerpt::of(label),
        classes: Names::of(classes),
        hint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(labels: &[&str], classes: &[&str]) -> Result<Vec<u32>, String> {
        let owned =
            |texts: &[&str]| -> Vec<String> { texts.iter().map(|&text| text.to_owned()).collect() };
        of_names(&owned(labels), &owned(classes), |row| format!("row {row}"))
            .map_err(|problem| problem.to_string())
    }

    #[test]
    fn names_come_first_then_the_other_way_to_write_a_number() {
        for (labels, classes, expected) in [
            (["b", "a"], ["a", "b"], [1, 0]),
            (["1", "0"], ["1", "0"], [0, 1]),
            (["1.0", "0.0"], ["1", "0"], [0, 1]),
            (["1", "2"], ["2.0", "1.0"], [1, 0]),
            (["1", "0"], ["a", "b"], [1, 0]),
            (["1.0", "0.0"], ["a", "b"], [1, 0]),
            (["-1.0", "1.0"], ["-1", "1"], [0, 1]),
            (["NA", "none"], ["none", "NA"], [1, 0]),
        ] {
            assert_eq!(
                check(&labels, &classes),
                Ok(expected.to_vec()),
                "{labels:?}"
            );
        }
    }

    #[test]
    fn labels_that_no_class_is_called_are_errors_with_their_row() {
        for (labels, classes, expected) in [
            (
                ["a", "c"],
                ["a", "b"],
                "row 1: the label `c` is none of the classes `a`, `b`",
            ),
            (
                ["a", "B"],
                ["a", "b"],
                "row 1: the label `B` is none of the classes `a`, `b`; case counts: write `b`",
            ),
            // By position these would be the classes `1` and `2`.
            (
                ["0", "0"],
                ["1", "2"],
                "row 0: the label `0` is none of the classes `1`, `2`",
            ),
            (
                ["1", "1.0"],
                ["2", "1"],
                "row 1: the label `1.0` is none of the classes `2`, `1`",
            ),
            (
                ["01", "00"],
                ["1", "0"],
                "row 0: the label `01` is none of the classes",
            ),
            (
                ["1e0", "0"],
                ["1.0", "0.0"],
                "row 0: the label `1e0` is none of the classes",
            ),
            (
                ["True", "False"],
                ["true", "false"],
                "case counts: write `true`",
            ),
            (
                ["0", "2"],
                ["a", "b"],
                "row 1: the label 2 is not one of the 2 classes (0 to 1)",
            ),
            (
                ["-1", "1"],
                ["a", "b"],
                "row 0: the label -1 is not one of the 2 classes",
            ),
        ] {
            let problem = check(&labels, &classes).unwrap_err();
            assert!(problem.contains(expected), "{labels:?}: {problem}");
        }
    }
}
