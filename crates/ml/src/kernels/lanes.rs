//! Sixteen values at a time, by whatever instructions: all orders of summing are fixed by these sixteen.

#![expect(
    clippy::inline_always,
    reason = "compiled for the instructions of its caller"
)]
#![expect(unsafe_code, reason = "instructions that not every machine has")]

/// Values of a vector.
pub(super) const LANES: usize = 16;

/// The cell of a value that no gradient passes.
pub(super) const NO_CELL: u8 = 128;

/// Sixteen values.
///
/// # Safety
/// Whoever calls these must run on a machine that has the instructions.
pub(super) trait Lanes: Copy {
    /// Vectors that the registers hold beside an operand and a coefficient.
    const MAX_SUMS: usize;

    unsafe fn zero() -> Self;
    unsafe fn splat(value: f32) -> Self;
    /// Sixteen values must lie there.
    unsafe fn load(values: *const f32) -> Self;
    /// Sixteen values must lie there.
    unsafe fn store(self, values: *mut f32);
    /// `self * factor + sum`, rounded once where the instructions fuse them.
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    /// The halves are added to each other until one value is left.
    unsafe fn sum(self) -> f32;
    /// A bit for each value that is not zero, the first in the lowest.
    unsafe fn not_zero(self) -> u32;

    /// For each lane, the cell of a window that its value came from.
    type Cells: Copy;

    unsafe fn cells(cell: u8) -> Self::Cells;
    /// Sixteen values must lie there.
    unsafe fn load_cells(cells: *const u8) -> Self::Cells;
    /// Sixteen values must lie there.
    unsafe fn store_cells(cells: Self::Cells, to: *mut u8);
    /// Takes `value`, of `cell`, where it is larger or no number.
    unsafe fn or_larger(self, cells: Self::Cells, value: Self, cell: u8) -> (Self, Self::Cells);
    /// ReLU; values that are not above zero lose their cell.
    unsafe fn relu(self, cells: Self::Cells) -> (Self, Self::Cells);
    /// Zero where there is no cell.
    unsafe fn where_cell(self, cells: Self::Cells) -> Self;
    /// Asks for the cache line of an address, which is not read and need not be valid.
    unsafe fn ask_for(at: *const f32);
    /// Four rows of four values, `stride` apart.
    unsafe fn load_patch(values: *const f32, stride: usize) -> Self;
    /// The value at `cell + tap` of a patch, for each lane; any value where there is no cell.
    unsafe fn pick(patch: Self, cells: Self::Cells, tap: u8) -> Self;
}

/// Writes a function that runs the generic `$body` by the best instructions of this machine, and one by given ones.
macro_rules! by_isa {
    ($(#[$meta:meta])* fn $name:ident = $with:ident = $body:ident($($argument:ident: $kind:ty),* $(,)?)) => {
        $(#[$meta])*
        pub fn $name($($argument: $kind),*) {
            $with($crate::kernels::isa::Isa::detect(), $($argument),*);
        }

        fn $with(isa: $crate::kernels::isa::Isa, $($argument: $kind),*) {
            use $crate::kernels::isa::Isa;
            use $crate::kernels::lanes;

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx2,fma,bmi1")]
            unsafe fn avx512($($argument: $kind),*) {
                // SAFETY: the caller's.
                unsafe { $body::<lanes::Avx512>($($argument),*) }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,bmi1")]
            unsafe fn avx2($($argument: $kind),*) {
                // SAFETY: the caller's.
                unsafe { $body::<lanes::Avx2>($($argument),*) }
            }

            assert!(isa <= Isa::detect(), "the machine lacks these instructions");
            // SAFETY: the instructions were detected, and the body checks sizes before it reads.
            unsafe {
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => avx512($($argument),*),
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => avx2($($argument),*),
                    _ => $body::<lanes::Portable>($($argument),*),
                }
            }
        }
    };
}

pub(super) use by_isa;

/// What every machine has.
pub(super) type Portable = [f32; LANES];

impl Lanes for Portable {
    const MAX_SUMS: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> Self {
        [0.0; LANES]
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        [value; LANES]
    }

    #[inline(always)]
    unsafe fn load(values: *const f32) -> Self {
        // SAFETY: the caller's.
        unsafe { values.cast::<Self>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(self, values: *mut f32) {
        // SAFETY: the caller's.
        unsafe { values.cast::<Self>().write_unaligned(self) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        std::array::from_fn(|lane| self[lane] * factor[lane] + sum[lane])
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        std::array::from_fn(|lane| self[lane] + other[lane])
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let mut lanes = self;
        let mut half = LANES / 2;
        while half > 0 {
            for lane in 0..half {
                lanes[lane] += lanes[lane + half];
            }
            half /= 2;
        }
        lanes[0]
    }

    #[inline(always)]
    unsafe fn not_zero(self) -> u32 {
        let bits = self.iter().enumerate();
        bits.fold(0, |bits, (lane, &value)| {
            bits | u32::from(value != 0.0) << lane
        })
    }

    type Cells = [u8; LANES];

    #[inline(always)]
    unsafe fn cells(cell: u8) -> Self::Cells {
        [cell; LANES]
    }

    #[inline(always)]
    unsafe fn load_cells(cells: *const u8) -> Self::Cells {
        // SAFETY: the caller's.
        unsafe { *cells.cast::<Self::Cells>() }
    }

    #[inline(always)]
    unsafe fn store_cells(cells: Self::Cells, to: *mut u8) {
        // SAFETY: the caller's.
        unsafe { *to.cast::<Self::Cells>() = cells }
    }

    #[inline(always)]
    unsafe fn or_larger(self, cells: Self::Cells, value: Self, cell: u8) -> (Self, Self::Cells) {
        let (mut best, mut cells) = (self, cells);
        for lane in 0..LANES {
            if value[lane] > best[lane] || value[lane].is_nan() {
                (best[lane], cells[lane]) = (value[lane], cell);
            }
        }
        (best, cells)
    }

    #[inline(always)]
    unsafe fn relu(self, cells: Self::Cells) -> (Self, Self::Cells) {
        let (mut values, mut cells) = (self, cells);
        for (value, cell) in values.iter_mut().zip(&mut cells) {
            *cell = if *value > 0.0 { *cell } else { NO_CELL };
            *value = if *value < 0.0 { 0.0 } else { *value };
        }
        (values, cells)
    }

    #[inline(always)]
    unsafe fn where_cell(self, cells: Self::Cells) -> Self {
        std::array::from_fn(|lane| {
            if cells[lane] == NO_CELL {
                0.0
            } else {
                self[lane]
            }
        })
    }

    #[inline(always)]
    unsafe fn ask_for(_: *const f32) {}

    #[inline(always)]
    unsafe fn load_patch(values: *const f32, stride: usize) -> Self {
        // SAFETY: the caller's.
        std::array::from_fn(|idx| unsafe { *values.add(idx / 4 * stride + idx % 4) })
    }

    #[inline(always)]
    unsafe fn pick(patch: Self, cells: Self::Cells, tap: u8) -> Self {
        cells.map(|cell| patch[usize::from(cell + tap) % LANES])
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

/// No closures here: they are not compiled for the instructions of the function around them, and then neither are the
/// instructions in them inlined.
#[cfg(target_arch = "x86_64")]
mod x86 {
    #[allow(
        clippy::wildcard_imports,
        clippy::allow_attributes,
        reason = "names of instructions"
    )]
    use std::arch::x86_64::*;

    use super::{Lanes, NO_CELL};

    /// AVX2 with fused multiply-add.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Avx2([__m256; 2]);

    /// AVX-512F.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Avx512(__m512);

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
        unsafe fn or_larger(
            self,
            cells: Self::Cells,
            value: Self,
            cell: u8,
        ) -> (Self, Self::Cells) {
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
        unsafe fn or_larger(
            self,
            cells: Self::Cells,
            value: Self,
            cell: u8,
        ) -> (Self, Self::Cells) {
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
}
