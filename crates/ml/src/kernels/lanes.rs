//! Sixteen values at a time, by whatever instructions: all orders of summing are fixed by these sixteen.

#![expect(
    clippy::inline_always,
    reason = "compiled for the instructions of its caller"
)]
#![expect(unsafe_code, reason = "instructions that not every machine has")]

#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

/// Values of a vector.
pub(super) const LANES: usize = 16;

/// The cell of a value that no gradient passes.
pub(super) const NO_CELL: u8 = 128;

/// Sixteen values.
///
/// # Safety
/// The caller must run on a machine that has the instructions.
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
    /// The same, to wait in the next larger cache.
    unsafe fn ask_for_later(at: *const f32);
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
    unsafe fn ask_for_later(_: *const f32) {}

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
