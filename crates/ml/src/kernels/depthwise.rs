//! Convolution of each channel on its own, forward and backward, one image at a time.

use super::isa::with_avx2;
use super::pool::Windows;

/// Calls `visit(window position, tap, start in the image)` for every cell of every window that lies in the image.
fn each_cell(windows: &Windows, mut visit: impl FnMut(usize, usize, usize)) {
    let Windows {
        input,
        channels,
        window,
        strides,
        dilation,
        padding,
        output,
    } = *windows;
    for position in 0..output[0] * output[1] {
        let at = [position / output[1], position % output[1]];
        for tap in 0..window[0] * window[1] {
            let in_window = [tap / window[1], tap % window[1]];
            let cell = [0, 1].map(|axis| {
                (at[axis] * strides[axis] + in_window[axis] * dilation[axis])
                    .checked_sub(padding[axis])
                    .filter(|cell| *cell < input[axis])
            });
            if let [Some(row), Some(column)] = cell {
                visit(position, tap, (row * input[1] + column) * channels);
            }
        }
    }
}

with_avx2! {
    /// `output[positions, channels * multiplier]` from `image[height, width, channels]` and
    /// `kernel[height, width, channels, multiplier]`.
    pub fn forward(windows: &Windows, multiplier: usize, image: &[f32], kernel: &[f32], bias: Option<&[f32]>, output: &mut [f32]) {
        let n_outputs = windows.channels * multiplier;
        for cell in output.chunks_exact_mut(n_outputs) {
            match bias {
                Some(bias) => cell.copy_from_slice(bias),
                None => cell.fill(0.0),
            }
        }
        each_cell(windows, |position, tap, start| {
            let values = &image[start..start + windows.channels];
            let kernel = &kernel[tap * n_outputs..(tap + 1) * n_outputs];
            let cell = &mut output[position * n_outputs..(position + 1) * n_outputs];
            if multiplier == 1 {
                for ((cell, value), weight) in cell.iter_mut().zip(values).zip(kernel) {
                    *cell += value * weight;
                }
            } else {
                for (idx, (cell, weight)) in cell.iter_mut().zip(kernel).enumerate() {
                    *cell += values[idx / multiplier] * weight;
                }
            }
        });
    }
}

with_avx2! {
    /// Adds to the gradients by kernel and bias, and sets that by the image where it is wanted.
    pub fn backward(windows: &Windows, multiplier: usize, image: &[f32], kernel: &[f32], gradient: &[f32], kernel_gradient: &mut [f32], bias_gradient: Option<&mut [f32]>, image_gradient: Option<&mut [f32]>) {
        let n_outputs = windows.channels * multiplier;
        if let Some(sums) = bias_gradient {
            for cell in gradient.chunks_exact(n_outputs) {
                sums.iter_mut().zip(cell).for_each(|(sum, value)| *sum += value);
            }
        }
        each_cell(windows, |position, tap, start| {
            let gradient = &gradient[position * n_outputs..(position + 1) * n_outputs];
            let sums = &mut kernel_gradient[tap * n_outputs..(tap + 1) * n_outputs];
            for (idx, (sum, gradient)) in sums.iter_mut().zip(gradient).enumerate() {
                *sum += image[start + idx / multiplier] * gradient;
            }
        });
        let Some(image_gradient) = image_gradient else {
            return;
        };
        image_gradient.fill(0.0);
        each_cell(windows, |position, tap, start| {
            let gradient = &gradient[position * n_outputs..(position + 1) * n_outputs];
            let kernel = &kernel[tap * n_outputs..(tap + 1) * n_outputs];
            for (idx, (weight, gradient)) in kernel.iter().zip(gradient).enumerate() {
                image_gradient[start + idx / multiplier] += weight * gradient;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::pool::tests::any_windows;
    use crate::kernels::{assert_gradient, finite_differences, noise};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn forward_equals_the_definition_and_backward_finite_differences(windows in any_windows(3), multiplier in 1..3_usize) {
            let n_outputs = windows.channels * multiplier;
            let taps = windows.window[0] * windows.window[1];
            let (image, kernel, bias) = (noise(windows.input_len(), 1), noise(taps * n_outputs, 2), noise(n_outputs, 3));
            let weights = noise(windows.n_windows() * n_outputs, 4);
            let value = |image: &[f32], kernel: &[f32], bias: &[f32]| {
                let mut output = vec![9.0; weights.len()];
                forward(&windows, multiplier, image, kernel, Some(bias), &mut output);
                output.iter().zip(&weights).map(|(y, w)| f64::from(y * w)).sum::<f64>()
            };
            // The plain definition, for one output after the other.
            let mut expected = 0.0;
            for (position, cell) in weights.chunks_exact(n_outputs).enumerate() {
                for (idx, weight) in cell.iter().enumerate() {
                    let mut sum = f64::from(bias[idx]);
                    each_cell(&windows, |at, tap, start| {
                        if at == position {
                            sum += f64::from(image[start + idx / multiplier]) * f64::from(kernel[tap * n_outputs + idx]);
                        }
                    });
                    expected += sum * f64::from(*weight);
                }
            }
            prop_assert!((value(&image, &kernel, &bias) - expected).abs() < 1e-3);
            let (mut by_kernel, mut by_bias, mut by_image) = (vec![0.0; kernel.len()], vec![0.0; n_outputs], vec![5.0; image.len()]);
            backward(&windows, multiplier, &image, &kernel, &weights, &mut by_kernel, Some(&mut by_bias), Some(&mut by_image));
            assert_gradient(&by_kernel, &finite_differences(&kernel, |at| value(&image, at, &bias)));
            assert_gradient(&by_bias, &finite_differences(&bias, |at| value(&image, &kernel, at)));
            assert_gradient(&by_image, &finite_differences(&image, |at| value(at, &kernel, &bias)));
        }
    }
}
