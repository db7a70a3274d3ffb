//! Normalisation: over the batch for each channel, and along the last axis for each row.

/// Sums of a channel over rows, in f64.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moments {
    /// Sum of the values.
    pub sum: f64,
    /// Sum of the squares.
    pub squares: f64,
}

/// Adds up each channel of `rows[n, n_channels]`.
pub fn add_moments(rows: &[f32], moments: &mut [Moments]) {
    for row in rows.chunks_exact(moments.len().max(1)) {
        for (moments, &value) in moments.iter_mut().zip(row) {
            let value = f64::from(value);
            moments.sum += value;
            moments.squares += value * value;
        }
    }
}

impl std::ops::AddAssign for Moments {
    fn add_assign(&mut self, other: Self) {
        self.sum += other.sum;
        self.squares += other.squares;
    }
}

impl Moments {
    /// Mean and variance of `n` values; the variance is that of the values themselves, not an estimate beyond them.
    pub fn mean_and_variance(self, n: usize) -> (f64, f64) {
        let mean = self.sum / n as f64;
        (mean, (self.squares / n as f64 - mean * mean).max(0.0))
    }
}

/// `out = (row - mean) * factor + offset`, channel by channel.
pub fn apply(rows: &[f32], out: &mut [f32], mean: &[f32], factor: &[f32], offset: &[f32]) {
    let n_channels = mean.len().max(1);
    for (row, out) in rows
        .chunks_exact(n_channels)
        .zip(out.chunks_exact_mut(n_channels))
    {
        for (channel, (out, value)) in out.iter_mut().zip(row).enumerate() {
            *out = (value - mean[channel]) * factor[channel] + offset[channel];
        }
    }
}

/// `out = normalised * gamma + beta` along rows of `n_columns` values.
///
/// J. Ba, J. Kiros, G. Hinton (2016), "Layer Normalization"; Keras's form, with `epsilon` added to the variance.
pub fn layer_forward(
    rows: &[f32],
    out: &mut [f32],
    gamma: Option<&[f32]>,
    beta: Option<&[f32]>,
    n_columns: usize,
    epsilon: f64,
) {
    let n_columns = n_columns.max(1);
    for (row, out) in rows
        .chunks_exact(n_columns)
        .zip(out.chunks_exact_mut(n_columns))
    {
        let (mean, scale) = mean_and_scale(row, epsilon);
        for (column, (out, value)) in out.iter_mut().zip(row).enumerate() {
            let normalised = (value - mean) * scale;
            *out = normalised * gamma.map_or(1.0, |gamma| gamma[column])
                + beta.map_or(0.0, |beta| beta[column]);
        }
    }
}

/// Adds to the gradients by gamma and beta, and turns the gradient by the output into that by the input.
pub fn layer_backward(
    rows: &[f32],
    gradient: &[f32],
    input_gradient: Option<&mut [f32]>,
    gamma: Option<&[f32]>,
    mut gamma_gradient: Option<&mut [f32]>,
    mut beta_gradient: Option<&mut [f32]>,
    n_columns: usize,
    epsilon: f64,
) {
    let n_columns = n_columns.max(1);
    let mut input_gradients = input_gradient.map(|gradient| gradient.chunks_exact_mut(n_columns));
    for (row, gradient) in rows
        .chunks_exact(n_columns)
        .zip(gradient.chunks_exact(n_columns))
    {
        let (mean, scale) = mean_and_scale(row, epsilon);
        let normalised = |column: usize| (row[column] - mean) * scale;
        if let Some(sums) = &mut gamma_gradient {
            for (column, sum) in sums.iter_mut().enumerate() {
                *sum += gradient[column] * normalised(column);
            }
        }
        if let Some(sums) = &mut beta_gradient {
            sums.iter_mut()
                .zip(gradient)
                .for_each(|(sum, value)| *sum += value);
        }
        let Some(out) = input_gradients.as_mut().and_then(Iterator::next) else {
            continue;
        };
        let weighted = |column: usize| gradient[column] * gamma.map_or(1.0, |gamma| gamma[column]);
        let (mut sum, mut product) = (0.0_f64, 0.0_f64);
        for column in 0..n_columns {
            sum += f64::from(weighted(column));
            product += f64::from(weighted(column) * normalised(column));
        }
        let (mean_gradient, mean_product) = (
            (sum / n_columns as f64) as f32,
            (product / n_columns as f64) as f32,
        );
        for (column, out) in out.iter_mut().enumerate() {
            *out = scale * (weighted(column) - mean_gradient - normalised(column) * mean_product);
        }
    }
}

fn mean_and_scale(row: &[f32], epsilon: f64) -> (f32, f32) {
    let n = row.len() as f64;
    let mean = row.iter().copied().map(f64::from).sum::<f64>() / n;
    let variance = row
        .iter()
        .map(|&value| (f64::from(value) - mean).powi(2))
        .sum::<f64>()
        / n;
    (mean as f32, (1.0 / (variance + epsilon).sqrt()) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{assert_gradient, finite_differences, noise};

    #[test]
    fn the_gradients_of_layer_normalisation_match_finite_differences() {
        let (rows, gamma, beta, weights) = (noise(15, 1), noise(5, 2), noise(5, 3), noise(15, 4));
        let value = |rows: &[f32], gamma: &[f32], beta: &[f32]| {
            let mut out = vec![0.0; 15];
            layer_forward(rows, &mut out, Some(gamma), Some(beta), 5, 1e-3);
            out.iter()
                .zip(&weights)
                .map(|(y, w)| f64::from(y * w))
                .sum::<f64>()
        };
        let (mut by_rows, mut by_gamma, mut by_beta) = (vec![0.0; 15], vec![0.0; 5], vec![0.0; 5]);
        layer_backward(
            &rows,
            &weights,
            Some(&mut by_rows),
            Some(&gamma),
            Some(&mut by_gamma),
            Some(&mut by_beta),
            5,
            1e-3,
        );
        assert_gradient(
            &by_rows,
            &finite_differences(&rows, |at| value(at, &gamma, &beta)),
        );
        assert_gradient(
            &by_gamma,
            &finite_differences(&gamma, |at| value(&rows, at, &beta)),
        );
        assert_gradient(
            &by_beta,
            &finite_differences(&beta, |at| value(&rows, &gamma, at)),
        );
    }

    /// Independent source: `numpy.var` of the column.
    #[test]
    fn moments_are_those_of_numpy() {
        let mut moments = [Moments::default(); 2];
        add_moments(&[1.0, 10.0, 2.0, 10.0, 6.0, 10.0], &mut moments);
        let (mean, variance) = moments[0].mean_and_variance(3);
        assert!((mean - 3.0).abs() < 1e-12 && (variance - 14.0 / 3.0).abs() < 1e-12);
        assert_eq!(moments[1].mean_and_variance(3), (10.0, 0.0));
    }
}
