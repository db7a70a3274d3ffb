//! Two-dimensional convolution, forward and backward, one image at a time.
//!
//! A convolution is a matrix product whose left matrix is never written out: row `position`, column `tap` lies in the
//! image at `positions[position] + taps[tap]`. Strides and dilation are in these tables, padding is a copy of the image
//! with a frame of zeros.

use super::gemm::{Axis, Left, Out, Right, Then, matmul};
use super::isa::with_avx2;
use super::pool::{Windows, each_framed_row};

/// Sizes of a convolution, and where its windows lie.
#[derive(Debug, Clone, PartialEq)]
pub struct Conv2d {
    /// Where windows lie.
    pub windows: Windows,
    /// Number of output channels.
    pub filters: usize,
    /// Height and width of the image with its frame.
    framed: [usize; 2],
    /// Where the window of each output position begins in the framed image.
    positions: Vec<u32>,
    /// Where each value under a window lies, from the window's beginning: height, width, channels.
    taps: Vec<u32>,
}

impl Conv2d {
    /// The convolution over `windows` with `filters` output channels.
    pub fn new(windows: Windows, filters: usize) -> Self {
        let Windows {
            input,
            channels,
            window,
            strides,
            dilation,
            padding,
            output,
        } = windows;
        let needed = |axis: usize| {
            (output[axis].max(1) - 1) * strides[axis]
                + (window[axis].max(1) - 1) * dilation[axis]
                + 1
        };
        let framed = [0, 1].map(|axis| needed(axis).max(padding[axis] + input[axis]));
        let at = |row: usize, column: usize| ((row * framed[1] + column) * channels) as u32;
        let positions = (0..output[0])
            .flat_map(|row| (0..output[1]).map(move |column| (row, column)))
            .map(|(row, column)| at(row * strides[0], column * strides[1]))
            .collect();
        let taps = (0..window[0])
            .flat_map(|row| (0..window[1]).map(move |column| (row, column)))
            .flat_map(|(row, column)| {
                let start = at(row * dilation[0], column * dilation[1]);
                start..start + channels as u32
            })
            .collect();
        Self {
            windows,
            filters,
            framed,
            positions,
            taps,
        }
    }

    /// Values under one window: `height * width * channels`.
    pub const fn window_len(&self) -> usize {
        self.taps.len()
    }

    /// Values of one output image.
    pub const fn output_len(&self) -> usize {
        self.positions.len() * self.filters
    }

    const fn framed_len(&self) -> usize {
        self.framed[0] * self.framed[1] * self.windows.channels
    }

    fn has_frame(&self) -> bool {
        self.framed != self.windows.input
    }

    /// Values of scratch space that [`forward`](Self::forward) and [`backward`](Self::backward) need.
    pub const fn scratch_len(&self) -> usize {
        2 * self.framed_len() + self.positions.len() * self.window_len()
    }

    /// `output = image * kernel + bias`.
    ///
    /// `image` is `[height, width, channels]`, `kernel` HWIO, `output` `[rows, columns, filters]`.
    pub fn forward(
        &self,
        image: &[f32],
        kernel: &[f32],
        bias: Option<&[f32]>,
        output: &mut [f32],
        scratch: &mut [f32],
    ) {
        let image = self.framed(image, scratch);
        let left = Left::new(image, Axis::Table(&self.positions), Axis::Table(&self.taps));
        let right = Right::rows(kernel, self.window_len(), self.filters, self.filters);
        let out = Out::new(output, self.positions.len(), self.filters, self.filters);
        matmul(left, right, out, bias.map_or(Then::Set, Then::SetWithBias));
    }

    /// Adds to `kernel_gradient`, and sets `input_gradient` where it is wanted. The gradient by the bias is the sum of the
    /// rows of `gradient`, see [`add_rows`].
    pub fn backward(
        &self,
        image: &[f32],
        kernel: &[f32],
        gradient: &[f32],
        kernel_gradient: &mut [f32],
        input_gradient: Option<&mut [f32]>,
        scratch: &mut [f32],
    ) {
        let (n_positions, window_len, filters) =
            (self.positions.len(), self.window_len(), self.filters);
        let (framed, rest) = scratch.split_at_mut(self.framed_len());
        let left = Left::new(
            self.framed(image, framed),
            Axis::Table(&self.taps),
            Axis::Table(&self.positions),
        );
        let right = Right::rows(gradient, n_positions, filters, filters);
        let out = Out::new(kernel_gradient, window_len, filters, filters);
        matmul(left, right, out, Then::Add);
        if let Some(input_gradient) = input_gradient {
            let (framed, unrolled) = rest.split_at_mut(self.framed_len());
            let unrolled = &mut unrolled[..n_positions * window_len];
            matmul(
                Left::rows(gradient, n_positions, filters, filters),
                Right::transposed(kernel, filters, window_len, filters),
                Out::new(unrolled, n_positions, window_len, window_len),
                Then::Set,
            );
            framed.fill(0.0);
            self.roll(unrolled, framed);
            self.unframe(framed, input_gradient);
        }
    }

    /// The image with its frame of zeros; the image itself where it needs none.
    fn framed<'a>(&self, image: &'a [f32], scratch: &'a mut [f32]) -> &'a [f32] {
        if !self.has_frame() {
            return image;
        }
        let framed = &mut scratch[..self.framed_len()];
        framed.fill(0.0);
        self.each_row(|in_image, in_frame, len| {
            framed[in_frame..in_frame + len].copy_from_slice(&image[in_image..in_image + len]);
        });
        framed
    }

    fn unframe(&self, framed: &[f32], image: &mut [f32]) {
        self.each_row(|in_image, in_frame, len| {
            image[in_image..in_image + len].copy_from_slice(&framed[in_frame..in_frame + len]);
        });
    }

    /// Calls `visit(start in the image, start in the frame, length)` for each row of the image.
    fn each_row(&self, visit: impl FnMut(usize, usize, usize)) {
        let Windows {
            input: [height, width],
            channels,
            padding,
            ..
        } = self.windows;
        let image = [height, width, channels];
        each_framed_row(image, padding, self.framed[1], visit);
    }

    /// Adds every value of `unrolled[positions, taps]` to where it came from.
    fn roll(&self, unrolled: &[f32], framed: &mut [f32]) {
        let channels = self.windows.channels;
        let starts: Vec<usize> = self
            .taps
            .iter()
            .step_by(channels)
            .map(|tap| *tap as usize)
            .collect();
        for (position, window) in self
            .positions
            .iter()
            .zip(unrolled.chunks_exact(self.window_len()))
        {
            for (start, values) in starts.iter().zip(window.chunks_exact(channels)) {
                let at = *position as usize + start;
                let cells = framed[at..at + channels].iter_mut();
                cells.zip(values).for_each(|(cell, value)| *cell += value);
            }
        }
    }
}

with_avx2! {
    /// Adds `values` to every row of `rows[n, values.len()]`.
    pub(crate) fn add_to_rows(rows: &mut [f32], values: &[f32]) {
        for row in rows.chunks_exact_mut(values.len().max(1)) {
            row.iter_mut().zip(values).for_each(|(out, value)| *out += value);
        }
    }
}

with_avx2! {
    /// Adds every row of `rows[n, sums.len()]` to `sums`, in order.
    pub(crate) fn add_rows(rows: &[f32], sums: &mut [f32]) {
        for row in rows.chunks_exact(sums.len().max(1)) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
    }
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
            dilation,
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
                        let at_y = (row * strides[0] + y * dilation[0]).wrapping_sub(padding[0]);
                        let at_x = (column * strides[1] + x * dilation[1]).wrapping_sub(padding[1]);
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
        let images = input.chunks_exact(conv.windows.input_len());
        let mut scratch = vec![7.0; conv.scratch_len()];
        images
            .flat_map(|image| {
                let mut output = vec![0.0; conv.output_len()];
                conv.forward(image, kernel, Some(bias), &mut output, &mut scratch);
                output
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn forward_equals_the_definition_and_backward_finite_differences(windows in any_windows(3), filters in 1..4_usize) {
            let conv = Conv2d::new(windows, filters);
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
            let images = input.chunks_exact(windows.input_len()).zip(by_input.chunks_exact_mut(windows.input_len()));
            for ((image, by_image), weights) in images.zip(weights.chunks_exact(conv.output_len())) {
                conv.backward(image, &kernel, weights, &mut by_kernel, Some(by_image), &mut scratch);
                add_rows(weights, &mut by_bias);
            }
            assert_gradient(&by_kernel, &finite_differences(&kernel, |k| value(forward(&conv, &input, k, &bias))));
            assert_gradient(&by_bias, &finite_differences(&bias, |b| value(forward(&conv, &input, &kernel, b))));
            assert_gradient(&by_input, &finite_differences(&input, |x| value(forward(&conv, x, &kernel, &bias))));
        }
    }
}
