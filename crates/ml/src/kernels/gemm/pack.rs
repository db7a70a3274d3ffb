//! Panels of the right matrix: a block's rows, a tile wide, one after the other in memory.

use std::cell::RefCell;
use std::ops::Range;

use super::{Isa, MAX_TILE_COLUMNS, Right};
use crate::kernels::Buffer;

thread_local! {
    /// Room for the panels that are packed together, grown once for each thread.
    static ROOM: RefCell<Buffer> = const { RefCell::new(Buffer::new()) };
}

/// Panels one after the other, or the matrix itself where it lies like one panel.
#[derive(Clone, Copy)]
pub(super) struct Panels {
    start: *const f32,
    stride: usize,
    panel_len: usize,
}

/// One panel.
pub(super) struct Panel {
    pub(super) start: *const f32,
    pub(super) stride: usize,
}

impl Panels {
    pub(super) fn panel(self, idx: usize) -> Panel {
        Panel {
            start: self.start.wrapping_add(idx * self.panel_len),
            stride: self.stride,
        }
    }
}

/// Packs the rows `inner` and the columns `columns`, at most [`PANELS_TOGETHER`] panels, and lends them to `work`.
pub(super) fn with_panels(
    right: Right<'_>,
    inner: Range<usize>,
    columns: Range<usize>,
    width: usize,
    work: impl FnOnce(Panels),
) {
    let Right { values, stride, .. } = right;
    let len = inner.len();
    if !right.is_transposed && stride == width && columns.len() == width {
        let start = values[inner.start * stride..].as_ptr();
        return work(Panels {
            start,
            stride,
            panel_len: 0,
        });
    }
    ROOM.with_borrow_mut(|room| {
        let panel_len = len * width;
        let n_panels = columns.len().div_ceil(width);
        let panels = room.grown(n_panels * panel_len);
        if !columns.len().is_multiple_of(width) {
            panels[(n_panels - 1) * panel_len..].fill(0.0);
        }
        if right.is_transposed {
            for (panel, first) in panels
                .chunks_exact_mut(panel_len.max(1))
                .zip(columns.clone().step_by(width))
            {
                let n_columns = width.min(columns.end - first);
                let from = &values[first * stride + inner.start..];
                transpose(from, stride, n_columns, len, panel, width);
            }
        } else {
            for row in 0..len {
                let from = (inner.start + row) * stride;
                let values = &values[from + columns.start..from + columns.end];
                for (idx, values) in values.chunks(width).enumerate() {
                    let at = idx * panel_len + row * width;
                    copy_row(values, &mut panels[at..at + width]);
                }
            }
        }
        work(Panels {
            start: panels.as_ptr(),
            stride: width,
            panel_len,
        });
    });
}

/// Of a length that the compiler knows, a row is a few vectors rather than a call.
fn copy_row(values: &[f32], packed: &mut [f32]) {
    let whole = <&[f32; MAX_TILE_COLUMNS]>::try_from(values);
    match (
        whole,
        <&mut [f32; MAX_TILE_COLUMNS]>::try_from(&mut *packed),
    ) {
        (Ok(values), Ok(packed)) => *packed = *values,
        _ => packed[..values.len()].copy_from_slice(values),
    }
}

/// `to[inner * width + column] = from[column * stride + inner]`, in squares that stay in registers and the L1 cache.
fn transpose(
    from: &[f32],
    stride: usize,
    n_columns: usize,
    len: usize,
    to: &mut [f32],
    width: usize,
) {
    const SIDE: usize = 8;
    for column in (0..n_columns).step_by(SIDE) {
        let n_side = SIDE.min(n_columns - column);
        let mut inner = 0;
        while n_side == SIDE && inner + SIDE <= len {
            square(
                &from[column * stride + inner..],
                stride,
                &mut to[inner * width + column..],
                width,
            );
            inner += SIDE;
        }
        for inner in inner..len {
            for row in 0..n_side {
                to[inner * width + column + row] = from[(column + row) * stride + inner];
            }
        }
    }
}

/// Mirrors a square of eight by eight.
///
/// # Panics
/// If the square does not lie within both slices.
fn square(from: &[f32], stride: usize, to: &mut [f32], width: usize) {
    assert!(7 * stride + 8 <= from.len() && 7 * width + 8 <= to.len());
    #[cfg(target_arch = "x86_64")]
    if Isa::detect() >= Isa::Avx2 {
        // SAFETY: the assertion above, and AVX2 was detected.
        return unsafe { square_avx2(from.as_ptr(), stride, to.as_mut_ptr(), width) };
    }
    for row in 0..8 {
        for column in 0..8 {
            to[column * width + row] = from[row * stride + column];
        }
    }
}

/// # Safety
/// Eight rows of eight values must lie at `from` and at `to`.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn square_avx2(from: *const f32, stride: usize, to: *mut f32, width: usize) {
    use std::arch::x86_64::{
        _mm256_loadu_ps, _mm256_permute2f128_ps, _mm256_setzero_ps, _mm256_shuffle_ps,
        _mm256_storeu_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps,
    };
    // SAFETY: the caller's.
    unsafe {
        let mut rows = [_mm256_setzero_ps(); 8];
        for (idx, row) in rows.iter_mut().enumerate() {
            *row = _mm256_loadu_ps(from.add(idx * stride));
        }
        // Pairs of rows, then fours, then the two halves.
        let mut pairs = rows;
        for idx in 0..4 {
            pairs[2 * idx] = _mm256_unpacklo_ps(rows[2 * idx], rows[2 * idx + 1]);
            pairs[2 * idx + 1] = _mm256_unpackhi_ps(rows[2 * idx], rows[2 * idx + 1]);
        }
        let mut fours = rows;
        for half in 0..2 {
            let [a, b, c, d] = [0, 1, 2, 3].map(|idx| pairs[4 * half + idx]);
            fours[4 * half] = _mm256_shuffle_ps::<0x44>(a, c);
            fours[4 * half + 1] = _mm256_shuffle_ps::<0xEE>(a, c);
            fours[4 * half + 2] = _mm256_shuffle_ps::<0x44>(b, d);
            fours[4 * half + 3] = _mm256_shuffle_ps::<0xEE>(b, d);
        }
        for idx in 0..4 {
            let low = _mm256_permute2f128_ps::<0x20>(fours[idx], fours[idx + 4]);
            let high = _mm256_permute2f128_ps::<0x31>(fours[idx], fours[idx + 4]);
            _mm256_storeu_ps(to.add(idx * width), low);
            _mm256_storeu_ps(to.add((idx + 4) * width), high);
        }
    }
}
