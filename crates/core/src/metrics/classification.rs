//! Metrics of a classifier.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Direction, Metric, MetricError, Unit, argmax, check_scores};
use crate::config::EvaluateConfig;
use crate::statistics::{Interval, Resampler, percentile_interval, wilson};

/// Probabilities are raised to this before their logarithm, as Keras does, so that one zero cannot make the loss infinite.
const EPSILON: f64 = 1e-7;

/// How far the scores of a row may sum from 1: f32 softmax over many classes stays well within.
const PROBABILITY_TOLERANCE: f64 = 1e-3;

/// What a classifier reached.
#[derive(Debug, Clone, PartialEq)]
pub struct Classification {
    /// `loss`, `accuracy`, `precision_macro`, `recall_macro`, `f1_macro`; `loss` only when scores are given.
    pub metrics: Vec<Metric>,
    /// One entry per class.
    pub per_class: Vec<ClassMetrics>,
    /// Labels against predictions.
    pub confusion: Confusion,
    /// Indices of the rows predicted wrong.
    pub misses: Vec<usize>,
}

/// Figures of one class; a ratio over no rows is absent rather than a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassMetrics {
    /// The class's name.
    pub class: String,
    /// Rows with this label.
    pub support: u64,
    /// Share of the rows predicted as this class that are of it; Wilson interval.
    pub precision: Option<Estimate>,
    /// Share of this class's rows that were predicted as it; Wilson interval.
    pub recall: Option<Estimate>,
    /// Harmonic mean of precision and recall; bootstrap interval.
    pub f1: Option<Estimate>,
}

/// A value and its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// What was measured.
    pub value: f64,
    /// How far chance may have moved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
}

/// Labels (rows) against predictions (columns), in the order of the classes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Confusion {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// `counts[label][prediction]`.
    pub counts: Vec<Vec<u64>>,
}

impl Confusion {
    fn tally(classes: &[String], pairs: impl Iterator<Item = (usize, usize)>) -> Self {
        let mut counts = vec![vec![0; classes.len()]; classes.len()];
        for (label, predicted) in pairs {
            counts[label][predicted] += 1;
        }
        Self {
            classes: classes.to_vec(),
            counts,
        }
    }

    /// Rows with the label `class`.
    pub fn support(&self, class: usize) -> u64 {
        self.counts[class].iter().sum()
    }

    /// Rows predicted as `class`.
    pub fn n_predicted(&self, class: usize) -> u64 {
        self.counts.iter().map(|row| row[class]).sum()
    }

    /// Rows of `class` predicted as such.
    pub fn n_right(&self, class: usize) -> u64 {
        self.counts[class][class]
    }

    /// Harmonic mean of precision and recall: `2 TP / (2 TP + FP + FN)`; `None` when the class occurs nowhere.
    pub fn f1(&self, class: usize) -> Option<f64> {
        let occurrences = self.support(class) + self.n_predicted(class);
        (occurrences > 0).then(|| 2.0 * self.n_right(class) as f64 / occurrences as f64)
    }

    /// Mean over all classes, a class without a value counting as 0, as scikit-learn's `zero_division=0`.
    fn macro_mean(&self, value: impl Fn(&Self, usize) -> Option<f64>) -> f64 {
        let n_classes = self.classes.len();
        (0..n_classes)
            .map(|class| value(self, class).unwrap_or(0.0))
            .sum::<f64>()
            / n_classes as f64
    }

    fn precision(&self, class: usize) -> Option<f64> {
        ratio(self.n_right(class), self.n_predicted(class))
    }

    fn recall(&self, class: usize) -> Option<f64> {
        ratio(self.n_right(class), self.support(class))
    }
}

/// Scores a classifier.
///
/// `labels[n]` are class indices; `predicted[n]` too; `scores[n, k]`, where given, are probabilities, row-major.
/// The definitions are scikit-learn's (`precision_recall_fscore_support`, `log_loss` with Keras's clipping).
pub fn classify(
    labels: &[u32],
    predicted: &[u32],
    scores: Option<&[f32]>,
    classes: &[String],
    config: &EvaluateConfig,
) -> Result<Classification, MetricError> {
    let n_classes = classes.len();
    if predicted.len() != labels.len() {
        return Err(MetricError::Lengths {
            n_labels: labels.len(),
            n_scores: predicted.len(),
            n_columns: 1,
        });
    }
    if labels.is_empty() {
        return Err(MetricError::NoRows);
    }
    for column in [labels, predicted] {
        if let Some(row) = column.iter().position(|&label| label as usize >= n_classes) {
            return Err(MetricError::Label {
                row,
                label: column[row],
                n_classes,
            });
        }
    }
    let losses = scores
        .map(|scores| row_losses(labels, scores, n_classes))
        .transpose()?;
    let pairs: Vec<(usize, usize)> = labels
        .iter()
        .zip(predicted)
        .map(|(&label, &predicted)| (label as usize, predicted as usize))
        .collect();
    let confusion = Confusion::tally(classes, pairs.iter().copied());
    let misses: Vec<usize> = pairs
        .iter()
        .enumerate()
        .filter(|(_, (label, predicted))| label != predicted)
        .map(|(row, _)| row)
        .collect();

    let mut resampled = Resampled::default();
    let mut resampler = Resampler::new(config.seed);
    for _ in 0..config.bootstrap_samples {
        resampled.draw(&mut resampler, &pairs, losses.as_deref(), classes);
    }
    let interval = |samples: &mut Vec<f64>| percentile_interval(samples, config.confidence);

    let n = labels.len() as u64;
    let n_right = n - misses.len() as u64;
    let mut metrics = Vec::new();
    if let Some(losses) = &losses {
        metrics.push(Metric {
            name: "loss".to_owned(),
            value: losses.iter().sum::<f64>() / n as f64,
            unit: Unit::Nats,
            direction: Direction::LowerIsBetter,
            interval: interval(&mut resampled.loss),
        });
    }
    let mut proportion = |name: &str, value: f64, interval| {
        let direction = Direction::HigherIsBetter;
        metrics.push(Metric {
            name: name.to_owned(),
            value,
            unit: Unit::Proportion,
            direction,
            interval,
        });
    };
    proportion(
        "accuracy",
        n_right as f64 / n as f64,
        wilson(n_right, n, config.confidence),
    );
    let precision = confusion.macro_mean(Confusion::precision);
    proportion(
        "precision_macro",
        precision,
        interval(&mut resampled.precision_macro),
    );
    proportion(
        "recall_macro",
        confusion.macro_mean(Confusion::recall),
        interval(&mut resampled.recall_macro),
    );
    proportion(
        "f1_macro",
        confusion.macro_mean(Confusion::f1),
        interval(&mut resampled.f1_macro),
    );

    let per_class = (0..n_classes)
        .map(|class| ClassMetrics {
            class: classes[class].clone(),
            support: confusion.support(class),
            precision: share(
                confusion.n_right(class),
                confusion.n_predicted(class),
                config.confidence,
            ),
            recall: share(
                confusion.n_right(class),
                confusion.support(class),
                config.confidence,
            ),
            f1: confusion.f1(class).map(|value| Estimate {
                value,
                interval: interval(&mut resampled.f1[class]),
            }),
        })
        .collect();
    Ok(Classification {
        metrics,
        per_class,
        confusion,
        misses,
    })
}

/// What each bootstrap resample gave.
#[derive(Default)]
struct Resampled {
    loss: Vec<f64>,
    precision_macro: Vec<f64>,
    recall_macro: Vec<f64>,
    f1_macro: Vec<f64>,
    f1: Vec<Vec<f64>>,
}

impl Resampled {
    fn draw(
        &mut self,
        resampler: &mut Resampler,
        pairs: &[(usize, usize)],
        losses: Option<&[f64]>,
        classes: &[String],
    ) {
        self.f1.resize(classes.len(), Vec::new());
        let mut loss = 0.0;
        let drawn = (0..pairs.len()).map(|_| {
            let row = resampler.below(pairs.len());
            loss += losses.map_or(0.0, |losses| losses[row]);
            pairs[row]
        });
        let confusion = Confusion::tally(classes, drawn);
        self.loss.push(loss / pairs.len() as f64);
        self.precision_macro
            .push(confusion.macro_mean(Confusion::precision));
        self.recall_macro
            .push(confusion.macro_mean(Confusion::recall));
        self.f1_macro.push(confusion.macro_mean(Confusion::f1));
        for (class, samples) in self.f1.iter_mut().enumerate() {
            samples.extend(confusion.f1(class));
        }
    }
}

fn row_losses(labels: &[u32], scores: &[f32], n_classes: usize) -> Result<Vec<f64>, MetricError> {
    check_scores(labels.len(), scores, n_classes)?;
    let mut losses = Vec::with_capacity(labels.len());
    for (row, (&label, scores)) in labels
        .iter()
        .zip(scores.chunks_exact(n_classes))
        .enumerate()
    {
        let sum: f64 = scores.iter().copied().map(f64::from).sum();
        if (sum - 1.0).abs() > PROBABILITY_TOLERANCE || scores.iter().any(|&score| score < 0.0) {
            return Err(MetricError::NotProbabilities { row, sum });
        }
        losses.push(
            -f64::from(scores[label as usize])
                .clamp(EPSILON, 1.0 - EPSILON)
                .ln(),
        );
    }
    Ok(losses)
}

/// The predicted class of each row of `scores[n, n_classes]`.
pub fn predictions(scores: &[f32], n_classes: usize) -> Vec<u32> {
    scores
        .chunks_exact(n_classes)
        .map(|row| argmax(row) as u32)
        .collect()
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn share(part: u64, whole: u64, confidence: f64) -> Option<Estimate> {
    ratio(part, whole).map(|value| Estimate {
        value,
        interval: wilson(part, whole, confidence),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> EvaluateConfig {
        EvaluateConfig::default()
    }

    fn classes(n: usize) -> Vec<String> {
        (0..n).map(|class| class.to_string()).collect()
    }

    /// Independent source: scikit-learn 1.9 `classification_report` and `log_loss` on these rows.
    #[test]
    fn figures_match_scikit_learn() {
        let labels = [0, 0, 1, 1, 2, 2, 2];
        let scores: [f32; 21] = [
            0.7, 0.2, 0.1, 0.3, 0.6, 0.1, 0.1, 0.8, 0.1, 0.2, 0.5, 0.3, 0.1, 0.2, 0.7, 0.2, 0.2,
            0.6, 0.5, 0.3, 0.2,
        ];
        let predicted = predictions(&scores, 3);
        assert_eq!(predicted, [0, 1, 1, 1, 2, 2, 0]);
        let result = classify(&labels, &predicted, Some(&scores), &classes(3), &config()).unwrap();
        let value = |name: &str| {
            result
                .metrics
                .iter()
                .find(|metric| metric.name == name)
                .unwrap()
                .value
        };
        let close =
            |left: f64, right: f64| assert!((left - right).abs() < 1e-7, "{left} is not {right}");
        close(value("accuracy"), 5.0 / 7.0);
        close(value("precision_macro"), (0.5 + 2.0 / 3.0 + 1.0) / 3.0);
        close(value("recall_macro"), (0.5 + 1.0 + 2.0 / 3.0) / 3.0);
        close(value("f1_macro"), (0.5 + 0.8 + 0.8) / 3.0);
        let loss = -[0.7_f64, 0.3, 0.8, 0.5, 0.7, 0.6, 0.2]
            .iter()
            .map(|p| p.ln())
            .sum::<f64>()
            / 7.0;
        close(value("loss"), loss);
        assert_eq!(result.misses, [1, 6]);
        assert_eq!(result.confusion.counts, [[1, 1, 0], [0, 2, 0], [1, 0, 2]]);
    }

    #[test]
    fn a_class_that_never_occurs_has_no_figures_rather_than_zeros() {
        let result = classify(&[0, 0], &[0, 0], None, &classes(2), &config()).unwrap();
        assert!(result.per_class[1].precision.is_none() && result.per_class[1].f1.is_none());
        assert!(result.metrics.iter().all(|metric| metric.name != "loss"));
    }

    #[test]
    fn what_is_no_prediction_is_refused() {
        let bad = |scores: &[f32]| {
            classify(&[0], &[0], Some(scores), &classes(2), &config()).unwrap_err()
        };
        assert!(matches!(
            bad(&[f32::NAN, 0.5]),
            MetricError::NotFinite {
                row: 0,
                column: 0,
                ..
            }
        ));
        assert!(matches!(
            bad(&[3.0, -1.0]),
            MetricError::NotProbabilities { .. }
        ));
        assert!(matches!(bad(&[1.0]), MetricError::Lengths { .. }));
        assert_eq!(
            classify(&[], &[], None, &classes(2), &config()),
            Err(MetricError::NoRows)
        );
        assert!(matches!(
            classify(&[2], &[0], None, &classes(2), &config()),
            Err(MetricError::Label { label: 2, .. })
        ));
    }
}
