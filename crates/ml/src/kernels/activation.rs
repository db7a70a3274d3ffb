//! Activation functions, in place.

use trainyard_core::model::architecture::Activation;

/// Applies `activation` to rows of `n_columns` values, in place; softmax along each row.
pub fn forward(activation: Activation, values: &mut [f32], n_columns: usize) {
    match activation {
        Activation::Linear => {}
        Activation::Relu => values.iter_mut().for_each(|x| *x = x.max(0.0)),
        Activation::Sigmoid => values
            .iter_mut()
            .for_each(|x| *x = 1.0 / (1.0 + (-*x).exp())),
        Activation::Tanh => values.iter_mut().for_each(|x| *x = x.tanh()),
        Activation::Softmax => values.chunks_exact_mut(n_columns.max(1)).for_each(softmax),
    }
}

/// Turns the gradient by the activation's output into that by its input, in place.
///
/// `output` is what [`forward`] left. The gradient of relu at 0 is 0. Softmax is left as it is: its gradient belongs to
/// the cross-entropy that follows it (`kernels::loss`).
pub fn backward(activation: Activation, output: &[f32], gradient: &mut [f32]) {
    let pairs = gradient.iter_mut().zip(output);
    match activation {
        Activation::Linear | Activation::Softmax => {}
        Activation::Relu => pairs.for_each(|(g, &y)| *g = if y > 0.0 { *g } else { 0.0 }),
        Activation::Sigmoid => pairs.for_each(|(g, &y)| *g *= y * (1.0 - y)),
        Activation::Tanh => pairs.for_each(|(g, &y)| *g *= 1.0 - y * y),
    }
}

/// `e^x` over its sum, with the largest value subtracted first so that nothing overflows.
fn softmax(row: &mut [f32]) {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for x in row.iter_mut() {
        *x = (*x - largest).exp();
        sum += *x;
    }
    row.iter_mut().for_each(|x| *x /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{assert_gradient, finite_differences, noise};

    #[test]
    fn gradients_match_finite_differences() {
        for activation in [
            Activation::Linear,
            Activation::Relu,
            Activation::Sigmoid,
            Activation::Tanh,
        ] {
            // Away from relu's kink, where finite differences are wrong.
            let inputs: Vec<f32> = noise(24, 3)
                .iter()
                .map(|x| x + 0.05_f32.copysign(*x))
                .collect();
            let weights = noise(24, 4);
            let value = |inputs: &[f32]| {
                let mut outputs = inputs.to_vec();
                forward(activation, &mut outputs, 8);
                outputs
                    .iter()
                    .zip(&weights)
                    .map(|(y, w)| f64::from(y * w))
                    .sum()
            };
            let mut output = inputs.clone();
            forward(activation, &mut output, 8);
            let mut gradient = weights.clone();
            backward(activation, &output, &mut gradient);
            assert_gradient(&gradient, &finite_differences(&inputs, value));
        }
    }

    /// Independent source: `scipy.special.softmax([1, 2, 3])`.
    #[test]
    fn softmax_matches_scipy_and_does_not_overflow() {
        let mut row = [1.0, 2.0, 3.0, 1001.0, 1002.0, 1003.0];
        forward(Activation::Softmax, &mut row, 3);
        for (found, expected) in row
            .iter()
            .zip([0.090_030_57, 0.244_728_48, 0.665_240_94].repeat(2))
        {
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
    }
}
