//! Blocks in the order of time: each fold is tested on a block and trained on all that came before it.

use super::FoldError;

/// Rows of a block; what does not come out even is trained on by the first fold.
pub(super) const fn n_test(n_rows: usize, n_splits: usize) -> Result<usize, FoldError> {
    match n_rows / (n_splits + 1) {
        0 => Err(FoldError::Blocks { n_rows, n_splits }),
        n_test => Ok(n_test),
    }
}
