//! Micro-kernels: one tile of the product, its sums in registers.

use super::Isa;

/// Rows of the tallest tile.
pub(super) const MAX_ROWS: usize = 12;

/// Rows that are asked for ahead of time: one for each value of a cache line, so that each step asks for one line.
pub(super) const N_SOON: usize = 16;

/// One tile: what it reads and where it writes.
pub(super) struct Job<'a> {
    pub(super) left: *const f32,
    /// Where each row of the left matrix begins.
    pub(super) row_offsets: &'a [usize],
    /// Where each inner element lies, from the beginning of its row.
    pub(super) inner_offsets: &'a [usize],
    /// Where rows lie that are needed soon. Only a hint: these addresses are asked for and not read.
    pub(super) soon: [usize; N_SOON],
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
        // As many sums as registers hold beside one row of the right matrix and a value of the left.
        let (n_rows, n_columns) = match isa {
            Isa::Portable => (4, 8),
            Isa::Avx2 => (6, 16),
            Isa::Avx512 => (12, 32),
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
                    _ => {}
                }
            };
        }
        match self.isa {
            // SAFETY: passed on from the caller.
            Isa::Portable => unsafe { portable(job) },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => by_rows!(avx2_rows: 1 2 3 4 5 6),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => by_rows!(avx512_rows: 1 2 3 4 5 6 7 8 9 10 11 12),
            #[cfg(not(target_arch = "x86_64"))]
            _ => {}
        }
    }
}

/// # Safety
/// As [`Tile::run`].
unsafe fn portable(job: Job<'_>) {
    const COLUMNS: usize = 8;
    let n_columns = job.n_columns.min(COLUMNS);
    for (row, row_offset) in job.row_offsets.iter().enumerate() {
        let mut sums = [0.0_f32; COLUMNS];
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
        // SAFETY: the caller's; only columns of this tile are written.
        let out =
            unsafe { std::slice::from_raw_parts_mut(job.out.add(row * job.out_stride), n_columns) };
        for (column, (out, sum)) in out.iter_mut().zip(sums).enumerate() {
            let before = if job.adds { *out + sum } else { sum };
            *out = job.bias.map_or(before, |bias| before + bias[column]);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256, __mmask16, _MM_HINT_T0, _mm_prefetch, _mm256_add_ps, _mm256_fmadd_ps,
        _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps, _mm512_add_ps,
        _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps,
        _mm512_set1_ps, _mm512_setzero_ps,
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
            for (inner, &offset) in job.inner_offsets.iter().enumerate() {
                let soon = job.soon[inner % super::N_SOON] + inner / super::N_SOON * super::N_SOON;
                _mm_prefetch::<_MM_HINT_T0>(job.left.wrapping_add(soon).cast());
                let (low, high) = (_mm512_loadu_ps(right), _mm512_loadu_ps(right.add(16)));
                for (sum, start) in sums.iter_mut().zip(&starts) {
                    let left = _mm512_set1_ps(*start.add(offset));
                    sum[0] = _mm512_fmadd_ps(left, low, sum[0]);
                    sum[1] = _mm512_fmadd_ps(left, high, sum[1]);
                }
                right = right.add(job.right_stride);
            }
            let masks = [mask(job.n_columns), mask(job.n_columns.saturating_sub(16))];
            for (row, sum) in sums.iter().enumerate() {
                let out = job.out.add(row * job.out_stride);
                for (half, (&sum, &mask)) in sum.iter().zip(&masks).enumerate() {
                    if mask == 0 {
                        continue;
                    }
                    let out = out.add(16 * half);
                    let mut value = sum;
                    if job.adds {
                        value = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, out), value);
                    }
                    if let Some(bias) = job.bias {
                        let bias = bias.as_ptr().add(16 * half);
                        value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, bias));
                    }
                    _mm512_mask_storeu_ps(out, mask, value);
                }
            }
        }
    }

    /// The lowest `n` of sixteen lanes.
    const fn mask(n: usize) -> __mmask16 {
        if n >= 16 { u16::MAX } else { (1 << n) - 1 }
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
            for (inner, &offset) in job.inner_offsets.iter().enumerate() {
                let soon = job.soon[inner % super::N_SOON] + inner / super::N_SOON * super::N_SOON;
                _mm_prefetch::<_MM_HINT_T0>(job.left.wrapping_add(soon).cast());
                let (low, high) = (_mm256_loadu_ps(right), _mm256_loadu_ps(right.add(8)));
                for (sum, start) in sums.iter_mut().zip(&starts) {
                    let left = _mm256_set1_ps(*start.add(offset));
                    sum[0] = _mm256_fmadd_ps(left, low, sum[0]);
                    sum[1] = _mm256_fmadd_ps(left, high, sum[1]);
                }
                right = right.add(job.right_stride);
            }
            for (row, sum) in sums.iter().enumerate() {
                let out = job.out.add(row * job.out_stride);
                for (half, &sum) in sum.iter().enumerate() {
                    let n_columns = job.n_columns.saturating_sub(8 * half).min(8);
                    store(
                        job.adds,
                        job.bias.map(|bias| &bias[job.n_columns.min(8 * half)..]),
                        out.add(8 * half),
                        n_columns,
                        sum,
                    );
                }
            }
        }
    }

    /// # Safety
    /// `out` must have `n_columns` elements, at most eight.
    #[target_feature(enable = "avx2")]
    unsafe fn store(
        adds: bool,
        bias: Option<&[f32]>,
        out: *mut f32,
        n_columns: usize,
        sum: __m256,
    ) {
        // SAFETY: the caller's; buffers on the stack have eight elements.
        unsafe {
            if n_columns == 8 {
                let mut value = sum;
                if adds {
                    value = _mm256_add_ps(_mm256_loadu_ps(out), value);
                }
                if let Some(bias) = bias {
                    value = _mm256_add_ps(value, _mm256_loadu_ps(bias.as_ptr()));
                }
                _mm256_storeu_ps(out, value);
                return;
            }
            let mut values = [0.0_f32; 8];
            _mm256_storeu_ps(values.as_mut_ptr(), sum);
            for (column, value) in values.iter().enumerate().take(n_columns) {
                let out = out.add(column);
                let before = if adds { *out + value } else { *value };
                *out = bias.map_or(before, |bias| before + bias[column]);
            }
        }
    }
}
