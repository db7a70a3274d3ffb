//! Which rows were predicted wrong: one bit a row, in the rows' canonical order (bytewise by `row_id`, else by
//! position), so that two evaluations of the same rows are compared without any list of ids.
//!
//! Held compactly enough for the text of a check run: a bitmap, or the distances between missed rows where those take
//! fewer bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A set of rows among `n_rows`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Stored", into = "Stored")]
#[schemars(with = "Stored")]
pub struct RowMask {
    n_rows: u64,
    /// Sorted, each below `n_rows`, none twice.
    rows: Vec<u64>,
}

/// How a mask is stored.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// Number of rows, in the mask or not.
    n_rows: u64,
    /// Number of rows in the mask.
    n_set: u64,
    /// How `data` is to be read.
    encoding: Encoding,
    /// Base64 without padding.
    data: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    /// One bit a row, least significant first.
    Bitmap,
    /// The number of unset rows before each set one, as unsigned LEB128.
    RunLengths,
}

/// Why a stored mask cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowMaskError {
    /// The data is not base64.
    #[error("the mask of rows is not base64")]
    Base64,
    /// The data does not hold what is announced.
    #[error("the mask of rows does not hold the {n_set} of {n_rows} rows that it announces")]
    Content {
        /// Number of rows announced.
        n_rows: u64,
        /// Number of set rows announced.
        n_set: u64,
    },
}

impl RowMask {
    /// The mask of `rows` among `n_rows`; rows may come in any order. `None` where a row is outside or there twice.
    pub fn new(n_rows: u64, mut rows: Vec<u64>) -> Option<Self> {
        rows.sort_unstable();
        let is_valid = rows.windows(2).all(|pair| pair[0] < pair[1])
            && rows.last().is_none_or(|&last| last < n_rows);
        is_valid.then_some(Self { n_rows, rows })
    }

    /// Number of rows, in the mask or not.
    pub const fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// Number of rows in the mask.
    pub const fn n_set(&self) -> u64 {
        self.rows.len() as u64
    }

    /// The rows in the mask, in their order.
    pub fn rows(&self) -> &[u64] {
        &self.rows
    }

    /// How many rows are in this mask and not in `other`.
    pub fn n_not_in(&self, other: &Self) -> u64 {
        self.rows
            .iter()
            .filter(|row| other.rows.binary_search(row).is_err())
            .count() as u64
    }

    /// About how many characters it takes when stored.
    pub fn n_stored_chars(&self) -> usize {
        Stored::from(self.clone()).data.len()
    }
}

impl From<RowMask> for Stored {
    fn from(RowMask { n_rows, rows }: RowMask) -> Self {
        let n_set = rows.len() as u64;
        let runs = run_lengths(&rows);
        let bitmap_len = n_rows.div_ceil(8) as usize;
        let (encoding, bytes) = if runs.len() <= bitmap_len {
            (Encoding::RunLengths, runs)
        } else {
            let mut bytes = vec![0_u8; bitmap_len];
            for row in rows {
                bytes[(row / 8) as usize] |= 1 << (row % 8);
            }
            (Encoding::Bitmap, bytes)
        };
        Self {
            n_rows,
            n_set,
            encoding,
            data: STANDARD_NO_PAD.encode(bytes),
        }
    }
}

impl TryFrom<Stored> for RowMask {
    type Error = RowMaskError;

    fn try_from(
        Stored {
            n_rows,
            n_set,
            encoding,
            data,
        }: Stored,
    ) -> Result<Self, RowMaskError> {
        let bytes = STANDARD_NO_PAD
            .decode(data)
            .map_err(|_| RowMaskError::Base64)?;
        let rows = match encoding {
            Encoding::Bitmap if bytes.len() as u64 == n_rows.div_ceil(8) => Some(
                (0..bytes.len() as u64 * 8)
                    .filter(|row| bytes[(row / 8) as usize] >> (row % 8) & 1 == 1)
                    .collect(),
            ),
            Encoding::Bitmap => None,
            Encoding::RunLengths => read_run_lengths(&bytes),
        };
        rows.and_then(|rows| Self::new(n_rows, rows))
            .filter(|mask| mask.n_set() == n_set)
            .ok_or(RowMaskError::Content { n_rows, n_set })
    }
}

fn run_lengths(rows: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut next = 0;
    for &row in rows {
        let mut run = row - next;
        next = row + 1;
        while run >= 0x80 {
            bytes.push(run as u8 | 0x80);
            run >>= 7;
        }
        bytes.push(run as u8);
    }
    bytes
}

fn read_run_lengths(bytes: &[u8]) -> Option<Vec<u64>> {
    let mut rows = Vec::new();
    let (mut next, mut run, mut shift) = (0_u64, 0_u64, 0_u32);
    for byte in bytes {
        run |= u64::from(byte & 0x7f)
            .checked_shl(shift)
            .filter(|_| shift < 63)?;
        shift += 7;
        if byte & 0x80 == 0 {
            let row = next.checked_add(run)?;
            rows.push(row);
            next = row.checked_add(1)?;
            (run, shift) = (0, 0);
        }
    }
    (shift == 0).then_some(rows)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_stored_is_read_back(rows in prop::collection::btree_set(0..5_000_u64, 0..300)) {
            let mask = RowMask::new(5_000, rows.into_iter().collect()).unwrap();
            let json = serde_json::to_string(&mask).unwrap();
            prop_assert_eq!(serde_json::from_str::<RowMask>(&json).unwrap(), mask);
        }

        #[test]
        fn any_data_gives_a_mask_or_an_error(data in "[A-Za-z0-9+/]{0,40}", is_bitmap: bool, n_rows in 0..400_u64) {
            let encoding = if is_bitmap { "bitmap" } else { "run_lengths" };
            let json = format!(r#"{{"n_rows":{n_rows},"n_set":3,"encoding":"{encoding}","data":"{data}"}}"#);
            let _ = serde_json::from_str::<RowMask>(&json);
        }
    }

    #[test]
    fn the_shorter_form_is_stored() {
        let sparse = RowMask::new(1_000_000, vec![5, 999_999]).unwrap();
        assert!(sparse.n_stored_chars() < 10, "{}", sparse.n_stored_chars());
        // Every second row: a bitmap of 12,500 bytes.
        let dense = RowMask::new(100_000, (0..50_000).map(|row| row * 2).collect()).unwrap();
        assert_eq!(dense.n_stored_chars(), 16_667);
    }

    #[test]
    fn rows_of_one_mask_alone_are_counted() {
        let mask = |rows: &[u64]| RowMask::new(10, rows.to_vec()).unwrap();
        assert_eq!(mask(&[1, 2, 3]).n_not_in(&mask(&[3, 4])), 2);
        assert_eq!(mask(&[]).n_not_in(&mask(&[3])), 0);
        assert!(RowMask::new(2, vec![2]).is_none() && RowMask::new(2, vec![1, 1]).is_none());
    }

    #[test]
    fn a_mask_that_lies_is_refused() {
        for json in [
            r#"{"n_rows":8,"n_set":2,"encoding":"bitmap","data":"AQ"}"#,
            r#"{"n_rows":9,"n_set":1,"encoding":"bitmap","data":"AQ"}"#,
            r#"{"n_rows":2,"n_set":1,"encoding":"run_lengths","data":"BQ"}"#,
            r#"{"n_rows":2,"n_set":1,"encoding":"run_lengths","data":"!"}"#,
        ] {
            assert!(serde_json::from_str::<RowMask>(json).is_err(), "{json}");
        }
    }
}
