//! Pooling over windows of NHWC images.
//!
//! candle 0.11.1 divides wrongly in the backward pass of its `max_pool2d`; these do not use it.

use super::isa::with_avx2;

/// Sizes of a pooling or convolution: the input, the window, and where windows lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// Input height and width.
    pub input: [usize; 2],
    /// Channels of the input.
    pub channels: usize,
    /// Height and width of the window.
    pub window: [usize; 2],
    /// Steps down and across.
    pub strides: [usize; 2],
    /// Distance of the values under a window; 1 for pooling.
    pub dilation: [usize; 2],
    /// Zero rows above and zero columns to the left.
    pub padding: [usize; 2],
    /// Output height and width.
    pub output: [usize; 2],
}

impl Windows {
    /// Values of one input image.
    pub const fn input_len(&self) -> usize {
        self.input[0] * self.input[1] * self.channels
    }

    /// Number of windows in one image.
    pub const fn n_windows(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Whether each input value lies under exactly one window.
    fn is_tiling(&self) -> bool {
        let axis = |axis: usize| {
            self.strides[axis] == self.window[axis]
                && self.padding[axis] == 0
                && self.output[axis] * self.window[axis] == self.input[axis]
        };
        axis(0) && axis(1)
    }

    /// The input rows (axis 0) or columns (axis 1) under the window at `at`, without padding.
    pub fn span(&self, axis: usize, at: usize) -> std::ops::Range<usize> {
        let start = at * self.strides[axis];
        let end = (start + self.window[axis])
            .saturating_sub(self.padding[axis])
            .min(self.input[axis]);
        start.saturating_sub(self.padding[axis])..end
    }
}

/// Calls `visit(start in the image, start in the frame, length)` for each row of an image `[height, width, channels]`
/// that stands in a frame `framed_width` wide, `before` it the rows and columns above and to the left.
pub fn each_framed_row(
    [height, width, channels]: [usize; 3],
    before: [usize; 2],
    framed_width: usize,
    mut visit: impl FnMut(usize, usize, usize),
) {
    let len = width * channels;
    for row in 0..height {
        let in_frame = ((row + before[0]) * framed_width + before[1]) * channels;
        visit(row * len, in_frame, len);
    }
}

with_avx2! {
/// The largest value of each window and channel; `argmax` gets the place of its cell within the image (of the cell's
/// first channel), the first among equals. A NaN is carried on, so that it is noticed in the loss.
///
/// `input` is `[n, height, width, channels]`, `output` and `argmax` `[n, rows, columns, channels]`.
pub fn max_forward(windows: &Windows, input: &[f32], output: &mut [f32], argmax: &mut [u32]) {
    let channels = windows.channels;
    let out_len = windows.n_windows() * channels;
    let images = input.chunks_exact(windows.input_len());
    for ((image, output), argmax) in images.zip(output.chunks_exact_mut(out_len)).zip(argmax.chunks_exact_mut(out_len)) {
        let cells = output.chunks_exact_mut(channels).zip(argmax.chunks_exact_mut(channels));
        for (cell_idx, (best, places)) in cells.enumerate() {
            let (rows, columns) = spans(windows, cell_idx);
            let start_of = |row: usize, column: usize| (row * windows.input[1] + column) * channels;
            let mut channel = 0;
            // The usual window, unrolled.
            if let ([top, bottom], [left, right]) = (ends(&rows), ends(&columns)) && bottom == top + 1 && right == left + 1 {
                let starts = [start_of(top, left), start_of(top, right), start_of(bottom, left), start_of(bottom, right)];
                while channel + LANES <= channels {
                    let (values, at) = max_of::<LANES>(image, starts.into_iter(), channel);
                    best[channel..channel + LANES].copy_from_slice(&values);
                    places[channel..channel + LANES].copy_from_slice(&at);
                    channel += LANES;
                }
            }
            let starts = rows.flat_map(|row| columns.clone().map(move |column| start_of(row, column)));
            while channel + LANES <= channels {
                let (values, at) = max_of::<LANES>(image, starts.clone(), channel);
                best[channel..channel + LANES].copy_from_slice(&values);
                places[channel..channel + LANES].copy_from_slice(&at);
                channel += LANES;
            }
            for channel in channel..channels {
                let ([value], [at]) = max_of::<1>(image, starts.clone(), channel);
                best[channel] = value;
                places[channel] = at;
            }
        }
    }
}
}

/// Channels that are compared together.
const LANES: usize = 16;

/// The largest values of `N` channels over the cells at `starts`, and the start of the cell that each lies in. Kept in
/// registers until all cells are seen.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "compiled for the instructions of its caller"
)]
fn max_of<const N: usize>(
    image: &[f32],
    starts: impl Iterator<Item = usize>,
    channel: usize,
) -> ([f32; N], [u32; N]) {
    let (mut best, mut places) = ([f32::NEG_INFINITY; N], [0; N]);
    for start in starts {
        let values = &image[start + channel..start + channel + N];
        for ((best, place), &value) in best.iter_mut().zip(&mut places).zip(values) {
            let is_larger = (value > *best) | value.is_nan();
            *best = if is_larger { value } else { *best };
            *place = if is_larger { start as u32 } else { *place };
        }
    }
    (best, places)
}

with_avx2! {
/// Adds each output's gradient to the input value that it came from; `input_gradient` is set anew.
pub fn max_backward(
    windows: &Windows,
    argmax: &[u32],
    gradient: &[f32],
    input_gradient: &mut [f32],
) {
    let out_len = windows.n_windows() * windows.channels;
    if windows.is_tiling() {
        spread_over_tiles(windows, argmax, gradient, input_gradient);
        return;
    }
    input_gradient.fill(0.0);
    let images = input_gradient.chunks_exact_mut(windows.input_len());
    for ((image, argmax), gradient) in images
        .zip(argmax.chunks_exact(out_len))
        .zip(gradient.chunks_exact(out_len))
    {
        let cells = argmax.chunks_exact(windows.channels).zip(gradient.chunks_exact(windows.channels));
        for (places, gradient) in cells {
            for (channel, (&place, &gradient)) in places.iter().zip(gradient).enumerate() {
                image[place as usize + channel] += gradient;
            }
        }
    }
}

}

/// [`max_backward`] where each input value lies under exactly one window: every value is written once.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "compiled for the instructions of its caller"
)]
fn spread_over_tiles(
    windows: &Windows,
    argmax: &[u32],
    gradient: &[f32],
    input_gradient: &mut [f32],
) {
    let channels = windows.channels;
    let out_len = windows.n_windows() * channels;
    let images = input_gradient.chunks_exact_mut(windows.input_len());
    for ((image, argmax), gradient) in images
        .zip(argmax.chunks_exact(out_len))
        .zip(gradient.chunks_exact(out_len))
    {
        let cells = argmax
            .chunks_exact(channels)
            .zip(gradient.chunks_exact(channels));
        for (cell_idx, (places, gradient)) in cells.enumerate() {
            let (rows, columns) = spans(windows, cell_idx);
            for (row, column) in
                rows.flat_map(|row| columns.clone().map(move |column| (row, column)))
            {
                let start = (row * windows.input[1] + column) * channels;
                let values = &mut image[start..start + channels];
                for ((value, place), &gradient) in values.iter_mut().zip(places).zip(gradient) {
                    *value = if *place == start as u32 {
                        gradient
                    } else {
                        0.0
                    };
                }
            }
        }
    }
}

with_avx2! {
/// The mean of each window and channel; padding does not count.
pub fn average_forward(windows: &Windows, input: &[f32], output: &mut [f32]) {
    let channels = windows.channels;
    let images = input.chunks_exact(windows.input_len());
    for (image, output) in images.zip(output.chunks_exact_mut(windows.n_windows() * channels)) {
        for (cell_idx, sums) in output.chunks_exact_mut(channels).enumerate() {
            let (rows, columns) = spans(windows, cell_idx);
            let scale = 1.0 / (rows.len() * columns.len()) as f32;
            sums.fill(0.0);
            for row in rows {
                for column in columns.clone() {
                    let start = (row * windows.input[1] + column) * channels;
                    sums.iter_mut()
                        .zip(&image[start..start + channels])
                        .for_each(|(sum, value)| *sum += value);
                }
            }
            sums.iter_mut().for_each(|sum| *sum *= scale);
        }
    }
}

}

with_avx2! {
/// Spreads each output's gradient evenly over its window; `input_gradient` is set anew.
pub fn average_backward(windows: &Windows, gradient: &[f32], input_gradient: &mut [f32]) {
    input_gradient.fill(0.0);
    let channels = windows.channels;
    let images = input_gradient.chunks_exact_mut(windows.input_len());
    for (image, gradient) in images.zip(gradient.chunks_exact(windows.n_windows() * channels)) {
        for (cell_idx, gradient) in gradient.chunks_exact(channels).enumerate() {
            let (rows, columns) = spans(windows, cell_idx);
            let scale = 1.0 / (rows.len() * columns.len()) as f32;
            for row in rows {
                for column in columns.clone() {
                    let start = (row * windows.input[1] + column) * channels;
                    let cells = image[start..start + channels].iter_mut().zip(gradient);
                    cells.for_each(|(cell, gradient)| *cell += gradient * scale);
                }
            }
        }
    }
}

}

/// First and last of a range.
fn ends(range: &std::ops::Range<usize>) -> [usize; 2] {
    [range.start, range.end.saturating_sub(1)]
}

fn spans(windows: &Windows, cell_idx: usize) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
    (
        windows.span(0, cell_idx / windows.output[1]),
        windows.span(1, cell_idx % windows.output[1]),
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::{assert_gradient, finite_differences, noise};
    use trainyard_core::model::architecture::same_padding;

    /// Odd shapes: any input, window and stride, with and without padding.
    pub(crate) fn any_windows(max_dilation: usize) -> impl Strategy<Value = Windows> {
        let sizes = (
            1..9_usize,
            1..9_usize,
            1..4_usize,
            1..4_usize,
            1..4_usize,
            1..4_usize,
            1..4_usize,
        );
        (sizes, any::<bool>(), 1..=max_dilation).prop_filter_map(
            "the window must fit",
            move |((h, w, channels, kh, kw, sh, sw), same, dilation)| {
                let axis = |size: usize, window: usize, stride: usize| {
                    let window = (window - 1) * dilation + 1;
                    if same {
                        Some((size.div_ceil(stride), same_padding(size, window, stride).0))
                    } else {
                        (window <= size).then(|| ((size - window) / stride + 1, 0))
                    }
                };
                let ((rows, top), (columns, left)) = (axis(h, kh, sh)?, axis(w, kw, sw)?);
                Some(Windows {
                    input: [h, w],
                    channels,
                    window: [kh, kw],
                    strides: [sh, sw],
                    dilation: [dilation, dilation],
                    padding: [top, left],
                    output: [rows, columns],
                })
            },
        )
    }

    fn weighted(output: &[f32], weights: &[f32]) -> f64 {
        output
            .iter()
            .zip(weights)
            .map(|(y, w)| f64::from(y * w))
            .sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn max_pooling_has_the_gradient_of_finite_differences(windows in any_windows(1)) {
            let n_out = 2 * windows.n_windows() * windows.channels;
            // Far enough apart that a finite step changes no maximum.
            let mut input: Vec<f32> = (0..2 * windows.input_len()).map(|i| i as f32 * 0.1).collect();
            crate::random::Stream::new(1, crate::random::Purpose::Shuffle, 0).shuffle(&mut input);
            let weights = noise(n_out, 8);
            let (mut output, mut argmax) = (vec![0.0; n_out], vec![0; n_out]);
            max_forward(&windows, &input, &mut output, &mut argmax);
            let mut gradient = vec![9.0; input.len()];
            max_backward(&windows, &argmax, &weights, &mut gradient);
            let expected = finite_differences(&input, |at| {
                let (mut output, mut argmax) = (vec![0.0; n_out], vec![0; n_out]);
                max_forward(&windows, at, &mut output, &mut argmax);
                weighted(&output, &weights)
            });
            assert_gradient(&gradient, &expected);
        }

        #[test]
        fn average_pooling_has_the_gradient_of_finite_differences(windows in any_windows(1)) {
            let n_out = 2 * windows.n_windows() * windows.channels;
            let input = noise(2 * windows.input_len(), 9);
            let weights = noise(n_out, 10);
            let mut gradient = vec![9.0; input.len()];
            average_backward(&windows, &weights, &mut gradient);
            let expected = finite_differences(&input, |at| {
                let mut output = vec![0.0; n_out];
                average_forward(&windows, at, &mut output);
                weighted(&output, &weights)
            });
            assert_gradient(&gradient, &expected);
        }
    }

    /// Worked by hand: one 4 by 4 image, windows of 2 by 2.
    #[test]
    fn pooling_matches_a_hand_calculation() {
        let windows = Windows {
            input: [4, 4],
            channels: 1,
            window: [2, 2],
            strides: [2, 2],
            dilation: [1, 1],
            padding: [0, 0],
            output: [2, 2],
        };
        let input: Vec<f32> = (0..16).map(|i| i as f32).collect();
        let (mut output, mut argmax) = ([0.0; 4], [0; 4]);
        max_forward(&windows, &input, &mut output, &mut argmax);
        assert_eq!((output, argmax), ([5.0, 7.0, 13.0, 15.0], [5, 7, 13, 15]));
        average_forward(&windows, &input, &mut output);
        assert_eq!(output, [2.5, 4.5, 10.5, 12.5]);
        // Equal values: all of the gradient goes to the first, none is lost or doubled.
        max_forward(&windows, &[1.0; 16], &mut output, &mut argmax);
        let mut gradient = [0.0; 16];
        max_backward(&windows, &argmax, &[1.0; 4], &mut gradient);
        assert_eq!((argmax, gradient.iter().sum::<f32>()), ([0, 2, 8, 10], 4.0));
    }
}
