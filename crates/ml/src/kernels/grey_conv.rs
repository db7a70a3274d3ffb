//! The usual first layers over grey images in one pass: convolution 3 by 3, bias, ReLU and maximum pooling 2 by 2.
//!
//! The image between convolution and pooling, four times as large as what is kept of it, never leaves the registers;
//! backward, each output reads the nine values under the one window that it came from.
//! Sums run in the order of the taps and of the output's cells; AVX2 and AVX-512 give the same bits.
//!
//! A patch that is all zero is passed over, so there a zero times a weight counts as zero even where the weight is
//! infinite or no number.

#![expect(
    clippy::inline_always,
    reason = "compiled for the instructions of its caller"
)]
#![expect(
    unsafe_code,
    reason = "micro-kernels read and write through raw pointers"
)]

use super::lanes::{LANES, Lanes, by_isa};
use super::pool::Windows;

/// Height and width of the kernel.
const SIDE: usize = 3;

/// Values under a window.
const TAPS: usize = SIDE * SIDE;

/// Width of the patch of the image under a cell's four windows, and of a row of a vector that holds it.
const PATCH: usize = SIDE + 1;

/// The cells of a pooling window, as places in the patch.
const CELLS: [usize; 4] = [0, 1, PATCH, PATCH + 1];

/// Sizes of such layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GreyConv {
    /// Height and width of the image.
    input: [usize; 2],
    /// Height and width after pooling.
    output: [usize; 2],
    filters: usize,
}

impl GreyConv {
    /// `None` where the layers are others: more channels, another kernel or pooling, strides, padding, or filters that do
    /// not fill vectors.
    pub fn new(conv: &Windows, filters: usize, pool: &Windows) -> Option<Self> {
        let is_usual = conv.channels == 1
            && conv.window == [SIDE; 2]
            && conv.strides == [1; 2]
            && conv.dilation == [1; 2]
            && conv.padding == [0; 2]
            && (0..2).all(|axis| conv.output[axis] + SIDE - 1 == conv.input[axis])
            && pool.input == conv.output
            && pool.window == [2; 2]
            && pool.strides == [2; 2]
            && pool.padding == [0; 2]
            && (0..2).all(|axis| 2 * pool.output[axis] <= pool.input[axis])
            && filters > 0
            && filters.is_multiple_of(LANES);
        is_usual.then_some(Self {
            input: conv.input,
            output: pool.output,
            filters,
        })
    }

    const fn image_len(&self) -> usize {
        self.input[0] * self.input[1]
    }

    const fn output_len(&self) -> usize {
        self.output[0] * self.output[1] * self.filters
    }
}

/// What the forward pass reads.
#[derive(Debug, Clone, Copy)]
pub struct Parameters<'a> {
    /// `[3, 3, 1, filters]`.
    pub kernel: &'a [f32],
    /// `[filters]`.
    pub bias: Option<&'a [f32]>,
}

by_isa! {
    /// `output = relu(max over cells (image * kernel + bias))`; `cells` gets the cell that each value came from.
    ///
    /// `image` is `[height, width]`, `output` and `cells` `[rows, columns, filters]`.
    ///
    /// # Panics
    /// If the sizes do not agree.
    fn forward = forward_with = forward_body(sizes: GreyConv, image: &[f32], parameters: Parameters<'_>, output: &mut [f32], cells: &mut [u8])
}

by_isa! {
    /// Adds to the gradients by the kernel and the bias, from the gradient by the output.
    ///
    /// # Panics
    /// If the sizes do not agree.
    fn backward = backward_with = backward_body(sizes: GreyConv, image: &[f32], cells: &[u8], gradient: &[f32], by_kernel: &mut [f32], by_bias: Option<&mut [f32]>)
}

/// Calls `$function::<V, N>` for all channels, two vectors at a time where the registers hold them.
macro_rules! each_channels {
    ($channel:ident of $filters:expr, $lanes:ty, $function:ident($($argument:expr),* $(,)?)) => {{
        let mut $channel = 0;
        if <$lanes>::MAX_SUMS >= 8 {
            while $channel + 2 * LANES <= $filters {
                $function::<$lanes, 2>($($argument),*);
                $channel += 2 * LANES;
            }
        }
        while $channel < $filters {
            $function::<$lanes, 1>($($argument),*);
            $channel += LANES;
        }
    }};
}

/// # Safety
/// The machine must have the instructions of `V`.
#[inline(always)]
unsafe fn forward_body<V: Lanes>(
    sizes: GreyConv,
    image: &[f32],
    parameters: Parameters<'_>,
    output: &mut [f32],
    cells: &mut [u8],
) {
    let filters = sizes.filters;
    assert!(
        image.len() == sizes.image_len()
            && parameters.kernel.len() == TAPS * filters
            && parameters.bias.is_none_or(|bias| bias.len() == filters)
            && output.len() == sizes.output_len()
            && cells.len() == sizes.output_len(),
        "sizes of a convolution do not agree"
    );
    // SAFETY: sizes were checked above.
    unsafe {
        each_channels!(
            channel of filters,
            V,
            forward_channels(sizes, image, parameters, channel, output, cells)
        );
    }
}

/// Of `N` vectors of channels, from `channel` on.
///
/// # Safety
/// As [`forward_body`], which checks the sizes.
#[inline(always)]
unsafe fn forward_channels<V: Lanes, const N: usize>(
    sizes: GreyConv,
    image: &[f32],
    parameters: Parameters<'_>,
    channel: usize,
    output: &mut [f32],
    cells: &mut [u8],
) {
    let (width, filters) = (sizes.input[1], sizes.filters);
    // SAFETY: the caller's; each patch lies within the image, since the windows do.
    unsafe {
        let mut kernel = [[V::zero(); N]; TAPS];
        for (tap, vectors) in kernel.iter_mut().enumerate() {
            for (idx, vector) in vectors.iter_mut().enumerate() {
                let start = tap * filters + channel + idx * LANES;
                *vector = V::load(parameters.kernel.as_ptr().add(start));
            }
        }
        let mut bias = [V::zero(); N];
        if let Some(all) = parameters.bias {
            for (idx, vector) in bias.iter_mut().enumerate() {
                *vector = V::load(all.as_ptr().add(channel + idx * LANES));
            }
        }
        let blank = pooled([[V::zero(); N]; CELLS.len()], bias);
        for row in 0..sizes.output[0] {
            for column in 0..sizes.output[1] {
                let patch = image.as_ptr().add(2 * row * width + 2 * column);
                let found = if V::load_patch(patch, width).not_zero() == 0 {
                    blank
                } else {
                    let mut sums = [[V::zero(); N]; CELLS.len()];
                    for (tap, kernel) in kernel.iter().enumerate() {
                        for (cell, sums) in sums.iter_mut().enumerate() {
                            let (down, across) = (tap / SIDE + cell / 2, tap % SIDE + cell % 2);
                            let value = V::splat(*patch.add(down * width + across));
                            for (sum, kernel) in sums.iter_mut().zip(kernel) {
                                *sum = kernel.mul_add(value, *sum);
                            }
                        }
                    }
                    pooled(sums, bias)
                };
                let start = (row * sizes.output[1] + column) * filters + channel;
                for (idx, (value, came_from)) in found.into_iter().enumerate() {
                    let at = start + idx * LANES;
                    value.store(output.as_mut_ptr().add(at));
                    V::store_cells(came_from, cells.as_mut_ptr().add(at));
                }
            }
        }
    }
}

/// The largest of a window's cells with the bias, behind the ReLU, and where it came from; of `N` vectors of channels.
///
/// # Safety
/// The machine must have the instructions of `V`.
#[inline(always)]
unsafe fn pooled<V: Lanes, const N: usize>(
    sums: [[V; N]; CELLS.len()],
    bias: [V; N],
) -> [(V, V::Cells); N] {
    // SAFETY: the caller's.
    unsafe {
        let mut found = [(V::zero(), V::cells(0)); N];
        for (idx, found) in found.iter_mut().enumerate() {
            let (mut best, mut came_from) = (sums[0][idx].add(bias[idx]), V::cells(0));
            for (sums, cell) in sums.iter().zip(CELLS).skip(1) {
                let value = sums[idx].add(bias[idx]);
                (best, came_from) = best.or_larger(came_from, value, cell as u8);
            }
            *found = best.relu(came_from);
        }
        found
    }
}

/// # Safety
/// The machine must have the instructions of `V`.
#[inline(always)]
unsafe fn backward_body<V: Lanes>(
    sizes: GreyConv,
    image: &[f32],
    cells: &[u8],
    gradient: &[f32],
    by_kernel: &mut [f32],
    by_bias: Option<&mut [f32]>,
) {
    let filters = sizes.filters;
    let by_bias = by_bias.unwrap_or_default();
    assert!(
        image.len() == sizes.image_len()
            && by_kernel.len() == TAPS * filters
            && (by_bias.is_empty() || by_bias.len() == filters)
            && gradient.len() == sizes.output_len()
            && cells.len() == sizes.output_len(),
        "sizes of a convolution do not agree"
    );
    // SAFETY: sizes were checked above.
    unsafe {
        each_channels!(
            channel of filters,
            V,
            backward_channels(sizes, image, cells, gradient, channel, by_kernel, by_bias)
        );
    }
}

/// Of `N` vectors of channels, from `channel` on.
///
/// # Safety
/// As [`backward_body`], which checks the sizes.
#[inline(always)]
unsafe fn backward_channels<V: Lanes, const N: usize>(
    sizes: GreyConv,
    image: &[f32],
    cells: &[u8],
    gradient: &[f32],
    channel: usize,
    by_kernel: &mut [f32],
    by_bias: &mut [f32],
) {
    let (width, filters) = (sizes.input[1], sizes.filters);
    // SAFETY: the caller's; each patch lies within the image, since the windows do.
    unsafe {
        let place = |tap: usize, idx: usize| tap * filters + channel + idx * LANES;
        let mut sums = [[V::zero(); N]; TAPS];
        for (tap, sums) in sums.iter_mut().enumerate() {
            for (idx, sum) in sums.iter_mut().enumerate() {
                *sum = V::load(by_kernel.as_ptr().add(place(tap, idx)));
            }
        }
        let mut bias_sums = [V::zero(); N];
        for row in 0..sizes.output[0] {
            for column in 0..sizes.output[1] {
                let patch = V::load_patch(image.as_ptr().add(2 * row * width + 2 * column), width);
                let is_blank = patch.not_zero() == 0;
                let start = (row * sizes.output[1] + column) * filters + channel;
                for idx in 0..N {
                    let at = start + idx * LANES;
                    let came_from = V::load_cells(cells.as_ptr().add(at));
                    let gradient = V::load(gradient.as_ptr().add(at)).where_cell(came_from);
                    bias_sums[idx] = bias_sums[idx].add(gradient);
                    if is_blank {
                        continue;
                    }
                    for (tap, sums) in sums.iter_mut().enumerate() {
                        let place = (tap / SIDE * PATCH + tap % SIDE) as u8;
                        let value = V::pick(patch, came_from, place);
                        sums[idx] = value.mul_add(gradient, sums[idx]);
                    }
                }
            }
        }
        for (tap, sums) in sums.into_iter().enumerate() {
            for (idx, sum) in sums.into_iter().enumerate() {
                sum.store(by_kernel.as_mut_ptr().add(place(tap, idx)));
            }
        }
        if !by_bias.is_empty() {
            for (idx, sum) in bias_sums.into_iter().enumerate() {
                let bias = by_bias.as_mut_ptr().add(channel + idx * LANES);
                V::load(bias).add(sum).store(bias);
            }
        }
    }
}

#[cfg(test)]
mod tests;
