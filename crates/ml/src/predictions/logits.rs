//! Scores of a file in, probabilities out: a softmax over the logits of a row, or the sigmoid of one, in f64.

use trainyard_core::figure::told_apart;
use trainyard_core::metrics::{MetricError, check_probabilities};
use trainyard_core::scored_rows::ScoreTable;

use super::places::Places;
use super::problem::Problem;

/// What scores are before they are probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    Probabilities,
    Logits,
}

/// `exp(x) / sum(exp(x))` of each row; the largest logit is taken off first, so that none overflows.
pub(super) fn softmax(
    logits: &ScoreTable,
    classes: &[String],
    places: &Places,
) -> Result<ScoreTable, Problem> {
    let scores = logits.as_scores();
    let n_classes = classes.len();
    let mut probabilities: Vec<f64> = (0..scores.len()).map(|idx| scores.at(idx)).collect();
    for (row, values) in probabilities.chunks_exact_mut(n_classes).enumerate() {
        if let Some(idx) = values.iter().position(|value| !value.is_finite()) {
            return Err(not_finite(row, &classes[idx], values[idx], places));
        }
        let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        values
            .iter_mut()
            .for_each(|value| *value = (*value - largest).exp());
        let sum: f64 = values.iter().sum();
        values.iter_mut().for_each(|value| *value /= sum);
    }
    Ok(ScoreTable::F64(probabilities))
}

/// Probabilities of two classes from one column, which is of the class `idx`.
pub(super) fn of_one_column(
    values: &[f64],
    idx: usize,
    scale: Scale,
    places: &Places,
) -> Result<ScoreTable, Problem> {
    let mut probabilities = Vec::with_capacity(2 * values.len());
    for (row, &value) in values.iter().enumerate() {
        let is_probability = (0.0..=1.0).contains(&value);
        if !value.is_finite() {
            return Err(not_finite(row, "one class", value, places));
        }
        let pair = match scale {
            Scale::Probabilities if !is_probability => {
                return Err(Problem::Wrong {
                    place: places.of(row),
                    column: "score",
                    cell: value.to_string(),
                    wanted: "a probability between 0 and 1; of logits, say `[evaluate] scores = \"logits\"`",
                });
            }
            Scale::Probabilities => [1.0 - value, value],
            // Each end by its own exponential: 1 - p would be 0 long before.
            Scale::Logits => [1.0 / (1.0 + value.exp()), 1.0 / (1.0 + (-value).exp())],
        };
        let [other, own] = pair;
        probabilities.extend(if idx == 0 { [own, other] } else { [other, own] });
    }
    Ok(ScoreTable::F64(probabilities))
}

/// Refuses scores that are not probabilities of the `classes` of a row, with what they may be instead.
pub(super) fn refuse_others(
    scores: &ScoreTable,
    classes: &[String],
    places: &Places,
) -> Result<(), Problem> {
    let n_classes = classes.len();
    let row = match check_probabilities(scores.as_scores(), n_classes) {
        Ok(()) => return Ok(()),
        Err(MetricError::NotFinite { row, column, value }) => {
            return Err(not_finite(row, &classes[column], value, places));
        }
        Err(MetricError::NotProbabilities { row, .. }) => row,
        Err(error) => return Err(Problem::Format(error.to_string())),
    };
    let of_row = |idx: usize| scores.as_scores().at(row * n_classes + idx);
    let sum: f64 = (0..n_classes).map(of_row).sum();
    let negative = (0..n_classes).find(|&idx| of_row(idx) < 0.0);
    let (found, remedy) = match negative {
        Some(idx) if of_row(idx) > -ROUNDING => (
            format!("the score of `{}` is {}", classes[idx], of_row(idx)),
            "round it up to 0, as `numpy.clip(scores, 0, 1)` does",
        ),
        Some(idx) => (
            format!("the score of `{}` is {}", classes[idx], of_row(idx)),
            "for logits, set `[evaluate] scores = \"logits\"`",
        ),
        None if (sum - 100.0).abs() <= 1.0 => (
            format!("the scores sum to {}", told_apart(sum, 1.0)),
            "write 98.5 % as 0.985",
        ),
        None if (sum - 1.0).abs() <= 0.1 => (
            format!("the scores sum to {}", told_apart(sum, 1.0)),
            "write them with all their digits, or divide each row by its sum",
        ),
        None => (
            format!("the scores sum to {}", told_apart(sum, 1.0)),
            "for logits, set `[evaluate] scores = \"logits\"`",
        ),
    };
    Err(Problem::NotProbabilities {
        place: places.of(row),
        found,
        remedy,
    })
}

/// Refuses probabilities in the place of logits. Logits of several rows that all happen to be in [0, 1] with a sum of 1 there are none.
pub(super) fn refuse_probabilities(scores: &ScoreTable, n_classes: usize) -> Result<(), Problem> {
    let scores = scores.as_scores();
    let has_several_rows = scores.len() > n_classes;
    // One-hot rows may be logits of a toy.
    let is_whole = |idx: usize| scores.at(idx).fract() == 0.0;
    let is_probability = has_several_rows
        && check_probabilities(scores, n_classes).is_ok()
        && !(0..scores.len()).all(is_whole);
    if is_probability {
        return Err(Problem::NotLogits);
    }
    Ok(())
}

/// What arithmetic leaves below 0 of a probability of 0.
const ROUNDING: f64 = 1e-6;

fn not_finite(row: usize, class: &str, value: f64, places: &Places) -> Problem {
    Problem::NotFinite {
        place: places.of(row),
        column: format!("score of {class}"),
        cell: value.to_string(),
    }
}
