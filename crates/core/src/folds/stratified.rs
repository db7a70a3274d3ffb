//! Each class dealt to the folds as evenly as it goes.

use super::{FoldError, FoldMethod, Shuffles, check_classes};

/// The fold of each row.
///
/// How many rows of a class a fold gets is decided by dealing the rows, sorted by class, one by one to the folds, so that
/// the folds' sizes differ by one row at most. Which ones it gets are, unshuffled, the next in the order of the rows.
pub(super) fn assign(
    labels: &[u32],
    n_splits: usize,
    shuffles: Option<Shuffles>,
) -> Result<Vec<u32>, FoldError> {
    let counts = check_classes(labels, n_splits, FoldMethod::KFold)?;
    let mut fold_of = vec![0; labels.len()];
    let mut n_dealt = 0;
    for class in by_appearance(labels, counts.len()) {
        let n_rows = counts[class as usize];
        let mut n_of_fold = vec![0; n_splits];
        (n_dealt..n_dealt + n_rows).for_each(|place| n_of_fold[place % n_splits] += 1);
        n_dealt += n_rows;
        let mut folds: Vec<u32> = n_of_fold
            .iter()
            .enumerate()
            .flat_map(|(fold, &n)| std::iter::repeat_n(fold as u32, n))
            .collect();
        if let Some(shuffles) = shuffles {
            shuffles.stream(class).shuffle(&mut folds);
        }
        let rows = (0..labels.len()).filter(|&row| labels[row] == class);
        rows.zip(folds).for_each(|(row, fold)| fold_of[row] = fold);
    }
    Ok(fold_of)
}

/// The classes in the order of their first rows.
fn by_appearance(labels: &[u32], n_classes: usize) -> Vec<u32> {
    let mut is_seen = vec![false; n_classes];
    let is_first = |label: &&u32| !std::mem::replace(&mut is_seen[**label as usize], true);
    labels.iter().filter(is_first).copied().collect()
}
