//! Activation functions, in place.

use trainyard_core::model::architecture::Activation;

use super::isa::with_avx2;

/// Slope of `leaky_relu` below 0, as in Keras.
const LEAKY_SLOPE: f32 = 0.2;

/// The factors of `selu`: G. Klambauer and others (2017), "Self-Normalizing Neural Networks", NIPS.
const SELU_SCALE: f32 = 1.050_701;
const SELU_ALPHA: f32 = 1.673_263_2;

/// Whether the gradient follows from the output alone. Where it does not, the layer keeps its input.
pub const fn is_invertible(activation: Activation) -> bool {
    !matches!(
        activation,
        Activation::Gelu | Activation::Silu | Activation::Softmax
    )
}

/// Whether a larger input never gives a smaller output, value by value, so that it can follow a maximum.
pub const fn is_monotone(activation: Activation) -> bool {
    is_invertible(activation)
}

/// Applies `activation` to rows of `n_columns` values, in place; softmax along each row. NaN stays NaN.
pub fn forward(activation: Activation, values: &mut [f32], n_columns: usize) {
    let each = |values: &mut [f32], function: fn(f32) -> f32| {
        values.iter_mut().for_each(|x| *x = function(*x));
    };
    match activation {
        Activation::Linear => {}
        Activation::Relu => relu(values),
        Activation::LeakyRelu => each(values, |x| if x < 0.0 { LEAKY_SLOPE * x } else { x }),
        Activation::Elu => each(values, |x| if x < 0.0 { x.exp_m1() } else { x }),
        Activation::Selu => each(values, |x| {
            SELU_SCALE * if x < 0.0 { SELU_ALPHA * x.exp_m1() } else { x }
        }),
        Activation::Gelu => each(values, |x| x * normal_cdf(x)),
        Activation::Silu => each(values, |x| x * sigmoid(x)),
        Activation::Sigmoid => each(values, sigmoid),
        Activation::Tanh => each(values, f32::tanh),
        Activation::Softplus => each(values, |x| x.max(0.0) + (-x.abs()).exp().ln_1p()),
        Activation::Softmax => values.chunks_exact_mut(n_columns.max(1)).for_each(softmax),
    }
}

/// Turns the gradient by the activation's output into that by its input, in place.
///
/// `output` is what [`forward`] left; `input`, which only some functions need, what it was given. The gradient of relu
/// at 0 is 0.
pub fn backward(
    activation: Activation,
    input: &[f32],
    output: &[f32],
    gradient: &mut [f32],
    n_columns: usize,
) {
    assert_eq!(output.len(), gradient.len(), "one gradient an output");
    let by_output = |gradient: &mut [f32], slope: fn(f32) -> f32| {
        gradient
            .iter_mut()
            .zip(output)
            .for_each(|(g, &y)| *g *= slope(y));
    };
    let by_input = |gradient: &mut [f32], slope: fn(f32) -> f32| {
        assert_eq!(
            input.len(),
            gradient.len(),
            "a function that is not invertible keeps its input"
        );
        gradient
            .iter_mut()
            .zip(input)
            .for_each(|(g, &x)| *g *= slope(x));
    };
    match activation {
        Activation::Linear => {}
        Activation::Relu => relu_backward(output, gradient),
        Activation::LeakyRelu => by_output(gradient, |y| if y < 0.0 { LEAKY_SLOPE } else { 1.0 }),
        Activation::Elu => by_output(gradient, |y| if y < 0.0 { y + 1.0 } else { 1.0 }),
        Activation::Selu => by_output(gradient, |y| {
            if y < 0.0 {
                y + SELU_SCALE * SELU_ALPHA
            } else {
                SELU_SCALE
            }
        }),
        Activation::Gelu => by_input(gradient, |x| normal_cdf(x) + x * normal_density(x)),
        Activation::Silu => by_input(gradient, |x| {
            let s = sigmoid(x);
            s * (1.0 + x * (1.0 - s))
        }),
        Activation::Sigmoid => by_output(gradient, |y| y * (1.0 - y)),
        Activation::Tanh => by_output(gradient, |y| 1.0 - y * y),
        Activation::Softplus => by_output(gradient, |y| -(-y).exp_m1()),
        Activation::Softmax => {
            let rows = gradient.chunks_exact_mut(n_columns.max(1));
            for (gradient, output) in rows.zip(output.chunks_exact(n_columns.max(1))) {
                let mean: f32 = gradient.iter().zip(output).map(|(g, y)| g * y).sum();
                gradient
                    .iter_mut()
                    .zip(output)
                    .for_each(|(g, &y)| *g = y * (*g - mean));
            }
        }
    }
}

with_avx2! {
    fn relu(values: &mut [f32]) {
        values.iter_mut().for_each(|x| *x = if *x < 0.0 { 0.0 } else { *x });
    }
}

with_avx2! {
    fn relu_backward(output: &[f32], gradient: &mut [f32]) {
        for (g, &y) in gradient.iter_mut().zip(output) {
            *g = if y > 0.0 { *g } else { 0.0 };
        }
    }
}

/// `1 / (1 + e^-x)`.
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The normal distribution's Φ.
fn normal_cdf(x: f32) -> f32 {
    (0.5 * libm::erfc(-f64::from(x) * std::f64::consts::FRAC_1_SQRT_2)) as f32
}

fn normal_density(x: f32) -> f32 {
    let x = f64::from(x);
    ((-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()) as f32
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

    const ALL: [Activation; 11] = [
        Activation::Linear,
        Activation::Relu,
        Activation::LeakyRelu,
        Activation::Elu,
        Activation::Selu,
        Activation::Gelu,
        Activation::Silu,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Softplus,
        Activation::Softmax,
    ];

    #[test]
    fn gradients_match_finite_differences() {
        for activation in ALL {
            // Away from the kink at 0.
            let inputs: Vec<f32> = noise(24, 3)
                .iter()
                .map(|x| 3.0 * x + 0.1 * x.signum())
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
            backward(activation, &inputs, &output, &mut gradient, 8);
            assert_gradient(&gradient, &finite_differences(&inputs, value));
        }
    }

    /// Independent source: Keras 3.15's functions of these names at -1.5, 0 and 0.7 (softmax aside).
    #[test]
    fn values_match_keras() {
        let expected: [(Activation, [f32; 3]); 10] = [
            (Activation::Linear, [-1.5, 0.0, 0.7]),
            (Activation::Relu, [0.0, 0.0, 0.7]),
            (Activation::LeakyRelu, [-0.3, 0.0, 0.7]),
            (Activation::Elu, [-0.776_869_83, 0.0, 0.7]),
            (Activation::Selu, [-1.365_814_8, 0.0, 0.735_490_7]),
            (Activation::Gelu, [-0.100_210_8, 0.0, 0.530_625_4]),
            (Activation::Silu, [-0.273_638_3, 0.0, 0.467_731_4]),
            (Activation::Sigmoid, [0.182_425_5, 0.5, 0.668_187_8]),
            (Activation::Tanh, [-0.905_148_27, 0.0, 0.604_367_8]),
            (
                Activation::Softplus,
                [0.201_413_28, std::f32::consts::LN_2, 1.103_186],
            ),
        ];
        for (activation, expected) in expected {
            let mut values = [-1.5, 0.0, 0.7];
            forward(activation, &mut values, 3);
            for (found, expected) in values.iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 2e-6,
                    "{activation:?}: {found} is not {expected}"
                );
            }
        }
    }

    #[test]
    fn nan_is_never_hidden() {
        for activation in ALL {
            let mut values = [f32::NAN, 1.0];
            forward(activation, &mut values, 2);
            assert!(values[0].is_nan(), "{activation:?}");
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
