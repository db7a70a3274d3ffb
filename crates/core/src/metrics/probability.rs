//! Metrics of labels against a probability of each class, but for those of the order of the rows.
//!
//! All of them come from one pass over the rows, since there may be more rows than a cache or a memory holds several columns of.

use std::ops::Range;

use super::calibration::{Bins, Reliability};
use super::estimate::{Computed, Spread, mean, proportion, undefined};
use super::parallel::blocks;
use super::rows::{ClassifiedRows, MetricError, PROBABILITY_TOLERANCE, Scores};
use super::sampling::{Sampling, merged};
use super::scoring::Scoring;
use crate::statistics::Moments;

/// Keras raises probabilities to this before their logarithm, so that one zero cannot make the loss infinite.
const KERAS_EPSILON: f64 = 1e-7;

/// What the metrics are computed from.
#[derive(Debug)]
pub struct Probabilities {
    pub(super) n_rows: u64,
    pub(super) n_classes: usize,
    pub(super) top_k: u32,
    pub(super) is_plain: bool,
    pub(super) loss: Spread,
    pub(super) log_loss: Spread,
    pub(super) brier: Spread,
    pub(super) top_k_share: Spread,
    pub(super) is_tied: bool,
    pub(super) bins: Bins,
    pub(super) n_clipped: u64,
}

/// Numbers of one row, whose means are metrics.
const N_MEANS: usize = 4;

/// What one row adds.
struct Row {
    /// Loss, log loss, Brier score, share of the first places.
    values: [f64; N_MEANS],
    is_tied: bool,
    is_clipped: bool,
}

/// How rows are turned into numbers.
#[derive(Clone, Copy)]
struct Rule {
    n_classes: usize,
    top_k: usize,
    /// With two classes, the one that Brier's score is of.
    positive: Option<usize>,
}

/// Metrics that are the mean of a number that the scores of each row give.
const MEANS_OF_ROWS: [&str; 4] = ["loss", "log_loss", "brier_score", "top_k_accuracy"];

/// Whether the metric called `name` is such a mean.
pub(super) fn is_mean_of_rows(name: &str) -> bool {
    MEANS_OF_ROWS.contains(&name)
}

/// The numbers of the rows whose mean is the metric called `name`; `None` where it is no such mean.
pub(super) fn values(
    name: &str,
    scores: Scores<'_>,
    labels: &[u32],
    classes: &[String],
    scoring: &Scoring,
) -> Option<Vec<f64>> {
    let idx = MEANS_OF_ROWS.iter().position(|of| *of == name)?;
    let n_classes = classes.len();
    let rule = Rule {
        n_classes,
        top_k: scoring.top_k as usize,
        positive: scoring
            .positive_idx(classes)
            .or_else(|| (n_classes == 2).then_some(1)),
    };
    let of_row = |(row, &label): (usize, &u32)| {
        let scores: Vec<f64> = (0..n_classes)
            .map(|class| scores.at(row * n_classes + class))
            .collect();
        rule.row(&scores, label as usize).values[idx]
    };
    Some(labels.iter().enumerate().map(of_row).collect())
}

impl Rule {
    fn row<T: Copy + Into<f64>>(self, scores: &[T], label: usize) -> Row {
        let own: f64 = scores[label].into();
        let (mut squares, mut n_above, mut n_equal) = (0.0, 0, 0);
        for &score in scores {
            let score: f64 = score.into();
            squares += score * score;
            n_above += usize::from(score > own);
            n_equal += usize::from(score == own);
        }
        let n_free = self.top_k.saturating_sub(n_above);
        let brier = match self.positive {
            Some(positive) => {
                let truth = if label == positive { 1.0 } else { 0.0 };
                let score: f64 = scores[positive].into();
                (score - truth) * (score - truth)
            }
            None => squares - own * own + (1.0 - own) * (1.0 - own),
        };
        let clipped = |epsilon: f64| -own.clamp(epsilon, 1.0 - epsilon).ln();
        let log_loss = clipped(f64::EPSILON);
        let is_inside = own > KERAS_EPSILON && own < 1.0 - KERAS_EPSILON;
        let loss = if is_inside {
            log_loss
        } else {
            clipped(KERAS_EPSILON)
        };
        Row {
            values: [
                loss,
                log_loss,
                brier,
                (n_free as f64 / n_equal as f64).min(1.0),
            ],
            is_tied: n_free > 0 && n_free < n_equal,
            is_clipped: own < f64::EPSILON,
        }
    }
}

/// What a block of rows adds.
struct Block {
    moments: [Moments; N_MEANS],
    /// Weighted.
    sums: [f64; N_MEANS],
    bins: Bins,
    is_tied: bool,
    n_clipped: u64,
}

impl Probabilities {
    /// Of rows with scores, each of which is checked here.
    pub(super) fn of(
        rows: &ClassifiedRows<'_>,
        scores: Scores<'_>,
        sampling: &Sampling<'_>,
        scoring: &Scoring,
        positive: Option<usize>,
    ) -> Result<Self, MetricError> {
        match scores {
            Scores::F32(scores) => Self::of_precision(rows, scores, sampling, scoring, positive),
            Scores::F64(scores) => Self::of_precision(rows, scores, sampling, scoring, positive),
        }
    }

    fn of_precision<T: Copy + Into<f64> + Sync>(
        rows: &ClassifiedRows<'_>,
        scores: &[T],
        sampling: &Sampling<'_>,
        scoring: &Scoring,
        positive: Option<usize>,
    ) -> Result<Self, MetricError> {
        let n_classes = rows.classes.len();
        let rule = Rule {
            n_classes,
            top_k: scoring.top_k as usize,
            positive,
        };
        let of_row = |row: usize| {
            let scores = &scores[row * n_classes..(row + 1) * n_classes];
            rule.row(scores, rows.labels[row] as usize)
        };
        let is_plain = sampling.is_plain();
        let of_block = |block: Range<usize>| -> Result<Block, MetricError> {
            let mut values: [Vec<f64>; N_MEANS] =
                std::array::from_fn(|_| Vec::with_capacity(block.len()));
            let mut found = Block {
                moments: [Moments::default(); N_MEANS],
                sums: [0.0; N_MEANS],
                bins: Bins::default(),
                is_tied: false,
                n_clipped: 0,
            };
            for row in block {
                let of_classes = &scores[row * n_classes..(row + 1) * n_classes];
                check(row, of_classes)?;
                let of_row = rule.row(of_classes, rows.labels[row] as usize);
                found.is_tied |= of_row.is_tied;
                found.n_clipped += u64::from(of_row.is_clipped);
                let predicted = rows.predicted[row];
                let confidence: f64 = of_classes[predicted as usize].into();
                let weight = sampling.weight(row);
                found
                    .bins
                    .add(confidence, predicted == rows.labels[row], weight);
                for (idx, value) in of_row.values.into_iter().enumerate() {
                    found.sums[idx] += weight * value;
                    values[idx].push(value);
                }
            }
            if is_plain {
                found.moments = values.map(Moments::of);
            }
            Ok(found)
        };
        let mut found: Vec<Block> = Vec::new();
        for block in blocks(rows.labels.len(), of_block) {
            found.push(block?);
        }
        let spread = |idx: usize| {
            if is_plain {
                return Spread::Rows(merged(found.iter().map(|block| block.moments[idx])));
            }
            let sum: f64 = found.iter().map(|block| block.sums[idx]).sum();
            let mean = sum / sampling.total();
            sampling.spread(mean, |row| of_row(row).values[idx] - mean)
        };
        let mut bins = Bins::default();
        for block in &found {
            bins.merge(&block.bins);
        }
        Ok(Self {
            n_rows: rows.labels.len() as u64,
            n_classes: rule.n_classes,
            top_k: scoring.top_k,
            is_plain,
            loss: spread(0),
            log_loss: spread(1),
            brier: spread(2),
            top_k_share: spread(3),
            is_tied: found.iter().any(|block| block.is_tied),
            n_clipped: found.iter().map(|block| block.n_clipped).sum(),
            bins,
        })
    }

    /// How confident the predictions are, and how often right.
    pub(super) fn reliability(&self) -> Reliability {
        self.bins.reliability()
    }

    /// Rows whose log loss would be infinite without clipping, or nearly so.
    pub(super) const fn n_clipped(&self) -> u64 {
        self.n_clipped
    }
}

/// Refuses scores `[n_rows, n_classes]` that are not probabilities of each row's classes.
pub fn check_probabilities(scores: Scores<'_>, n_classes: usize) -> Result<(), MetricError> {
    fn all<T: Copy + Into<f64>>(scores: &[T], n_classes: usize) -> Result<(), MetricError> {
        let mut rows = scores.chunks_exact(n_classes).enumerate();
        rows.try_for_each(|(row, scores)| check(row, scores))
    }
    match scores {
        Scores::F32(scores) => all(scores, n_classes),
        Scores::F64(scores) => all(scores, n_classes),
    }
}

/// Whether the scores of a row are probabilities.
fn check<T: Copy + Into<f64>>(row: usize, scores: &[T]) -> Result<(), MetricError> {
    let (mut sum, mut is_negative) = (0.0, false);
    for &score in scores {
        let score: f64 = score.into();
        sum += score;
        is_negative |= score < 0.0;
    }
    // Also where a score is NaN or infinite, since the sum then is, too.
    if !is_negative && (sum - 1.0).abs() <= PROBABILITY_TOLERANCE {
        return Ok(());
    }
    let values = || scores.iter().map(|&score| -> f64 { score.into() });
    match values().position(|value| !value.is_finite()) {
        Some(column) => Err(MetricError::NotFinite {
            row,
            column,
            value: scores[column].into(),
        }),
        None => Err(MetricError::NotProbabilities { row, sum }),
    }
}

pub(super) fn top_k_accuracy(rows: &Probabilities, confidence: f64) -> Computed {
    if rows.n_classes <= rows.top_k as usize {
        return undefined("no more classes than places");
    }
    if rows.is_tied || !rows.is_plain {
        return mean(rows.top_k_share, rows.n_rows, confidence);
    }
    let n_right = (rows.top_k_share.value() * rows.n_rows as f64).round() as u64;
    proportion(n_right, rows.n_rows, confidence, "no rows")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Loss;

    fn top_k(labels: &[u32], scores: &[f64]) -> Computed {
        let classes: Vec<String> = (0..scores.len() / labels.len())
            .map(|class| class.to_string())
            .collect();
        let scores = Scores::F64(scores);
        let rows = ClassifiedRows {
            labels,
            predicted: labels,
            scores: Some(scores),
            classes: &classes,
            weights: None,
            groups: None,
        };
        let sampling = Sampling::new(labels.len(), None, None).unwrap();
        let scoring = Scoring::new(Loss::SparseCategoricalCrossentropy, 0.95);
        let found = Probabilities::of(&rows, scores, &sampling, &scoring, None).unwrap();
        top_k_accuracy(&found, 0.95)
    }

    /// Independent source: scikit-learn's documentation of `top_k_accuracy_score`, whose example gives 0.75 for k = 2.
    #[test]
    fn the_top_k_accuracy_is_scikit_learns() {
        let scores = [0.5, 0.2, 0.3, 0.3, 0.4, 0.3, 0.2, 0.5, 0.3, 0.7, 0.2, 0.1];
        let Computed::Value(estimate) = top_k(&[0, 1, 2, 2], &scores) else {
            panic!("it has a value")
        };
        assert_eq!(estimate.value, 0.75);
    }

    /// By hand: two places for three equal classes, whatever their order.
    #[test]
    fn ties_count_by_their_share_and_too_few_classes_not_at_all() {
        for label in 0..3 {
            let third = 1.0 / 3.0;
            let Computed::Value(estimate) = top_k(&[label], &[third; 3]) else {
                panic!("it has a value")
            };
            assert_eq!(estimate.value, 2.0 / 3.0);
        }
        assert!(matches!(top_k(&[0], &[0.5, 0.5]), Computed::Undefined(_)));
    }
}
