//! NumPy's `.npy` and `.npz`: bytes from any tool in, arrays out; and our own predictions, written reproducibly.
//!
//! Reads versions 1 to 3, C and Fortran order, either byte order, stored and deflated entries. Memory grows with the
//! bytes that are really there, never with what a header claims; an archive in a file is read and written without holding it.
//! Format: NEP 1 and `numpy.lib.format`.

mod elements;
mod header;
mod read;
mod text;
mod write;

pub use elements::{decode as numbers, encode as bytes};
pub use read::{read_npy, read_npz, read_npz_from};
pub use write::{Elements, write_npy, write_npz, write_npz_to};

/// An array of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Axes, outermost first; empty for a single number.
    pub shape: Vec<usize>,
    /// Elements, row-major.
    pub values: Values,
}

/// Elements of one kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// `<i8` and every narrower integer but bytes, and booleans.
    I64(Vec<i64>),
    /// `|u1`.
    U8(Vec<u8>),
    /// `<f4`, and `<f2`, of which it holds every number.
    F32(Vec<f32>),
    /// `<f8`.
    F64(Vec<f64>),
    /// `<U…`, and `|S…` that is UTF-8.
    Text(Vec<String>),
}

impl Array {
    /// A row of integers.
    pub fn integers(values: Vec<i64>) -> Self {
        Self {
            shape: vec![values.len()],
            values: Values::I64(values),
        }
    }

    /// A row of numbers.
    pub fn numbers(values: Vec<f64>) -> Self {
        Self {
            shape: vec![values.len()],
            values: Values::F64(values),
        }
    }

    /// A table of `n_columns` columns.
    pub fn table(values: Vec<f32>, n_columns: usize) -> Self {
        Self {
            shape: vec![values.len() / n_columns.max(1), n_columns],
            values: Values::F32(values),
        }
    }

    /// The elements as f64; `None` where they are text.
    pub fn to_f64(&self) -> Option<Vec<f64>> {
        Some(match &self.values {
            Values::I64(values) => values.iter().map(|&value| value as f64).collect(),
            Values::U8(values) => values.iter().copied().map(f64::from).collect(),
            Values::F32(values) => values.iter().copied().map(f64::from).collect(),
            Values::F64(values) => values.clone(),
            Values::Text(_) => return None,
        })
    }

    /// The elements as f32; `None` where they are text.
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        match &self.values {
            Values::F32(values) => Some(values.clone()),
            _ => Some(
                self.to_f64()?
                    .into_iter()
                    .map(|value| value as f32)
                    .collect(),
            ),
        }
    }
}

#[cfg(test)]
mod tests;
