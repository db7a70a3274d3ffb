//! Losses of a batch and their gradients.

/// What a batch came to.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BatchLoss {
    /// Sum of the rows' losses.
    pub loss_sum: f64,
    /// Rows whose largest score is at the label; 0 for regression.
    pub n_right: usize,
}

/// Probabilities below this count as this, as in Keras.
const EPSILON: f32 = 1e-7;

/// Softmax cross-entropy of `logits[n, n_classes]`, which become the gradient of the mean loss: `(p - y) / n`.
pub fn softmax_cross_entropy(logits: &mut [f32], labels: &[u32], n_classes: usize) -> BatchLoss {
    let scale = 1.0 / labels.len() as f32;
    let mut total = BatchLoss::default();
    for (row, &label) in logits.chunks_exact_mut(n_classes).zip(labels) {
        let label = label as usize;
        let mut best = 0;
        for (class, logit) in row.iter().enumerate() {
            if *logit > row[best] {
                best = class;
            }
        }
        let largest = row[best];
        let sum: f64 = row
            .iter()
            .map(|logit| f64::from(logit - largest).exp())
            .sum();
        let log_sum = sum.ln();
        total.loss_sum += log_sum - f64::from(row[label] - largest);
        total.n_right += usize::from(best == label);
        for logit in row.iter_mut() {
            *logit = ((f64::from(*logit - largest) - log_sum).exp()) as f32 * scale;
        }
        row[label] -= scale;
    }
    total
}

/// Cross-entropy of `probabilities[n, n_classes]`, for scoring.
pub fn cross_entropy(probabilities: &[f32], labels: &[u32], n_classes: usize) -> BatchLoss {
    let mut total = BatchLoss::default();
    for (row, &label) in probabilities.chunks_exact(n_classes).zip(labels) {
        total.loss_sum -= f64::from(row[label as usize].clamp(EPSILON, 1.0 - EPSILON)).ln();
        total.n_right += usize::from(trainyard_core::metrics::argmax(row) == label as usize);
    }
    total
}

/// Squared errors of `predictions[n]`, which become the gradient of the mean loss: `2 (prediction - label) / n`.
pub fn squared_error(predictions: &mut [f32], labels: &[f64]) -> BatchLoss {
    let scale = 2.0 / labels.len() as f64;
    let mut total = BatchLoss::default();
    for (prediction, label) in predictions.iter_mut().zip(labels) {
        let error = f64::from(*prediction) - label;
        total.loss_sum += error * error;
        *prediction = (error * scale) as f32;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{assert_gradient, finite_differences, noise};

    #[test]
    fn gradients_match_finite_differences() {
        let (logits, labels) = (noise(12, 5), [2, 0, 3]);
        let mut gradient = logits.clone();
        let loss = softmax_cross_entropy(&mut gradient, &labels, 4);
        let value = |at: &[f32]| softmax_cross_entropy(&mut at.to_vec(), &labels, 4).loss_sum / 3.0;
        assert_gradient(&gradient, &finite_differences(&logits, value));
        assert!(loss.n_right <= 3 && loss.loss_sum > 0.0);

        let (predictions, labels) = (noise(5, 6), [0.5, -0.5, 1.0, 0.0, 2.0]);
        let mut gradient = predictions.clone();
        squared_error(&mut gradient, &labels);
        let value = |at: &[f32]| squared_error(&mut at.to_vec(), &labels).loss_sum / 5.0;
        assert_gradient(&gradient, &finite_differences(&predictions, value));
    }

    /// Independent source: `-ln softmax([1, 2, 3])[2]` by `scipy.special.log_softmax`.
    #[test]
    fn the_loss_matches_scipy() {
        let loss = softmax_cross_entropy(&mut [1.0, 2.0, 3.0], &[2], 3);
        assert!((loss.loss_sum - 0.407_605_964_444_379_9).abs() < 1e-12);
        assert_eq!(loss.n_right, 1);
    }
}
