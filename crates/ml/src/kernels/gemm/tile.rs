//! Micro-kernels: one tile of the product, its sums in registers.

use super::Isa;

/// Rows of the tallest tile.
pub(super) const MAX_ROWS: usize = 8;

/// Values of a cache line.
const LINE: usize = 16;

/// One tile: what it reads and where it writes.
pub(super) struct Job<'a> {
    pub(super) left: *const f32,
    /// Where each row of the left matrix begins.
    pub(super) row_offsets: &'a [usize],
    /// Where each inner element lies, from the beginning of its row.
    pub(super) inner_offsets: &'a [usize],
    /// Where rows lie that are needed soon. Only a hint: these addresses are asked for and not read.
    pub(super) soon: [usize; MAX_ROWS],
    /// Rows of at least a tile's columns.
    pub(super) right: *const f32,
    pub(super) right_stride: usize,
    pub(super) out: *mut f32,
    pub(super) out_stride: usize,
    /// Columns that are written; the tile may be wider.
    pub(super) n_columns: usize,
    /// Whether the product is added to what is there.
    pub(super) adds: bool,
    /// Added to each row.
    pub(super) bias: Option<&'a [f32]>,
}

/// The shape of tiles for some instructions.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    pub(super) n_rows: usize,
    pub(super) n_columns: usize,
    isa: Isa,
}

impl Tile {
    pub(super) const fn of(isa: Isa) -> Self {
        // Enough sums to keep the multipliers busy; with more, the compiler keeps some of them in memory.
        let (n_rows, n_columns) = match isa {
            Isa::Portable => (4, 8),
            Isa::Avx2 => (6, 16),
            Isa::Avx512 => (8, 32),
        };
        Self {
            n_rows,
            n_columns,
            isa,
        }
    }

    /// # Safety
    /// All that `job` names must lie within its slices, `out` must not overlap the others, there must be at most
    /// `n_rows` rows, and the machine must have the instructions.
    pub(super) unsafe fn run(self, job: Job<'_>) {
        #[cfg(target_arch = "x86_64")]
        macro_rules! by_rows {
            ($function:ident: $($n:literal)+) => {
                match job.row_offsets.len() {
                    // SAFETY: passed on from the caller, and the number of rows is that of the slice.
                    $($n => unsafe { x86::$function::<$n>(job) },)+
                    n_rows => unreachable!("a tile never has {n_rows} rows"),
                }
            };
        }
        match self.isa {
            // SAFETY: passed on from the caller.
            Isa::Portable => unsafe { portable(job) },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => by_rows!(avx2_rows: 1 2 3 4 5 6),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => by_rows!(avx512_rows: 1 2 3 4 5 6 7 8),
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 | Isa::Avx512 => unreachable!("such instructions are found on x86_64 alone"),
        }
    }
}

impl Job<'_> {
    /// Writes the sums of each row, of a tile `WIDTH` wide, to where they belong.
    ///
    /// Kernels store their sums before they call this, all at once: an array of sums that a loop reaches into would lie
    /// in memory, and be stored with every step.
    ///
    /// # Safety
    /// As [`Tile::run`], with at most as many rows as the job has.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "compiled for the instructions of its caller"
    )]
    unsafe fn write<const WIDTH: usize>(&self, sums: &[[f32; WIDTH]]) {
        for (row, sums) in sums.iter().enumerate() {
            // SAFETY: the caller's; only columns of this tile are written.
            let out = unsafe {
                let start = self.out.add(row * self.out_stride);
                std::slice::from_raw_parts_mut(start, self.n_columns.min(WIDTH))
            };
            if out.len() == WIDTH {
                // Of a length known beforehand.
                self.write_row(&mut out[..WIDTH], sums);
            } else {
                self.write_row(out, sums);
            }
        }
    }

    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "compiled for the instructions of its caller"
    )]
    fn write_row(&self, out: &mut [f32], sums: &[f32]) {
        match (self.adds, self.bias) {
            (false, None) => out.copy_from_slice(&sums[..out.len()]),
            (false, Some(bias)) => {
                for ((out, sum), bias) in out.iter_mut().zip(sums).zip(bias) {
                    *out = sum + bias;
                }
            }
            (true, None) => out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum),
            (true, Some(bias)) => {
                for ((out, sum), bias) in out.iter_mut().zip(sums).zip(bias) {
                    *out = (*out + sum) + bias;
                }
            }
        }
    }
}

/// # Safety
/// As [`Tile::run`].
unsafe fn portable(job: Job<'_>) {
    const COLUMNS: usize = 8;
    let mut sums = [[0.0_f32; COLUMNS]; MAX_ROWS];
    let n_rows = job.row_offsets.len();
    for (sums, row_offset) in sums.iter_mut().zip(job.row_offsets) {
        for (inner, inner_offset) in job.inner_offsets.iter().enumerate() {
            // SAFETY: the caller's; a packed row has all columns.
            let (left, right) = unsafe {
                let right = job
                    .right
                    .add(inner * job.right_stride)
                    .cast::<[f32; COLUMNS]>();
                (*job.left.add(row_offset + inner_offset), *right)
            };
            for (sum, right) in sums.iter_mut().zip(right) {
                *sum += left * right;
            }
        }
    }
    // SAFETY: the caller's.
    unsafe { job.write(&sums[..n_rows]) }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        _MM_HINT_T0, _mm_prefetch, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps,
        _mm256_setzero_ps, _mm256_storeu_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps,
        _mm512_setzero_ps, _mm512_storeu_ps,
    };

    use super::Job;

    /// # Safety
    /// As [`Tile::run`](super::Tile::run), with exactly `ROWS` rows.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn avx512_rows<const ROWS: usize>(job: Job<'_>) {
        // SAFETY: the caller's, for every pointer below.
        unsafe {
            let mut starts = [job.left; ROWS];
            for (start, offset) in starts.iter_mut().zip(job.row_offsets) {
                *start = job.left.add(*offset);
            }
            let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
            let mut right = job.right;
            for (idx, line) in job.inner_offsets.chunks(super::LINE).enumerate() {
                for soon in job.soon.iter().take(ROWS) {
                    let soon = job.left.wrapping_add(soon + idx * super::LINE);
                    _mm_prefetch::<_MM_HINT_T0>(soon.cast());
                }
                for &offset in line {
                    let (low, high) = (_mm512_loadu_ps(right), _mm512_loadu_ps(right.add(16)));
                    for (sum, start) in sums.iter_mut().zip(&starts) {
                        let left = _mm512_set1_ps(*start.add(offset));
                        sum[0] = _mm512_fmadd_ps(left, low, sum[0]);
                        sum[1] = _mm512_fmadd_ps(left, high, sum[1]);
                    }
                    right = right.add(job.right_stride);
                }
            }
            let mut values = [[0.0_f32; 32]; ROWS];
            for (values, sum) in values.iter_mut().zip(&sums) {
                _mm512_storeu_ps(values.as_mut_ptr(), sum[0]);
                _mm512_storeu_ps(values.as_mut_ptr().add(16), sum[1]);
            }
            job.write(&values);
        }
    }

    /// # Safety
    /// As [`Tile::run`](super::Tile::run), with exactly `ROWS` rows.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn avx2_rows<const ROWS: usize>(job: Job<'_>) {
        // SAFETY: the caller's, for every pointer below.
        unsafe {
            let mut starts = [job.left; ROWS];
            for (start, offset) in starts.iter_mut().zip(job.row_offsets) {
                *start = job.left.add(*offset);
            }
            let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
            let mut right = job.right;
            for (idx, line) in job.inner_offsets.chunks(super::LINE).enumerate() {
                for soon in job.soon.iter().take(ROWS) {
                    let soon = job.left.wrapping_add(soon + idx * super::LINE);
                    _mm_prefetch::<_MM_HINT_T0>(soon.cast());
                }
                for &offset in line {
                    let (low, high) = (_mm256_loadu_ps(right), _mm256_loadu_ps(right.add(8)));
                    for (sum, start) in sums.iter_mut().zip(&starts) {
                        let left = _mm256_set1_ps(*start.add(offset));
                        sum[0] = _mm256_fmadd_ps(left, low, sum[0]);
                        sum[1] = _mm256_fmadd_ps(left, high, sum[1]);
                    }
                    right = right.add(job.right_stride);
                }
            }
            let mut values = [[0.0_f32; 16]; ROWS];
            for (values, sum) in values.iter_mut().zip(&sums) {
                _mm256_storeu_ps(values.as_mut_ptr(), sum[0]);
                _mm256_storeu_ps(values.as_mut_ptr().add(8), sum[1]);
            }
            job.write(&values);
        }
    }
}
