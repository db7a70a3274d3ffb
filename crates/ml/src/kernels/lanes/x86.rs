//! AVX2 and AVX-512.
//!
//! No closures here: they are not compiled for the instructions of the function around them, and then neither are the
//! instructions in them inlined.

#[allow(
    clippy::wildcard_imports,
    clippy::allow_attributes,
    reason = "names of instructions"
)]
use std::arch::x86_64::*;

use super::{Lanes, NO_CELL};

/// AVX2 with fused multiply-add.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Avx2([__m256; 2]);

/// AVX-512F.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Avx512(__m512);

impl Lanes for Avx2 {
    const MAX_SUMS: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller's.
        Self(unsafe { [_mm256_setzero_ps(); 2] })
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller's.
        Self(unsafe { [_mm256_set1_ps(value); 2] })
    }

    #[inline(always)]
    unsafe fn load(values: *const f32) -> Self {
        // SAFETY: the caller's.
        Self(unsafe { [_mm256_loadu_ps(values), _mm256_loadu_ps(values.add(8))] })
    }

    #[inline(always)]
    unsafe fn store(self, values: *mut f32) {
        // SAFETY: the caller's.
        unsafe {
            _mm256_storeu_ps(values, self.0[0]);
            _mm256_storeu_ps(values.add(8), self.0[1]);
        }
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        // SAFETY: the caller's.
        unsafe {
            Self([
                _mm256_fmadd_ps(self.0[0], factor.0[0], sum.0[0]),
                _mm256_fmadd_ps(self.0[1], factor.0[1], sum.0[1]),
            ])
        }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller's.
        unsafe {
            Self([
                _mm256_add_ps(self.0[0], other.0[0]),
                _mm256_add_ps(self.0[1], other.0[1]),
            ])
        }
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: the caller's.
        unsafe { sum_of_8(_mm256_add_ps(self.0[0], self.0[1])) }
    }

    #[inline(always)]
    unsafe fn not_zero(self) -> u32 {
        // SAFETY: the caller's.
        unsafe {
            let zero = _mm256_setzero_ps();
            let low = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NEQ_UQ>(self.0[0], zero));
            let high = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NEQ_UQ>(self.0[1], zero));
            low as u32 | (high as u32) << 8
        }
    }

    type Cells = [__m256i; 2];

    #[inline(always)]
    unsafe fn cells(cell: u8) -> Self::Cells {
        // SAFETY: the caller's.
        unsafe { [_mm256_set1_epi32(i32::from(cell)); 2] }
    }

    #[inline(always)]
    unsafe fn load_cells(cells: *const u8) -> Self::Cells {
        // SAFETY: the caller's.
        unsafe {
            let bytes = _mm_loadu_si128(cells.cast());
            [
                _mm256_cvtepu8_epi32(bytes),
                _mm256_cvtepu8_epi32(_mm_unpackhi_epi64(bytes, bytes)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn store_cells(cells: Self::Cells, to: *mut u8) {
        // SAFETY: the caller's.
        unsafe {
            // Pairs of lanes of 128 bits are packed each for itself, so the middle ones change places.
            let words = _mm256_packus_epi32(cells[0], cells[1]);
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
            let bytes = _mm_packus_epi16(
                _mm256_castsi256_si128(words),
                _mm256_extracti128_si256::<1>(words),
            );
            _mm_storeu_si128(to.cast(), bytes);
        }
    }

    #[inline(always)]
    unsafe fn or_larger(self, cells: Self::Cells, value: Self, cell: u8) -> (Self, Self::Cells) {
        // SAFETY: the caller's.
        unsafe {
            let (mut best, mut cells) = (self.0, cells);
            let cell = _mm256_castsi256_ps(_mm256_set1_epi32(i32::from(cell)));
            for half in 0..2 {
                let value = value.0[half];
                let takes = _mm256_or_ps(
                    _mm256_cmp_ps::<_CMP_GT_OQ>(value, best[half]),
                    _mm256_cmp_ps::<_CMP_UNORD_Q>(value, value),
                );
                best[half] = _mm256_blendv_ps(best[half], value, takes);
                let before = _mm256_castsi256_ps(cells[half]);
                cells[half] = _mm256_castps_si256(_mm256_blendv_ps(before, cell, takes));
            }
            (Self(best), cells)
        }
    }

    #[inline(always)]
    unsafe fn relu(self, cells: Self::Cells) -> (Self, Self::Cells) {
        // SAFETY: the caller's.
        unsafe {
            let (mut values, mut cells) = (self.0, cells);
            let (zero, none) = (_mm256_setzero_ps(), Self::cells(NO_CELL)[0]);
            for half in 0..2 {
                let value = values[half];
                let above = _mm256_cmp_ps::<_CMP_GT_OQ>(value, zero);
                let cell = _mm256_castsi256_ps(cells[half]);
                let cell = _mm256_blendv_ps(_mm256_castsi256_ps(none), cell, above);
                cells[half] = _mm256_castps_si256(cell);
                let below = _mm256_cmp_ps::<_CMP_LT_OQ>(value, zero);
                values[half] = _mm256_andnot_ps(below, value);
            }
            (Self(values), cells)
        }
    }

    #[inline(always)]
    unsafe fn where_cell(self, cells: Self::Cells) -> Self {
        // SAFETY: the caller's.
        unsafe {
            let none = Self::cells(NO_CELL)[0];
            let mut values = self.0;
            for half in 0..2 {
                let is_none = _mm256_cmpeq_epi32(cells[half], none);
                values[half] = _mm256_andnot_ps(_mm256_castsi256_ps(is_none), values[half]);
            }
            Self(values)
        }
    }

    #[inline(always)]
    unsafe fn ask_for(at: *const f32) {
        // SAFETY: nothing is read.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    #[inline(always)]
    unsafe fn ask_for_later(at: *const f32) {
        // SAFETY: nothing is read.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }

    #[inline(always)]
    unsafe fn load_patch(values: *const f32, stride: usize) -> Self {
        // SAFETY: the caller's.
        unsafe {
            let mut halves = [_mm256_setzero_ps(); 2];
            for (idx, half) in halves.iter_mut().enumerate() {
                let low = _mm_loadu_ps(values.add(2 * idx * stride));
                let high = _mm_loadu_ps(values.add((2 * idx + 1) * stride));
                *half = _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(low), high);
            }
            Self(halves)
        }
    }

    #[inline(always)]
    unsafe fn pick(patch: Self, cells: Self::Cells, tap: u8) -> Self {
        // SAFETY: the caller's.
        unsafe {
            let tap = _mm256_set1_epi32(i32::from(tap));
            let mut values = patch.0;
            for half in 0..2 {
                let places = _mm256_add_epi32(cells[half], tap);
                let low = _mm256_permutevar8x32_ps(patch.0[0], places);
                let high = _mm256_permutevar8x32_ps(patch.0[1], places);
                // The sign chooses; it is made of the place's bit for eight.
                let is_high = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(places));
                values[half] = _mm256_blendv_ps(low, high, is_high);
            }
            Self(values)
        }
    }
}

impl Lanes for Avx512 {
    const MAX_SUMS: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller's.
        Self(unsafe { _mm512_setzero_ps() })
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller's.
        Self(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(values: *const f32) -> Self {
        // SAFETY: the caller's.
        Self(unsafe { _mm512_loadu_ps(values) })
    }

    #[inline(always)]
    unsafe fn store(self, values: *mut f32) {
        // SAFETY: the caller's.
        unsafe { _mm512_storeu_ps(values, self.0) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        // SAFETY: the caller's.
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, sum.0) })
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller's.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: the caller's.
        unsafe {
            let low = _mm512_castps512_ps256(self.0);
            let high = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(self.0));
            sum_of_8(_mm256_add_ps(low, _mm256_castpd_ps(high)))
        }
    }

    #[inline(always)]
    unsafe fn not_zero(self) -> u32 {
        // SAFETY: the caller's.
        unsafe {
            u32::from(_mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(
                self.0,
                _mm512_setzero_ps(),
            ))
        }
    }

    type Cells = __m512i;

    #[inline(always)]
    unsafe fn cells(cell: u8) -> Self::Cells {
        // SAFETY: the caller's.
        unsafe { _mm512_set1_epi32(i32::from(cell)) }
    }

    #[inline(always)]
    unsafe fn load_cells(cells: *const u8) -> Self::Cells {
        // SAFETY: the caller's.
        unsafe { _mm512_cvtepu8_epi32(_mm_loadu_si128(cells.cast())) }
    }

    #[inline(always)]
    unsafe fn store_cells(cells: Self::Cells, to: *mut u8) {
        // SAFETY: the caller's.
        unsafe { _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(cells)) }
    }

    #[inline(always)]
    unsafe fn or_larger(self, cells: Self::Cells, value: Self, cell: u8) -> (Self, Self::Cells) {
        // SAFETY: the caller's.
        unsafe {
            let takes = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(value.0, self.0)
                | _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(value.0, value.0);
            let best = _mm512_mask_mov_ps(self.0, takes, value.0);
            let cells = _mm512_mask_mov_epi32(cells, takes, Self::cells(cell));
            (Self(best), cells)
        }
    }

    #[inline(always)]
    unsafe fn relu(self, cells: Self::Cells) -> (Self, Self::Cells) {
        // SAFETY: the caller's.
        unsafe {
            let zero = _mm512_setzero_ps();
            let above = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, zero);
            let below = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, zero);
            let cells = _mm512_mask_mov_epi32(Self::cells(NO_CELL), above, cells);
            (Self(_mm512_mask_mov_ps(self.0, below, zero)), cells)
        }
    }

    #[inline(always)]
    unsafe fn where_cell(self, cells: Self::Cells) -> Self {
        // SAFETY: the caller's.
        unsafe {
            let has_cell = _mm512_cmpneq_epi32_mask(cells, Self::cells(NO_CELL));
            Self(_mm512_maskz_mov_ps(has_cell, self.0))
        }
    }

    #[inline(always)]
    unsafe fn ask_for(at: *const f32) {
        // SAFETY: nothing is read.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    #[inline(always)]
    unsafe fn ask_for_later(at: *const f32) {
        // SAFETY: nothing is read.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }

    #[inline(always)]
    unsafe fn load_patch(values: *const f32, stride: usize) -> Self {
        // SAFETY: the caller's.
        unsafe {
            let patch = _mm512_castps128_ps512(_mm_loadu_ps(values));
            let patch = _mm512_insertf32x4::<1>(patch, _mm_loadu_ps(values.add(stride)));
            let patch = _mm512_insertf32x4::<2>(patch, _mm_loadu_ps(values.add(2 * stride)));
            Self(_mm512_insertf32x4::<3>(
                patch,
                _mm_loadu_ps(values.add(3 * stride)),
            ))
        }
    }

    #[inline(always)]
    unsafe fn pick(patch: Self, cells: Self::Cells, tap: u8) -> Self {
        // SAFETY: the caller's.
        unsafe {
            let places = _mm512_add_epi32(cells, Self::cells(tap));
            Self(_mm512_permutexvar_ps(places, patch.0))
        }
    }
}

/// # Safety
/// The machine must have AVX2.
#[inline(always)]
unsafe fn sum_of_8(values: __m256) -> f32 {
    // SAFETY: the caller's.
    unsafe {
        let four = _mm_add_ps(
            _mm256_castps256_ps128(values),
            _mm256_extractf128_ps::<1>(values),
        );
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
    }
}
