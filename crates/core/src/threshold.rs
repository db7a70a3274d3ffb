//! The threshold of a binary classifier, chosen by a stated aim on rows that are not the test's.
//!
//! The positive class is predicted where its score is at least the threshold. The candidates are the scores themselves: every other
//! threshold predicts the same as one of them, or nothing at all.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Sha256Digest;
use crate::figure::figure;

/// What a threshold is to reach, as `[evaluate] threshold = { aim = "min_recall", at = 0.95 }` writes it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThresholdAim {
    /// What is to be reached.
    pub aim: Aim,
    /// The bound of `min_recall`, `min_precision` and `min_specificity`, between 0 and 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<f64>,
}

/// What a threshold is to reach. Of several thresholds that are equally good, the highest is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Aim {
    /// The highest F1 of the positive class.
    MaxF1,
    /// The highest Youden index: recall + specificity − 1.
    Youden,
    /// The highest precision with a recall of at least `at`.
    MinRecall,
    /// The highest recall with a precision of at least `at`.
    MinPrecision,
    /// The highest recall with a specificity of at least `at`.
    MinSpecificity,
}

/// The threshold that was chosen, and on what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChosenThreshold {
    /// What it was to reach.
    pub by: ThresholdAim,
    /// The class whose score it is compared with.
    pub positive_class: String,
    /// The least score at which the class is predicted; absent where no threshold meets the aim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// What the aim's measure came to at the threshold; without one, the best that any threshold reached.
    pub value: f64,
    /// Digest of the validation rows that it was chosen on: the row set's.
    pub rows: Sha256Digest,
    /// How many they were.
    pub n_rows: u64,
}

/// Why an aim cannot be pursued on some rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// No recall.
    #[error("none of the validation rows is of the positive class")]
    NoPositives,
    /// No specificity, and nothing to tell apart.
    #[error("all validation rows are of the positive class")]
    NoNegatives,
}

/// The chosen threshold with its value, or the best value where none meets the aim.
pub type Choice = Result<(f64, f64), f64>;

impl Aim {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MaxF1 => "max_f1",
            Self::Youden => "youden",
            Self::MinRecall => "min_recall",
            Self::MinPrecision => "min_precision",
            Self::MinSpecificity => "min_specificity",
        }
    }

    /// What it measures.
    pub const fn measure(self) -> &'static str {
        match self {
            Self::MaxF1 => "F1",
            Self::Youden => "Youden's index",
            Self::MinRecall => "recall",
            Self::MinPrecision => "precision",
            Self::MinSpecificity => "specificity",
        }
    }

    /// Whether it needs `at`.
    const fn has_bound(self) -> bool {
        matches!(
            self,
            Self::MinRecall | Self::MinPrecision | Self::MinSpecificity
        )
    }
}

impl ThresholdAim {
    /// As the configuration writes it.
    pub fn written(&self) -> String {
        let at = self
            .at
            .map_or_else(String::new, |at| format!(", at = {at}"));
        format!("{{ aim = \"{}\"{at} }}", self.aim.name())
    }

    /// What is wrong with it, if anything is.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        match self.at {
            None if self.aim.has_bound() => {
                Some("this aim needs a bound: write `at`, such as `at = 0.95`")
            }
            Some(_) if !self.aim.has_bound() => Some("this aim has no bound: remove `at`"),
            Some(at) if !(at > 0.0 && at <= 1.0) => {
                Some("`at` must be above 0 and at most 1, such as 0.95")
            }
            _ => None,
        }
    }

    /// Chooses on `rows`: whether each is of the positive class, its score, and how much it counts.
    ///
    /// # Errors
    ///
    /// Where the rows are of one class.
    pub fn choose(
        &self,
        rows: impl IntoIterator<Item = (bool, f64, f64)>,
    ) -> Result<Choice, ThresholdError> {
        let mut rows: Vec<(bool, f64, f64)> = rows
            .into_iter()
            .filter(|(_, _, weight)| *weight > 0.0)
            .collect();
        rows.sort_by(|left, right| right.1.total_cmp(&left.1));
        let mass = |of_positives: bool| -> f64 {
            let of_class = rows.iter().filter(|row| row.0 == of_positives);
            of_class.map(|row| row.2).sum()
        };
        let (positives, negatives) = (mass(true), mass(false));
        if positives <= 0.0 {
            return Err(ThresholdError::NoPositives);
        }
        if negatives <= 0.0 {
            return Err(ThresholdError::NoNegatives);
        }
        let mut point = Point {
            positives,
            negatives,
            ..Point::default()
        };
        // Zero is zero, whatever its sign.
        let ties = rows.chunk_by(|left, right| left.1 == right.1);
        let mut chosen: Option<(f64, Point)> = None;
        let mut best: Option<f64> = None;
        for tie in ties {
            for (is_positive, _, weight) in tie {
                if *is_positive {
                    point.true_positives += weight;
                } else {
                    point.false_positives += weight;
                }
            }
            let value = point.value(self.aim);
            if best.is_none_or(|best| value > best) {
                best = Some(value);
            }
            let is_met = self.at.is_none_or(|at| value >= at - ROUNDING);
            // From the highest score down: only a better one takes the place of what is there.
            let is_better = chosen
                .as_ref()
                .is_none_or(|(_, other)| point.goal(self.aim) > other.goal(self.aim));
            if is_met && is_better {
                chosen = Some((tie[0].1, point));
            }
        }
        Ok(match chosen {
            Some((threshold, point)) => Ok((threshold, point.value(self.aim))),
            None => Err(best.unwrap_or(0.0)),
        })
    }
}

/// What sums of weights lose, relative to them: the choice does not depend on the weights' scale.
const ROUNDING: f64 = 1e-12;

/// Weights of the rows that a threshold predicts as positive, and of all rows.
#[derive(Debug, Clone, Copy, Default)]
struct Point {
    true_positives: f64,
    false_positives: f64,
    positives: f64,
    negatives: f64,
}

impl Point {
    fn recall(&self) -> f64 {
        self.true_positives / self.positives
    }

    fn precision(&self) -> f64 {
        self.true_positives / (self.true_positives + self.false_positives)
    }

    fn value(&self, aim: Aim) -> f64 {
        let specificity = (self.negatives - self.false_positives) / self.negatives;
        match aim {
            Aim::MaxF1 => {
                2.0 * self.true_positives
                    / (self.true_positives + self.false_positives + self.positives)
            }
            Aim::Youden => self.recall() + specificity - 1.0,
            Aim::MinRecall => self.recall(),
            Aim::MinPrecision => self.precision(),
            Aim::MinSpecificity => specificity,
        }
    }

    /// What is highest at the chosen threshold. Of whole rows, equal ones are equal here, too: each is one rounded quotient, or a
    /// difference of whole numbers.
    fn goal(&self, aim: Aim) -> f64 {
        match aim {
            Aim::MaxF1 => self.value(aim),
            Aim::Youden => {
                self.true_positives * self.negatives - self.false_positives * self.positives
            }
            Aim::MinRecall => self.precision(),
            Aim::MinPrecision | Aim::MinSpecificity => self.recall(),
        }
    }
}

impl ChosenThreshold {
    /// What a reader of the evaluation should know, as a sentence; or why nothing can be predicted by it, as a clause.
    pub fn sentence(&self) -> Result<String, String> {
        let Self {
            by,
            positive_class,
            threshold,
            value,
            rows: _,
            n_rows,
        } = self;
        let measure = by.aim.measure();
        match (threshold, by.at) {
            (Some(threshold), _) => Ok(format!(
                "`{positive_class}` is predicted from a score of {} on: chosen by `{}` on {n_rows} validation rows, where {measure} was {}.",
                figure(*threshold),
                by.written(),
                figure(*value),
            )),
            (None, at) => Err(format!(
                "no threshold reaches a {measure} of {} on the {n_rows} validation rows: the best is {}",
                figure(at.unwrap_or(1.0)),
                figure(*value)
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores .9 to .1 of rows that are positive, positive, negative, positive, negative, negative.
    const ROWS: [(bool, f64); 6] = [
        (true, 0.9),
        (true, 0.8),
        (false, 0.7),
        (true, 0.4),
        (false, 0.2),
        (false, 0.1),
    ];

    fn choice(aim: Aim, at: Option<f64>, rows: &[(bool, f64)]) -> Choice {
        let rows = rows
            .iter()
            .map(|&(is_positive, score)| (is_positive, score, 1.0));
        ThresholdAim { aim, at }.choose(rows).unwrap()
    }

    /// By hand. Precision, recall and specificity from the highest score down: 1, 1/3, 1; 1, 2/3, 1; 2/3, 2/3, 2/3; 3/4, 1, 2/3;
    /// 3/5, 1, 1/3; 1/2, 1, 0. F1 is highest, 6/7, at 0.4. Youden's index is 2/3 at 0.8 and at 0.4: the higher one is chosen.
    #[test]
    fn each_aim_is_pursued_and_of_equals_the_highest_threshold_is_chosen() {
        assert_eq!(choice(Aim::MaxF1, None, &ROWS), Ok((0.4, 6.0 / 7.0)));
        let (threshold, value) = choice(Aim::Youden, None, &ROWS).unwrap();
        assert!(threshold == 0.8 && (value - 2.0 / 3.0).abs() < 1e-15);
        assert_eq!(
            choice(Aim::MinRecall, Some(0.6), &ROWS),
            Ok((0.8, 2.0 / 3.0))
        );
        assert_eq!(choice(Aim::MinRecall, Some(0.7), &ROWS), Ok((0.4, 1.0)));
        assert_eq!(choice(Aim::MinPrecision, Some(0.7), &ROWS), Ok((0.4, 0.75)));
        assert_eq!(choice(Aim::MinPrecision, Some(0.8), &ROWS), Ok((0.8, 1.0)));
        assert_eq!(
            choice(Aim::MinSpecificity, Some(0.6), &ROWS),
            Ok((0.4, 2.0 / 3.0))
        );
        assert_eq!(
            choice(Aim::MinSpecificity, Some(0.9), &ROWS),
            Ok((0.8, 1.0))
        );
    }

    #[test]
    fn rows_that_tie_are_predicted_alike() {
        let rows = [(true, 0.5), (false, 0.5), (true, 0.5), (false, 0.1)];
        assert_eq!(
            choice(Aim::MinPrecision, Some(0.6), &rows),
            Ok((0.5, 2.0 / 3.0))
        );
        // Zero is zero, whatever its sign.
        let rows = [(true, 0.0), (false, -0.0), (false, -1.0)];
        assert_eq!(choice(Aim::MinPrecision, Some(0.6), &rows), Err(0.5));
    }

    #[test]
    fn an_aim_that_no_threshold_meets_says_the_best_that_was_reached() {
        let rows = [(false, 0.9), (true, 0.8), (true, 0.7), (false, 0.1)];
        assert_eq!(choice(Aim::MinPrecision, Some(0.7), &rows), Err(2.0 / 3.0));
        assert_eq!(choice(Aim::MinSpecificity, Some(0.6), &rows), Err(0.5));
        let chosen = ChosenThreshold {
            by: ThresholdAim {
                aim: Aim::MinPrecision,
                at: Some(0.7),
            },
            positive_class: "ill".to_owned(),
            threshold: None,
            value: 2.0 / 3.0,
            rows: Sha256Digest::of(b"rows"),
            n_rows: 4,
        };
        assert_eq!(
            chosen.sentence().unwrap_err(),
            "no threshold reaches a precision of 0.7 on the 4 validation rows: the best is 0.66667"
        );
    }

    #[test]
    fn rows_of_one_class_choose_nothing_and_weights_count() {
        let aim = ThresholdAim {
            aim: Aim::MaxF1,
            at: None,
        };
        let chosen = aim.choose([(true, 0.5, 1.0), (false, 0.2, 0.0)]);
        assert_eq!(chosen, Err(ThresholdError::NoNegatives));
        assert_eq!(aim.choose([]), Err(ThresholdError::NoPositives));
        // The scale of the weights decides nothing: 0.1 counts for as much as 1, however sums of it round.
        let bounded = ThresholdAim {
            aim: Aim::MinSpecificity,
            at: Some(0.8),
        };
        let of_weight = |weight: f64| {
            let positives = (0..10).map(|row| (true, 0.985 - f64::from(row) * 1e-3, weight));
            let negatives = (0..10).map(|row| (false, 0.99 - f64::from(row) * 0.01, weight));
            bounded
                .choose(positives.chain(negatives))
                .unwrap()
                .unwrap()
                .0
        };
        for weight in [0.1, 0.3, 3.0] {
            assert_eq!(of_weight(weight), of_weight(1.0));
        }
        // A row that counts three times is three rows.
        let weighed = [(true, 0.9, 1.0), (false, 0.8, 3.0), (true, 0.7, 1.0)];
        let repeated = weighed.iter().flat_map(|&(is_positive, score, weight)| {
            std::iter::repeat_n((is_positive, score, 1.0), weight as usize)
        });
        assert_eq!(aim.choose(weighed), aim.choose(repeated));
    }
}
