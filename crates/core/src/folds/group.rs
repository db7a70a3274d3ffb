//! All rows of a group in one fold, and the folds about equally large.

use std::cmp::Reverse;

use super::k_fold::blocks;
use super::{FoldError, Shuffles, counts};

/// The fold of each row: the groups, largest first, each to the fold that has the fewest rows so far. Shuffled, the folds
/// have equally many groups instead.
pub(super) fn assign(
    groups: &[u32],
    n_splits: usize,
    shuffles: Option<Shuffles>,
) -> Result<Vec<u32>, FoldError> {
    let n_rows_of = counts(groups);
    let n_groups = n_rows_of.len();
    if n_groups < n_splits {
        return Err(FoldError::Groups { n_groups, n_splits });
    }
    let mut fold_of_group = vec![0; n_groups];
    if let Some(shuffles) = shuffles {
        let mut order: Vec<usize> = (0..n_groups).collect();
        shuffles.stream(0).shuffle(&mut order);
        for (group, fold) in order.into_iter().zip(blocks(n_groups, n_splits)) {
            fold_of_group[group] = fold;
        }
    } else {
        // Of equally large groups the last comes first: scikit-learn turns around a stable sort.
        let mut order: Vec<usize> = (0..n_groups).collect();
        order.sort_by_key(|&group| Reverse((n_rows_of[group], group)));
        let mut n_rows_in = vec![0; n_splits];
        for group in order {
            let lightest = (0..n_splits)
                .min_by_key(|&fold| n_rows_in[fold])
                .expect("there are folds");
            n_rows_in[lightest] += n_rows_of[group];
            fold_of_group[group] = lightest as u32;
        }
    }
    Ok(groups
        .iter()
        .map(|&group| fold_of_group[group as usize])
        .collect())
}
