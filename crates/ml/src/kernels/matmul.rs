//! Matrix products, by the `gemm` crate that candle computes with too.

#![expect(unsafe_code, reason = "the `gemm` crate takes raw pointers")]

/// A matrix inside a slice: element `(row, column)` lies at `row * row_stride + column * column_stride`.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows one after the other, `row_stride` apart.
    pub const fn rows(values: &'a [f32], row_stride: usize) -> Self {
        Self {
            values,
            row_stride,
            column_stride: 1,
        }
    }

    /// The same matrix mirrored: rows become columns.
    #[must_use]
    pub const fn transposed(self) -> Self {
        Self {
            values: self.values,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

/// `out = left · right`, or `out += left · right` where `adds`.
///
/// `left` is `[n_rows, n_inner]`, `right` `[n_inner, n_columns]`; `out` is row-major with rows `out_stride` apart. On one
/// thread: callers cut work into shards. The order of summation over `n_inner` is that of `gemm`, which takes its block
/// size from the L1 cache.
///
/// # Panics
/// If a matrix does not lie within its slice.
pub fn matmul(
    [n_rows, n_inner, n_columns]: [usize; 3],
    left: Matrix<'_>,
    right: Matrix<'_>,
    out: &mut [f32],
    out_stride: usize,
    adds: bool,
) {
    let fits =
        |len: usize, rows: usize, columns: usize, row_stride: usize, column_stride: usize| {
            rows == 0
                || columns == 0
                || (rows - 1) * row_stride + (columns - 1) * column_stride < len
        };
    assert!(
        fits(
            left.values.len(),
            n_rows,
            n_inner,
            left.row_stride,
            left.column_stride
        ),
        "left lies outside"
    );
    assert!(
        fits(
            right.values.len(),
            n_inner,
            n_columns,
            right.row_stride,
            right.column_stride
        ),
        "right lies outside"
    );
    assert!(
        fits(out.len(), n_rows, n_columns, out_stride, 1) && n_columns <= out_stride.max(1),
        "out lies outside"
    );
    // SAFETY: the asserts above keep every element that is read or written within its slice; `out` is borrowed mutably,
    // so it overlaps neither input, and its rows do not overlap each other.
    unsafe {
        gemm::gemm(
            n_rows,
            n_columns,
            n_inner,
            out.as_mut_ptr(),
            1,
            out_stride as isize,
            adds,
            left.values.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.values.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::noise;

    fn reference([m, k, n]: [usize; 3], left: &[f32], right: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; m * n];
        for row in 0..m {
            for column in 0..n {
                let sum: f64 = (0..k)
                    .map(|i| f64::from(left[row * k + i]) * f64::from(right[i * n + column]))
                    .sum();
                out[row * n + column] = sum as f32;
            }
        }
        out
    }

    #[test]
    fn products_equal_the_plain_triple_loop() {
        for [m, k, n] in [
            [1, 1, 1],
            [3, 5, 7],
            [16, 9, 32],
            [17, 65, 10],
            [128, 338, 12],
        ] {
            let (left, right) = (noise(m * k, 1), noise(k * n, 2));
            let expected = reference([m, k, n], &left, &right);
            let mut out = vec![1.0; m * n];
            matmul(
                [m, k, n],
                Matrix::rows(&left, k),
                Matrix::rows(&right, n),
                &mut out,
                n,
                false,
            );
            let is_close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4;
            assert!(out.iter().zip(&expected).all(is_close), "{m} {k} {n}");
            // (left · right)ᵀ = rightᵀ · leftᵀ, added to what is there.
            let mut mirrored = vec![0.5; m * n];
            let (l, r) = (
                Matrix::rows(&left, k).transposed(),
                Matrix::rows(&right, n).transposed(),
            );
            matmul([n, k, m], r, l, &mut mirrored, m, true);
            let expected: Vec<f32> = (0..n * m)
                .map(|idx| 0.5 + expected[(idx % m) * n + idx / m])
                .collect();
            assert!(
                mirrored.iter().zip(&expected).all(is_close),
                "{m} {k} {n} transposed"
            );
        }
    }

    #[test]
    #[should_panic(expected = "right lies outside")]
    fn a_matrix_outside_of_its_slice_is_refused() {
        matmul(
            [2, 2, 2],
            Matrix::rows(&[0.0; 4], 2),
            Matrix::rows(&[0.0; 3], 2),
            &mut [0.0; 4],
            2,
            false,
        );
    }
}
