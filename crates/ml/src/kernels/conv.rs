//! Two-dimensional convolution with bias and activation, forward and backward, as matrix products over unrolled windows.

use super::activation;
use super::matmul::{Matrix, matmul};
use super::pool::Windows;
use trainyard_core::model::architecture::Activation;

/// Sizes and activation of a convolution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv2d {
    /// Where windows lie.
    pub windows: Windows,
    /// Number of output channels.
    pub filters: usize,
    /// Applied to the result.
    pub activation: Activation,
}

impl Conv2d {
    /// Values under one window: `height * width * channels`.
    pub const fn window_len(&self) -> usize {
        self.windows.window[0] * self.windows.window[1] * self.windows.channels
    }

    /// Values of one output image.
    pub const fn output_len(&self) -> usize {
        self.windows.n_windows() * self.filters
    }

    /// Values of scratch space that [`forward`](Self::forward) and [`backward`](Self::backward) need.
    pub const fn scratch_len(&self) -> usize {
        self.windows.n_windows() * self.window_len()
    }

    /// `output = activation(input * kernel + bias)`.
    ///
    /// `input` is `[n, height, width, channels]`, `kernel` HWIO, `output` `[n, rows, columns, filters]`.
    pub fn forward(
        &self,
        input: &[f32],
        kernel: &[f32],
        bias: Option<&[f32]>,
        output: &mut [f32],
        scratch: &mut [f32],
    ) {
        let sizes = [self.windows.n_windows(), self.window_len(), self.filters];
        let images = input.chunks_exact(self.windows.input_len());
        for (image, output) in images.zip(output.chunks_exact_mut(self.output_len())) {
            unroll(&self.windows, image, scratch);
            let (left, right) = (
                Matrix::rows(scratch, self.window_len()),
                Matrix::rows(kernel, self.filters),
            );
            matmul(sizes, left, right, output, self.filters, false);
            if let Some(bias) = bias {
                let cells = output.chunks_exact_mut(self.filters);
                cells.for_each(|cell| {
                    cell.iter_mut()
                        .zip(bias)
                        .for_each(|(value, bias)| *value += bias);
                });
            }
            activation::forward(self.activation, output, self.filters);
        }
    }

    /// Adds to `kernel_gradient` and `bias_gradient`, and sets `input_gradient` where it is wanted.
    ///
    /// `gradient` is that of the result before the activation; see [`activation::backward`].
    pub fn backward(
        &self,
        input: &[f32],
        kernel: &[f32],
        gradient: &[f32],
        kernel_gradient: &mut [f32],
        bias_gradient: Option<&mut [f32]>,
        input_gradient: Option<&mut [f32]>,
        scratch: &mut [f32],
    ) {
        let (n_windows, window_len, filters) =
            (self.windows.n_windows(), self.window_len(), self.filters);
        let images = input.chunks_exact(self.windows.input_len());
        for (image, gradient) in images.zip(gradient.chunks_exact(self.output_len())) {
            unroll(&self.windows, image, scratch);
            let left = Matrix::rows(scratch, window_len).transposed();
            let right = Matrix::rows(gradient, filters);
            matmul(
                [window_len, n_windows, filters],
                left,
                right,
                kernel_gradient,
                filters,
                true,
            );
        }
        if let Some(bias_gradient) = bias_gradient {
            for cell in gradient.chunks_exact(filters) {
                bias_gradient
                    .iter_mut()
                    .zip(cell)
                    .for_each(|(sum, value)| *sum += value);
            }
        }
        if let Some(input_gradient) = input_gradient {
            input_gradient.fill(0.0);
            let images = input_gradient.chunks_exact_mut(self.windows.input_len());
            for (image, gradient) in images.zip(gradient.chunks_exact(self.output_len())) {
                let right = Matrix::rows(kernel, filters).transposed();
                matmul(
                    [n_windows, filters, window_len],
                    Matrix::rows(gradient, filters),
                    right,
                    scratch,
                    window_len,
                    false,
                );
                roll(&self.windows, scratch, image);
            }
        }
    }
}

/// Where the pieces of each window lie: calls `visit(start in the unrolled rows, start in the image, length)`.
fn each_run(windows: &Windows, mut visit: impl FnMut(usize, usize, usize)) {
    let channels = windows.channels;
    let run = windows.window[1] * channels;
    let window_len = windows.window[0] * run;
    for row in 0..windows.output[0] {
        for column in 0..windows.output[1] {
            let cell = (row * windows.output[1] + column) * window_len;
            let columns = windows.span(1, column);
            let skipped =
                (columns.start + windows.padding[1]).saturating_sub(column * windows.strides[1]);
            let len = columns.len() * channels;
            for image_row in windows.span(0, row) {
                let window_row = image_row + windows.padding[0] - row * windows.strides[0];
                let unrolled = cell + window_row * run + skipped * channels;
                visit(
                    unrolled,
                    (image_row * windows.input[1] + columns.start) * channels,
                    len,
                );
            }
        }
    }
}

/// Lays every window out as a row: `unrolled[rows * columns, height * width * channels]`, zeros where there is padding.
fn unroll(windows: &Windows, image: &[f32], unrolled: &mut [f32]) {
    if windows.padding != [0, 0]
        || windows.span(0, windows.output[0] - 1).len() < windows.window[0]
        || windows.span(1, windows.output[1] - 1).len() < windows.window[1]
    {
        unrolled.fill(0.0);
    }
    each_run(windows, |to, from, len| {
        unrolled[to..to + len].copy_from_slice(&image[from..from + len]);
    });
}

/// Adds every row of `unrolled` back to where it came from.
fn roll(windows: &Windows, unrolled: &[f32], image: &mut [f32]) {
    each_run(windows, |from, to, len| {
        image[to..to + len]
            .iter_mut()
            .zip(&unrolled[from..from + len])
            .for_each(|(sum, value)| *sum += value);
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::pool::tests::any_windows;
    use crate::kernels::{assert_gradient, finite_differences, noise};

    /// The plain definition, without unrolling.
    fn reference(conv: &Conv2d, input: &[f32], kernel: &[f32], bias: &[f32]) -> Vec<f32> {
        let Windows {
            input: [h, w],
            channels,
            window: [kh, kw],
            strides,
            padding,
            output: [rows, columns],
        } = conv.windows;
        let mut output = Vec::new();
        for image in input.chunks_exact(conv.windows.input_len()) {
            for (row, column) in
                (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)))
            {
                for filter in 0..conv.filters {
                    let mut sum = f64::from(bias[filter]);
                    for (y, x) in (0..kh).flat_map(|y| (0..kw).map(move |x| (y, x))) {
                        let at_y = (row * strides[0] + y).wrapping_sub(padding[0]);
                        let at_x = (column * strides[1] + x).wrapping_sub(padding[1]);
                        if at_y < h && at_x < w {
                            for channel in 0..channels {
                                let weight = kernel
                                    [((y * kw + x) * channels + channel) * conv.filters + filter];
                                sum += f64::from(image[(at_y * w + at_x) * channels + channel])
                                    * f64::from(weight);
                            }
                        }
                    }
                    output.push(sum as f32);
                }
            }
        }
        output
    }

    fn forward(conv: &Conv2d, input: &[f32], kernel: &[f32], bias: &[f32]) -> Vec<f32> {
        let n_images = input.len() / conv.windows.input_len();
        let mut output = vec![0.0; n_images * conv.output_len()];
        conv.forward(
            input,
            kernel,
            Some(bias),
            &mut output,
            &mut vec![7.0; conv.scratch_len()],
        );
        output
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn forward_equals_the_definition_and_backward_finite_differences(windows in any_windows(), filters in 1..4_usize) {
            let conv = Conv2d { windows, filters, activation: Activation::Linear };
            let input = noise(2 * windows.input_len(), 11);
            let kernel = noise(conv.window_len() * filters, 12);
            let bias = noise(filters, 13);
            let output = forward(&conv, &input, &kernel, &bias);
            let expected = reference(&conv, &input, &kernel, &bias);
            prop_assert!(output.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-4));

            let weights = noise(output.len(), 14);
            let value = |output: Vec<f32>| output.iter().zip(&weights).map(|(y, w)| f64::from(y * w)).sum::<f64>();
            let (mut by_kernel, mut by_bias) = (vec![0.0; kernel.len()], vec![0.0; filters]);
            let mut by_input = vec![5.0; input.len()];
            let mut scratch = vec![7.0; conv.scratch_len()];
            conv.backward(&input, &kernel, &weights, &mut by_kernel, Some(&mut by_bias), Some(&mut by_input), &mut scratch);
            assert_gradient(&by_kernel, &finite_differences(&kernel, |k| value(forward(&conv, &input, k, &bias))));
            assert_gradient(&by_bias, &finite_differences(&bias, |b| value(forward(&conv, &input, &kernel, b))));
            assert_gradient(&by_input, &finite_differences(&input, |x| value(forward(&conv, x, &kernel, &bias))));
        }
    }
}
