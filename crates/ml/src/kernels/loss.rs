//! Losses of a batch and their gradients, by the network's last values before softmax or sigmoid.

use trainyard_core::model::Loss;

use super::activation::sigmoid;

/// What a batch came to.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BatchLoss {
    /// Sum of the rows' weighted losses.
    pub loss_sum: f64,
    /// Rows whose largest score is at the label; 0 for regression.
    pub n_right: usize,
}

impl std::ops::AddAssign for BatchLoss {
    fn add_assign(&mut self, other: Self) {
        self.loss_sum += other.loss_sum;
        self.n_right += other.n_right;
    }
}

/// What is minimised, with its settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Objective {
    /// Which loss.
    pub loss: Loss,
    /// Share of a label that is spread over all classes.
    pub label_smoothing: f64,
    /// Error beyond which the Huber loss grows linearly.
    pub huber_delta: f64,
}

impl Objective {
    /// The loss of classes. `values[n, n_columns]`, logits, become the gradient of the mean loss.
    ///
    /// Keras's definitions: a row's loss is multiplied by its weight, and the sum divided by the number of rows.
    pub fn of_classes(
        &self,
        values: &mut [f32],
        labels: &[u32],
        weights: Option<&[f32]>,
        n_columns: usize,
    ) -> BatchLoss {
        let n = labels.len() as f64;
        let weight = |row: usize| weights.map_or(1.0, |weights| f64::from(weights[row]));
        let mut total = BatchLoss::default();
        for (row, (values, &label)) in values
            .chunks_exact_mut(n_columns.max(1))
            .zip(labels)
            .enumerate()
        {
            let weight = weight(row);
            let (loss, is_right) = match self.loss {
                Loss::BinaryCrossentropy => self.binary(values, label, weight / n),
                _ => self.categorical(values, label as usize, weight / n),
            };
            total.loss_sum += weight * loss;
            total.n_right += usize::from(is_right);
        }
        total
    }

    /// The loss of numbers. `values[n]` become the gradient of the mean loss.
    pub fn of_values(
        &self,
        values: &mut [f32],
        labels: &[f64],
        weights: Option<&[f32]>,
    ) -> BatchLoss {
        let n = labels.len() as f64;
        let mut loss_sum = 0.0;
        for (row, (value, label)) in values.iter_mut().zip(labels).enumerate() {
            let weight = weights.map_or(1.0, |weights| f64::from(weights[row]));
            let error = f64::from(*value) - label;
            let (loss, slope) = match self.loss {
                Loss::MeanAbsoluteError => {
                    (error.abs(), if error == 0.0 { 0.0 } else { error.signum() })
                }
                Loss::Huber if error.abs() > self.huber_delta => {
                    let delta = self.huber_delta;
                    (delta * (error.abs() - 0.5 * delta), delta * error.signum())
                }
                Loss::Huber => (0.5 * error * error, error),
                _ => (error * error, 2.0 * error),
            };
            loss_sum += weight * loss;
            *value = (weight * slope / n) as f32;
        }
        BatchLoss {
            loss_sum,
            n_right: 0,
        }
    }

    fn categorical(&self, row: &mut [f32], label: usize, scale: f64) -> (f64, bool) {
        let best = trainyard_core::metrics::argmax(row);
        let largest = row[best];
        let sum: f64 = row
            .iter()
            .map(|logit| f64::from(logit - largest).exp())
            .sum();
        let log_sum = sum.ln();
        let smoothing = match self.loss {
            Loss::CategoricalCrossentropy => self.label_smoothing,
            _ => 0.0,
        };
        let spread = smoothing / row.len() as f64;
        let mut loss = 0.0;
        for (class, logit) in row.iter_mut().enumerate() {
            let log_probability = f64::from(*logit - largest) - log_sum;
            let target = spread + if class == label { 1.0 - smoothing } else { 0.0 };
            if target > 0.0 {
                loss -= target * log_probability;
            }
            *logit = ((log_probability.exp() - target) * scale) as f32;
        }
        // A NaN among the logits may be none of the compared; it must not vanish.
        let loss = if sum.is_nan() { f64::NAN } else { loss };
        (loss, best == label)
    }

    fn binary(&self, row: &mut [f32], label: u32, scale: f64) -> (f64, bool) {
        let logit = f64::from(row[0]);
        let target = f64::from(label) * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing;
        let loss = logit.max(0.0) - logit * target + (-logit.abs()).exp().ln_1p();
        let loss = if logit.is_nan() { f64::NAN } else { loss };
        let is_right = (logit > 0.0) == (label == 1);
        row[0] = ((f64::from(sigmoid(row[0])) - target) * scale) as f32;
        (loss, is_right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{assert_gradient, finite_differences, noise};

    fn objective(loss: Loss, label_smoothing: f64) -> Objective {
        Objective {
            loss,
            label_smoothing,
            huber_delta: 0.6,
        }
    }

    #[test]
    fn gradients_match_finite_differences() {
        let weights = [0.5, 2.0, 1.0];
        for (loss, smoothing, n_columns, labels) in [
            (Loss::SparseCategoricalCrossentropy, 0.0, 4, [2, 0, 3]),
            (Loss::CategoricalCrossentropy, 0.1, 4, [2, 0, 3]),
            (Loss::BinaryCrossentropy, 0.2, 1, [1, 0, 1]),
        ] {
            let objective = objective(loss, smoothing);
            let logits = noise(3 * n_columns, 5);
            let run = |at: &mut [f32]| objective.of_classes(at, &labels, Some(&weights), n_columns);
            let mut gradient = logits.clone();
            run(&mut gradient);
            let value = |at: &[f32]| run(&mut at.to_vec()).loss_sum / 3.0;
            assert_gradient(&gradient, &finite_differences(&logits, value));
        }
        let labels = [0.5, -1.5, 0.0];
        for loss in [Loss::MeanSquaredError, Loss::MeanAbsoluteError, Loss::Huber] {
            let objective = objective(loss, 0.0);
            let predictions = noise(3, 6);
            let mut gradient = predictions.clone();
            objective.of_values(&mut gradient, &labels, Some(&weights));
            let value = |at: &[f32]| {
                objective
                    .of_values(&mut at.to_vec(), &labels, Some(&weights))
                    .loss_sum
                    / 3.0
            };
            assert_gradient(&gradient, &finite_differences(&predictions, value));
        }
    }

    /// Independent source: Keras 3.15's losses of these names on these rows.
    #[test]
    fn losses_match_keras() {
        let close = |found: f64, expected: f64| {
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        };
        let classes = |loss, smoothing, values: &[f32], labels: &[u32], n_columns| {
            let n = labels.len() as f64;
            objective(loss, smoothing)
                .of_classes(&mut values.to_vec(), labels, None, n_columns)
                .loss_sum
                / n
        };
        close(
            classes(
                Loss::SparseCategoricalCrossentropy,
                0.0,
                &[1.0, 2.0, 3.0],
                &[2],
                3,
            ),
            0.407_605_96,
        );
        close(
            classes(
                Loss::CategoricalCrossentropy,
                0.1,
                &[1.0, 2.0, 3.0],
                &[2],
                3,
            ),
            0.507_605_96,
        );
        close(
            classes(Loss::BinaryCrossentropy, 0.1, &[1.5, -0.5], &[1, 0], 1),
            0.387_745_2,
        );
        let values = |loss| {
            objective(loss, 0.0)
                .of_values(&mut [1.0, 2.0, 0.0], &[0.5, 0.0, 0.0], None)
                .loss_sum
                / 3.0
        };
        close(values(Loss::MeanSquaredError), 4.25 / 3.0);
        close(values(Loss::MeanAbsoluteError), 2.5 / 3.0);
        close(values(Loss::Huber), (0.125 + 0.6 * (2.0 - 0.3)) / 3.0);
    }
}
