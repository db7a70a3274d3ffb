//! Panels of the right matrix: a block's rows, a tile wide, one after the other in memory.

use super::{BLOCK_INNER, Isa, MAX_TILE_COLUMNS, Right};

/// Room for one panel, taken when it is needed. Aligned, so that no vector lies across two cache lines.
pub(super) struct Panel(Option<Box<Aligned>>);

#[repr(align(64))]
struct Aligned([f32; BLOCK_INNER * MAX_TILE_COLUMNS]);

impl Aligned {
    #[expect(clippy::large_stack_arrays, reason = "it is made on the heap")]
    fn boxed() -> Box<Self> {
        Box::new(Self([0.0; BLOCK_INNER * MAX_TILE_COLUMNS]))
    }
}

/// A panel, or the matrix itself where it lies like one.
pub(super) struct Packed {
    pub(super) start: *const f32,
    pub(super) stride: usize,
}

impl Panel {
    pub(super) const fn new() -> Self {
        Self(None)
    }

    /// `len` rows from `start`, `n_columns` columns from `column`, filled up with zeros to `width` columns.
    pub(super) fn pack(
        &mut self,
        right: Right<'_>,
        start: usize,
        len: usize,
        column: usize,
        n_columns: usize,
        width: usize,
    ) -> Packed {
        let Right { values, stride, .. } = right;
        if !right.is_transposed && stride == width && n_columns == width {
            return Packed {
                start: values[start * stride..].as_ptr(),
                stride,
            };
        }
        let room = self.0.get_or_insert_with(Aligned::boxed);
        let panel = &mut room.0[..len * width];
        if n_columns < width {
            panel.fill(0.0);
        }
        if right.is_transposed {
            transpose(
                &values[column * stride + start..],
                stride,
                n_columns,
                len,
                panel,
                width,
            );
        } else {
            let rows = panel.chunks_exact_mut(width).enumerate();
            for (row, packed) in rows {
                let from = (start + row) * stride + column;
                let values = &values[from..from + n_columns];
                // Of a length that the compiler knows, a row is a few vectors rather than a call.
                match <&mut [f32; MAX_TILE_COLUMNS]>::try_from(&mut *packed) {
                    Ok(packed) if n_columns == MAX_TILE_COLUMNS => {
                        if let Ok(values) = <&[f32; MAX_TILE_COLUMNS]>::try_from(values) {
                            *packed = *values;
                        }
                    }
                    _ => packed[..n_columns].copy_from_slice(values),
                }
            }
        }
        Packed {
            start: panel.as_ptr(),
            stride: width,
        }
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
