//! Two classes, of which one is to be found: its threshold, and scores of which a file holds one column alone.

use trainyard_core::scored_rows::{Labels, ScoreTable, ScoredRows};

use super::names::some;

/// Why `[evaluate] positive_class` and `threshold` cannot be applied to these rows.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ThresholdError {
    /// It is not there.
    #[error(
        "`[evaluate] positive_class = \"{positive}\"` is not a class; the classes are {classes}"
    )]
    NoClass {
        /// The class.
        positive: String,
        /// What there is.
        classes: String,
    },
    /// More classes, or one, for a positive class.
    #[error(
        "`[evaluate] positive_class` is for two classes, and there {found}: remove it; a rule on one of many classes names it with `class`"
    )]
    NotTwo {
        /// How many there are, and which: `are 3: a, b, c`.
        found: String,
    },
    /// The same where a threshold is asked for.
    #[error("a threshold needs two classes, and there {found}{advice}")]
    ThresholdOfOther {
        /// How many there are, and which.
        found: String,
        /// What to change, with the sign before it.
        advice: &'static str,
    },
    /// Numbers to predict.
    #[error(
        "`[evaluate] positive_class` and `threshold` are for classes, and numbers are predicted: remove them"
    )]
    Regression,
    /// A threshold of a class that is not named.
    #[error(
        "`[evaluate] threshold` needs to know whose score it is compared with: add `positive_class = \"…\"`, the class to be found"
    )]
    NoPositive,
    /// One class of several that a row may have.
    #[error(
        "`[evaluate] positive_class` is for rows of one of two classes, and a row here has any number of them: remove it; a rule on one class names it with `class`"
    )]
    PositiveOfSets,
    /// An aim for several classes at once.
    #[error(
        "`[evaluate] threshold` by an aim is for rows of one of two classes, and a row here has any number of them: write a number, such as `threshold = 0.5`, from which on each class is predicted, or `predicted_<class>` columns by a threshold of your own for each"
    )]
    AimOfSets,
    /// Nothing that a threshold could be compared with.
    #[error(
        "`[evaluate] threshold` needs a score of each class: add `score_<class>` columns (`score` in an npz), or remove the threshold"
    )]
    NoScores,
}

/// The index of the positive class, where one is named.
///
/// `has_threshold` is whether one of its scores is asked for, as a number or by an aim.
pub(crate) fn positive_idx(
    positive: Option<&str>,
    has_threshold: bool,
    classes: &[String],
) -> Result<Option<usize>, ThresholdError> {
    let Some(positive) = positive else {
        return Ok(None);
    };
    if classes.len() != 2 {
        let are = if classes.len() == 1 { "is" } else { "are" };
        let names = some(classes.iter().map(String::as_str));
        let found = format!("{are} {}: {names}", classes.len());
        return Err(match (has_threshold, classes.len()) {
            (false, _) => ThresholdError::NotTwo { found },
            (true, 0 | 1) => ThresholdError::ThresholdOfOther {
                found,
                advice: "; take rows of both classes, and list both in `[data] classes`",
            },
            (true, _) => ThresholdError::ThresholdOfOther {
                found,
                advice: "; remove `[evaluate] threshold` and `positive_class`, or join the classes to two",
            },
        });
    }
    let found = classes.iter().position(|class| class == positive);
    found.map(Some).ok_or_else(|| ThresholdError::NoClass {
        positive: positive.to_owned(),
        classes: format!("`{}`", classes.join("`, `")),
    })
}

/// The predicted classes where `positive_idx`, one of two, is predicted if its score is at least `threshold`.
pub(super) fn above(scores: &ScoreTable, positive_idx: usize, threshold: f64) -> Vec<u32> {
    let scores = scores.as_scores();
    let rows = (0..scores.len() / 2).map(|row| {
        let is_positive = scores.at(2 * row + positive_idx) >= threshold;
        let idx = if is_positive {
            positive_idx
        } else {
            1 - positive_idx
        };
        idx as u32
    });
    rows.collect()
}

/// Predicts by `threshold` what our own model gave scores for.
///
/// # Errors
///
/// Where the rows are not of two classes with scores, or `positive_class` is neither.
pub fn predict_by_threshold(
    rows: &mut ScoredRows,
    positive_class: Option<&str>,
    threshold: Option<f64>,
) -> Result<(), ThresholdError> {
    let is_number = matches!(rows.labels, Labels::Value(_) | Labels::Values(_));
    if positive_class.is_some() && is_number {
        return Err(ThresholdError::Regression);
    }
    let positive_idx = positive_idx(positive_class, threshold.is_some(), &rows.classes)?;
    if positive_idx.is_none() && threshold.is_some() {
        return Err(ThresholdError::NoPositive);
    }
    if let (Some(idx), Some(threshold)) = (positive_idx, threshold) {
        let scores = rows.scores.as_ref().ok_or(ThresholdError::NoScores)?;
        rows.predicted = Labels::Class(above(scores, idx, threshold));
    }
    Ok(())
}
