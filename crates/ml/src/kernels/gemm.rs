//! Matrix products: blocked, packed, on one thread. Callers cut work into parts of fixed size.
//!
//! The sum over the inner axis runs in blocks of [`BLOCK_INNER`], whatever the machine's caches, and element by element
//! within a block; so no result depends on tiles, threads or caches, and AVX2 and AVX-512 give the same bits.

#![expect(
    unsafe_code,
    reason = "micro-kernels read and write through raw pointers"
)]

mod pack;
mod tile;

use std::marker::PhantomData;

use super::isa::Isa;

/// Length of a block of the inner axis. A packed panel of the right matrix, 32 columns wide, takes 16 KiB, so that it and
/// the tiles of the left matrix that pass by fit an L1 cache of 32 KiB together.
pub const BLOCK_INNER: usize = 128;

/// Panels of the right matrix that are packed together, reading its rows from end to end.
const PANELS_TOGETHER: usize = 4;

/// Columns of the widest tile.
const MAX_TILE_COLUMNS: usize = 32;

/// Where the elements of one axis lie, as distances from the matrix's start.
#[derive(Debug, Clone, Copy)]
pub enum Axis<'a> {
    /// Evenly: element `i` lies at `i * stride`.
    Strided {
        /// Number of elements.
        len: usize,
        /// Distance between neighbours.
        stride: usize,
    },
    /// Anywhere: element `i` lies at `table[i]`. A convolution's windows are such an axis.
    Table(&'a [u32]),
}

impl Axis<'_> {
    const fn len(&self) -> usize {
        match self {
            Self::Strided { len, .. } => *len,
            Self::Table(table) => table.len(),
        }
    }

    fn at(&self, idx: usize) -> usize {
        match self {
            Self::Strided { stride, .. } => idx * stride,
            Self::Table(table) => table[idx] as usize,
        }
    }

    fn last(&self) -> usize {
        match self {
            Self::Strided { len, stride } => len.saturating_sub(1) * stride,
            Self::Table(table) => table.iter().copied().max().unwrap_or(0) as usize,
        }
    }
}

/// The left matrix `[rows, inner]`, read element by element.
#[derive(Debug, Clone, Copy)]
pub struct Left<'a> {
    values: &'a [f32],
    rows: Axis<'a>,
    inner: Axis<'a>,
}

impl<'a> Left<'a> {
    /// # Panics
    /// If an element lies outside of `values`.
    pub fn new(values: &'a [f32], rows: Axis<'a>, inner: Axis<'a>) -> Self {
        let is_empty = rows.len() == 0 || inner.len() == 0;
        assert!(
            is_empty || rows.last() + inner.last() < values.len(),
            "left lies outside"
        );
        Self {
            values,
            rows,
            inner,
        }
    }

    /// Row-major, rows `row_stride` apart.
    pub fn rows(values: &'a [f32], n_rows: usize, n_inner: usize, row_stride: usize) -> Self {
        let rows = Axis::Strided {
            len: n_rows,
            stride: row_stride,
        };
        let inner = Axis::Strided {
            len: n_inner,
            stride: 1,
        };
        Self::new(values, rows, inner)
    }

    /// The mirror image of a row-major matrix: row `i` is its column `i`.
    pub fn columns(values: &'a [f32], n_rows: usize, n_inner: usize, inner_stride: usize) -> Self {
        let rows = Axis::Strided {
            len: n_rows,
            stride: 1,
        };
        let inner = Axis::Strided {
            len: n_inner,
            stride: inner_stride,
        };
        Self::new(values, rows, inner)
    }
}

/// The right matrix `[inner, columns]`, packed panel by panel.
#[derive(Debug, Clone, Copy)]
pub struct Right<'a> {
    values: &'a [f32],
    n_inner: usize,
    n_columns: usize,
    stride: usize,
    is_transposed: bool,
}

impl<'a> Right<'a> {
    /// Row-major: element `(inner, column)` lies at `inner * stride + column`.
    ///
    /// # Panics
    /// If an element lies outside of `values`.
    pub fn rows(values: &'a [f32], n_inner: usize, n_columns: usize, stride: usize) -> Self {
        assert!(
            lies_within(values, n_inner, n_columns, stride),
            "right lies outside"
        );
        Self {
            values,
            n_inner,
            n_columns,
            stride,
            is_transposed: false,
        }
    }

    /// The mirror image of a row-major matrix: element `(inner, column)` lies at `column * stride + inner`.
    ///
    /// # Panics
    /// If an element lies outside of `values`.
    pub fn transposed(values: &'a [f32], n_inner: usize, n_columns: usize, stride: usize) -> Self {
        assert!(
            lies_within(values, n_columns, n_inner, stride),
            "right lies outside"
        );
        Self {
            values,
            n_inner,
            n_columns,
            stride,
            is_transposed: true,
        }
    }
}

/// Whether `n_lines` lines of `len` values, `stride` apart, lie within `values`.
const fn lies_within(values: &[f32], n_lines: usize, len: usize, stride: usize) -> bool {
    n_lines == 0 || len == 0 || (n_lines - 1) * stride + len <= values.len()
}

/// A part of a row-major matrix to be written, which other threads write other parts of.
#[derive(Debug)]
pub struct Out<'a> {
    start: *mut f32,
    n_rows: usize,
    n_columns: usize,
    stride: usize,
    borrowed: PhantomData<&'a mut [f32]>,
}

// SAFETY: it stands for a mutable borrow of its own elements, which no other `Out` has.
unsafe impl Send for Out<'_> {}

impl<'a> Out<'a> {
    /// A whole matrix `[n_rows, n_columns]`, rows `stride` apart.
    ///
    /// # Panics
    /// If an element lies outside of `values`, or rows overlap.
    pub fn new(values: &'a mut [f32], n_rows: usize, n_columns: usize, stride: usize) -> Self {
        assert!(
            lies_within(values, n_rows, n_columns, stride),
            "out lies outside"
        );
        assert!(n_rows <= 1 || n_columns <= stride, "rows of out overlap");
        Self {
            start: values.as_mut_ptr(),
            n_rows,
            n_columns,
            stride,
            borrowed: PhantomData,
        }
    }

    /// Number of rows.
    pub const fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Number of columns.
    pub const fn n_columns(&self) -> usize {
        self.n_columns
    }

    /// One row of it.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row_mut(&mut self, row: usize) -> &mut [f32] {
        assert!(row < self.n_rows, "no such row");
        // SAFETY: the row lies within the matrix, whose elements are borrowed by this value alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(row * self.stride), self.n_columns) }
    }

    /// Blocks of at most `height` rows and `width` columns, row of blocks by row of blocks.
    pub fn into_blocks(self, height: usize, width: usize) -> impl Iterator<Item = Block<'a>> {
        let Self {
            n_rows,
            n_columns,
            stride,
            ..
        } = self;
        let start = SendPointer(self.start);
        (0..n_rows).step_by(height.max(1)).flat_map(move |row| {
            (0..n_columns).step_by(width.max(1)).map(move |column| {
                let start = start;
                Block {
                    row,
                    column,
                    out: Out {
                        // SAFETY: row and column lie within the matrix, whose elements lie within one borrow.
                        start: unsafe { start.0.add(row * stride + column) },
                        n_rows: height.min(n_rows - row),
                        n_columns: width.min(n_columns - column),
                        stride,
                        borrowed: PhantomData,
                    },
                }
            })
        })
    }
}

#[derive(Clone, Copy)]
struct SendPointer(*mut f32);

/// A block of a matrix and where it begins.
#[derive(Debug)]
pub struct Block<'a> {
    /// First row.
    pub row: usize,
    /// First column.
    pub column: usize,
    /// The block.
    pub out: Out<'a>,
}

/// How the product is stored.
#[derive(Debug, Clone, Copy)]
pub enum Then<'a> {
    /// `out = product`.
    Set,
    /// `out += product`.
    Add,
    /// `out = product + bias`, a value per column.
    SetWithBias(&'a [f32]),
}

/// `out = left · right`, or as `then` says.
///
/// # Panics
/// If the sizes do not agree.
pub fn matmul(left: Left<'_>, right: Right<'_>, out: Out<'_>, then: Then<'_>) {
    matmul_with(Isa::detect(), left, right, out, then);
}

/// [`matmul`] by given instructions, which the machine must have.
pub(crate) fn matmul_with(
    isa: Isa,
    left: Left<'_>,
    right: Right<'_>,
    out: Out<'_>,
    then: Then<'_>,
) {
    let n_inner = left.inner.len();
    assert!(
        left.rows.len() == out.n_rows
            && n_inner == right.n_inner
            && right.n_columns == out.n_columns,
        "sizes of a product do not agree"
    );
    assert!(isa <= Isa::detect(), "the machine lacks these instructions");
    if let Then::SetWithBias(bias) = then {
        assert!(bias.len() >= out.n_columns, "the bias is too short");
    }
    let tile = tile::Tile::of(isa);
    let mut row_offsets = [0; tile::MAX_ROWS];
    let mut inner_offsets = [0; BLOCK_INNER];
    // An empty sum is zero, and still takes its bias.
    for start in (0..n_inner.max(1)).step_by(BLOCK_INNER) {
        let len = BLOCK_INNER.min(n_inner - start);
        for (offset, idx) in inner_offsets.iter_mut().zip(start..start + len) {
            *offset = left.inner.at(idx);
        }
        let adds = start > 0 || matches!(then, Then::Add);
        let is_last = start + len == n_inner;
        let group = PANELS_TOGETHER * tile.n_columns;
        for first_column in (0..out.n_columns).step_by(group) {
            let columns = first_column..out.n_columns.min(first_column + group);
            pack::with_panels(
                right,
                start..start + len,
                columns.clone(),
                tile.n_columns,
                |panels| {
                    for (panel_idx, column) in columns.clone().step_by(tile.n_columns).enumerate() {
                        let n_columns = tile.n_columns.min(columns.end - column);
                        let bias = match then {
                            Then::SetWithBias(bias) if is_last => {
                                Some(&bias[column..column + n_columns])
                            }
                            _ => None,
                        };
                        for row in (0..out.n_rows).step_by(tile.n_rows) {
                            let n_rows = tile.n_rows.min(out.n_rows - row);
                            for (offset, idx) in row_offsets.iter_mut().zip(row..row + n_rows) {
                                *offset = left.rows.at(idx);
                            }
                            let panel = panels.panel(panel_idx);
                            // SAFETY: `Left::new`, `Right` and `Out::new` keep every element within its slice, a panel
                            // has `len` rows of `tile.n_columns` values, and the instructions were detected above.
                            unsafe {
                                tile.run(tile::Job {
                                    left: left.values.as_ptr(),
                                    row_offsets: &row_offsets[..n_rows],
                                    inner_offsets: &inner_offsets[..len],
                                    soon: left.soon(row + n_rows, n_rows, start, len),
                                    right: panel.start,
                                    right_stride: panel.stride,
                                    out: out.start.add(row * out.stride + column),
                                    out_stride: out.stride,
                                    n_columns,
                                    adds,
                                    bias,
                                });
                            }
                        }
                    }
                },
            );
        }
    }
}

impl Left<'_> {
    /// Where the rows lie that come after this tile, so that they can be asked for in time: those of the next tile, or
    /// at the end of the matrix the first of the next inner block. Only where a row's values lie together.
    fn soon(
        &self,
        next_row: usize,
        n_rows: usize,
        start: usize,
        len: usize,
    ) -> [usize; tile::MAX_ROWS] {
        let mut soon = [0; tile::MAX_ROWS];
        if !matches!(self.inner, Axis::Strided { stride: 1, .. }) {
            return soon;
        }
        let (first, inner) = if next_row < self.rows.len() {
            (next_row, start)
        } else {
            (0, start + len)
        };
        for (idx, offset) in soon.iter_mut().enumerate() {
            let row = first + idx;
            if idx < n_rows && row < self.rows.len() {
                *offset = self.rows.at(row) + inner;
            }
        }
        soon
    }
}

#[cfg(test)]
mod tests;
