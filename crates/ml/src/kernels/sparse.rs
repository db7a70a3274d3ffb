//! Products with a matrix many of whose values are zero, as a ReLU leaves them: what is zero is passed over.
//!
//! A dense layer after a ReLU needs three products a step, and zeros save their share of each: of the output, of the
//! gradient by the kernel, and of the gradient by the input, which a ReLU lets through only where its value was not zero.
//! Sums run in the order of the inner axis, whatever the instructions; AVX2 and AVX-512 give the same bits.
//!
//! A zero times a weight counts as zero even where the weight is infinite or no number.

#![expect(
    clippy::inline_always,
    reason = "compiled for the instructions of its caller"
)]
#![expect(
    unsafe_code,
    reason = "micro-kernels read and write through raw pointers"
)]

use std::cell::Cell;

use super::buffer::Buffer;
use super::gemm::Out;
use super::lanes::{LANES, Lanes, by_isa};

/// Rows of a matrix that are chosen from at a time: with 128 columns they take 24 KiB, and an L1 cache has 32.
pub const CHOICE: usize = 48;

/// Rows of the input that are asked for ahead of time.
const AHEAD: usize = 4;

/// Columns of the input whose gradients are summed together, and stay in the L1 cache meanwhile.
const GROUP: usize = 16;

/// The most units that a dot product keeps in registers, in vectors.
const MAX_VECTORS: usize = 8;

/// Whether these kernels serve a dense layer of this size: vectors must be full, and enough of them to be worth looking
/// at each input value.
pub const fn serves(n_inputs: usize, n_units: usize) -> bool {
    n_inputs >= 256 && n_units >= 4 * LANES && n_units.is_multiple_of(LANES)
}

/// A row-major matrix `[n_rows, len]`, rows `stride` apart.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    values: &'a [f32],
    n_rows: usize,
    len: usize,
    stride: usize,
}

impl<'a> Rows<'a> {
    /// # Panics
    /// If an element lies outside of `values`.
    pub fn new(values: &'a [f32], n_rows: usize, len: usize, stride: usize) -> Self {
        let is_within = n_rows == 0 || (n_rows - 1) * stride + len <= values.len();
        assert!(is_within, "rows lie outside");
        Self {
            values,
            n_rows,
            len,
            stride,
        }
    }
}

by_isa! {
    /// `out = input · kernel`: input `[n_rows, len]`, kernel `[len, n_units]`, out `[n_rows, n_units]`.
    ///
    /// # Panics
    /// If the sizes do not agree, or `n_units` is not a multiple of 16.
    fn product = product_with = product_body(input: Rows<'_>, kernel: &[f32], n_units: usize, out: &mut [f32])
}

by_isa! {
    /// The gradient by the kernel, `out = inputᵀ · gradient`: input `[n_rows, len]`, best rows that lie together,
    /// gradient `[n_rows, n_units]`, out `[len, n_units]`.
    ///
    /// # Panics
    /// If the sizes do not agree, or `n_units` is not a multiple of 16.
    fn by_kernel = by_kernel_with = by_kernel_body(input: Rows<'_>, gradient: &[f32], n_units: usize, out: &mut [f32])
}

by_isa! {
    /// The gradient by the input where the input is not zero, and zero elsewhere; `gradient · kernelᵀ` that is: gradient
    /// `[n_rows, n_units]`, kernel `[len, n_units]`, out `[n_rows, len]`.
    ///
    /// # Panics
    /// If the sizes do not agree, or `n_units` is not a multiple of 16.
    fn by_input = by_input_with = by_input_body(input: Rows<'_>, kernel: &[f32], gradient: &[f32], n_units: usize, out: Out<'_>)
}

thread_local! {
    /// A part of a kernel's columns, copied together. Taken and put back, since what is done with it in a closure would
    /// not be compiled for the instructions around it.
    static PACKED: Cell<Buffer> = const { Cell::new(Buffer::new()) };
}

/// Rows that are added up, each times its coefficient.
struct Chosen {
    /// One bit for each row, the first in the lowest.
    rows: u64,
    coefficients: *const f32,
    coefficient_stride: usize,
    values: *const f32,
    value_stride: usize,
}

/// Calls `$function::<V, N>` with as many vectors as there are, at most [`MAX_VECTORS`].
macro_rules! with_vectors {
    ($n_vectors:expr, $lanes:ty, $function:ident($($argument:expr),* $(,)?)) => {
        match $n_vectors {
            1 => $function::<$lanes, 1>($($argument),*),
            2 => $function::<$lanes, 2>($($argument),*),
            3 => $function::<$lanes, 3>($($argument),*),
            4 => $function::<$lanes, 4>($($argument),*),
            5 => $function::<$lanes, 5>($($argument),*),
            6 => $function::<$lanes, 6>($($argument),*),
            7 => $function::<$lanes, 7>($($argument),*),
            _ => $function::<$lanes, MAX_VECTORS>($($argument),*),
        }
    };
}

/// # Safety
/// The machine must have the instructions of `V`.
#[inline(always)]
unsafe fn product_body<V: Lanes>(input: Rows<'_>, kernel: &[f32], n_units: usize, out: &mut [f32]) {
    assert!(
        kernel.len() >= input.len * n_units
            && out.len() >= input.n_rows * n_units
            && n_units.is_multiple_of(LANES),
        "sizes of a product do not agree"
    );
    if input.len == 0 {
        out.fill(0.0);
    }
    let tile = V::MAX_SUMS * LANES;
    for column in (0..n_units).step_by(tile) {
        let n_vectors = tile.min(n_units - column) / LANES;
        // SAFETY: sizes were checked above.
        unsafe {
            with_vectors!(
                n_vectors,
                V,
                product_tile(input, kernel, n_units, column, out)
            );
        }
    }
}

/// # Safety
/// As [`product_body`], with columns from `column` that lie within `n_units`.
#[inline(always)]
unsafe fn product_tile<V: Lanes, const N: usize>(
    input: Rows<'_>,
    kernel: &[f32],
    n_units: usize,
    column: usize,
    out: &mut [f32],
) {
    let width = N * LANES;
    let mut room = PACKED.take();
    for first in (0..input.len).step_by(CHOICE) {
        let len = CHOICE.min(input.len - first);
        let kernel = &kernel[first * n_units..(first + len) * n_units];
        let together = if width == n_units {
            kernel
        } else {
            // Far apart, rows of a part of the columns would drive each other out of the cache.
            let packed = room.grown(CHOICE * width);
            for (packed, row) in packed
                .chunks_exact_mut(width)
                .zip(kernel.chunks_exact(n_units))
            {
                packed.copy_from_slice(&row[column..column + width]);
            }
            &*packed
        };
        let ahead = Ahead::behind(kernel, input.n_rows);
        for row in 0..input.n_rows {
            // SAFETY: the row, the rows of the kernel and the row of the output lie within their slices.
            unsafe {
                ahead.ask_for::<V>(row);
                let values = input.values.as_ptr().add(row * input.stride + first);
                // The machine does not see by itself where rows far apart go on.
                let soon = values.wrapping_add(AHEAD * input.stride);
                for line in (0..CHOICE).step_by(LANES) {
                    V::ask_for(soon.wrapping_add(line));
                }
                let chosen = Chosen {
                    rows: not_zero::<V>(values, len),
                    coefficients: values,
                    coefficient_stride: 1,
                    values: together.as_ptr(),
                    value_stride: width,
                };
                let out = out.as_mut_ptr().add(row * n_units + column);
                add_up::<V, N>(&chosen, first == 0, out);
            }
        }
    }
    PACKED.set(room);
}

/// The rows of a kernel that come after those at work: asked for a few lines at a time, so that they have come from
/// further away when their turn is there.
struct Ahead {
    start: *const f32,
    lines_per_row: usize,
}

impl Ahead {
    /// As much behind `kernel` as it holds, over `n_rows` turns.
    #[inline(always)]
    fn behind(kernel: &[f32], n_rows: usize) -> Self {
        Self {
            start: kernel.as_ptr_range().end,
            lines_per_row: (kernel.len() / LANES).div_ceil(n_rows.max(1)),
        }
    }

    /// # Safety
    /// The machine must have the instructions of `V`. What is asked for need not exist.
    #[inline(always)]
    unsafe fn ask_for<V: Lanes>(&self, turn: usize) {
        let first = turn * self.lines_per_row;
        for line in first..first + self.lines_per_row {
            // SAFETY: the caller's.
            unsafe { V::ask_for_later(self.start.wrapping_add(line * LANES)) }
        }
    }
}

/// # Safety
/// The machine must have the instructions of `V`.
#[inline(always)]
unsafe fn by_kernel_body<V: Lanes>(
    input: Rows<'_>,
    gradient: &[f32],
    n_units: usize,
    out: &mut [f32],
) {
    assert!(
        gradient.len() >= input.n_rows * n_units
            && out.len() >= input.len * n_units
            && n_units.is_multiple_of(LANES),
        "sizes of a gradient by a kernel do not agree"
    );
    if input.n_rows == 0 {
        out.fill(0.0);
    }
    let tile = V::MAX_SUMS * LANES;
    for first in (0..input.len).step_by(GROUP) {
        let len = GROUP.min(input.len - first);
        for first_row in (0..input.n_rows).step_by(CHOICE) {
            let n_rows = CHOICE.min(input.n_rows - first_row);
            let chosen = columns_not_zero(input, first..first + len, first_row..first_row + n_rows);
            for column in (0..n_units).step_by(tile) {
                let n_vectors = tile.min(n_units - column) / LANES;
                for (idx, &rows) in chosen[..len].iter().enumerate() {
                    let at = first_row * input.stride + first + idx;
                    // SAFETY: sizes were checked above, and the rows chosen lie within the input.
                    unsafe {
                        let chosen = Chosen {
                            rows,
                            coefficients: input.values.as_ptr().add(at),
                            coefficient_stride: input.stride,
                            values: gradient.as_ptr().add(first_row * n_units + column),
                            value_stride: n_units,
                        };
                        let out = out.as_mut_ptr().add((first + idx) * n_units + column);
                        with_vectors!(n_vectors, V, add_up(&chosen, first_row == 0, out));
                    }
                }
            }
        }
    }
}

/// # Safety
/// The machine must have the instructions of `V`.
#[inline(always)]
unsafe fn by_input_body<V: Lanes>(
    input: Rows<'_>,
    kernel: &[f32],
    gradient: &[f32],
    n_units: usize,
    out: Out<'_>,
) {
    assert!(
        kernel.len() >= input.len * n_units
            && gradient.len() >= input.n_rows * n_units
            && (out.n_rows(), out.n_columns()) == (input.n_rows, input.len)
            && n_units.is_multiple_of(LANES),
        "sizes of a gradient by an input do not agree"
    );
    let n_vectors = n_units / LANES;
    let mut out = out;
    for first in (0..input.len).step_by(CHOICE) {
        let len = CHOICE.min(input.len - first);
        let kernel = &kernel[first * n_units..(first + len) * n_units];
        let ahead = Ahead::behind(kernel, input.n_rows);
        for row in 0..input.n_rows {
            let out = &mut out.row_mut(row)[first..first + len];
            out.fill(0.0);
            // SAFETY: sizes were checked above.
            unsafe {
                ahead.ask_for::<V>(row);
                let values = input.values.as_ptr().add(row * input.stride + first);
                let dots = Dots {
                    chosen: not_zero::<V>(values, len),
                    gradient: gradient.as_ptr().add(row * n_units),
                    kernel: kernel.as_ptr(),
                    n_vectors,
                };
                if n_vectors <= MAX_VECTORS {
                    with_vectors!(n_vectors, V, dots_in_registers(&dots, out.as_mut_ptr()));
                } else {
                    dots.run::<V>(out.as_mut_ptr());
                }
            }
        }
    }
}

/// Bits of the values that are not zero, of at most [`CHOICE`]. A NaN is not zero.
///
/// # Safety
/// `len` values must lie at `values`, and the machine must have the instructions of `V`.
#[inline(always)]
unsafe fn not_zero<V: Lanes>(values: *const f32, len: usize) -> u64 {
    let mut bits = 0;
    let mut idx = 0;
    // SAFETY: the caller's.
    unsafe {
        while idx + LANES <= len {
            bits |= u64::from(V::load(values.add(idx)).not_zero()) << idx;
            idx += LANES;
        }
        while idx < len {
            bits |= u64::from(*values.add(idx) != 0.0) << idx;
            idx += 1;
        }
    }
    bits
}

/// For each of at most [`GROUP`] columns, the bits of the rows, at most [`CHOICE`], where it is not zero.
#[inline(always)]
fn columns_not_zero(
    input: Rows<'_>,
    columns: std::ops::Range<usize>,
    rows: std::ops::Range<usize>,
) -> [u64; GROUP] {
    let mut chosen = [0; GROUP];
    for (bit, row) in rows.enumerate() {
        let start = row * input.stride;
        let values = &input.values[start + columns.start..start + columns.end];
        if values.len() == GROUP {
            // Of a length known beforehand.
            mark_not_zero(&mut chosen, &values[..GROUP], bit);
        } else {
            mark_not_zero(&mut chosen, values, bit);
        }
    }
    chosen
}

/// Sets a bit for each value that is not zero.
#[inline(always)]
fn mark_not_zero(chosen: &mut [u64; GROUP], values: &[f32], bit: usize) {
    for (chosen, &value) in chosen.iter_mut().zip(values) {
        *chosen |= u64::from(value != 0.0) << bit;
    }
}

/// Adds the chosen rows of `N` vectors to `out`, or to zero where the sum begins.
///
/// # Safety
/// All that is named must lie within its slices, and the machine must have the instructions of `V`.
#[inline(always)]
unsafe fn add_up<V: Lanes, const N: usize>(chosen: &Chosen, begins: bool, out: *mut f32) {
    // SAFETY: the caller's, for every pointer below.
    unsafe {
        let mut sums = [V::zero(); N];
        if !begins {
            for (idx, sum) in sums.iter_mut().enumerate() {
                *sum = V::load(out.add(idx * LANES));
            }
        }
        let mut rest = chosen.rows;
        while rest != 0 {
            let idx = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            let coefficient = V::splat(*chosen.coefficients.add(idx * chosen.coefficient_stride));
            let values = chosen.values.add(idx * chosen.value_stride);
            for (vector, sum) in sums.iter_mut().enumerate() {
                *sum = V::load(values.add(vector * LANES)).mul_add(coefficient, *sum);
            }
        }
        for (idx, sum) in sums.into_iter().enumerate() {
            sum.store(out.add(idx * LANES));
        }
    }
}

/// Dot products of one row's gradient with the chosen rows of a kernel.
struct Dots {
    chosen: u64,
    gradient: *const f32,
    kernel: *const f32,
    n_vectors: usize,
}

/// [`Dots::run`] for `N` vectors, the gradient in registers.
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn dots_in_registers<V: Lanes, const N: usize>(dots: &Dots, out: *mut f32) {
    // SAFETY: the caller's, for every pointer below.
    unsafe {
        let mut gradient = [V::zero(); N];
        for (idx, vector) in gradient.iter_mut().enumerate() {
            *vector = V::load(dots.gradient.add(idx * LANES));
        }
        let mut rest = dots.chosen;
        while rest != 0 {
            let idx = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            let kernel = dots.kernel.add(idx * N * LANES);
            // Two sums, so that the next product need not wait for the last.
            let mut sums = [V::zero(); 2];
            for (vector, gradient) in gradient.iter().enumerate() {
                let sum = &mut sums[vector % 2];
                *sum = V::load(kernel.add(vector * LANES)).mul_add(*gradient, *sum);
            }
            *out.add(idx) = sums[0].add(sums[1]).sum();
        }
    }
}

impl Dots {
    /// Sets the chosen values of `out`.
    ///
    /// # Safety
    /// All that is named must lie within its slices, and the machine must have the instructions of `V`.
    #[inline(always)]
    unsafe fn run<V: Lanes>(&self, out: *mut f32) {
        // SAFETY: the caller's, for every pointer below.
        unsafe {
            let mut rest = self.chosen;
            while rest != 0 {
                let idx = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                let kernel = self.kernel.add(idx * self.n_vectors * LANES);
                let mut sums = [V::zero(); 2];
                for vector in 0..self.n_vectors {
                    let gradient = V::load(self.gradient.add(vector * LANES));
                    let sum = &mut sums[vector % 2];
                    *sum = V::load(kernel.add(vector * LANES)).mul_add(gradient, *sum);
                }
                *out.add(idx) = sums[0].add(sums[1]).sum();
            }
        }
    }
}

#[cfg(test)]
mod tests;
