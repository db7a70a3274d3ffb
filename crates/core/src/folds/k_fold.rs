//! Blocks of equal size, the first ones a row larger where it does not come out even.

use super::Shuffles;

/// The fold of each row.
pub(super) fn assign(n_rows: usize, n_splits: usize, shuffles: Option<Shuffles>) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n_rows as u32).collect();
    if let Some(shuffles) = shuffles {
        shuffles.stream(0).shuffle(&mut order);
    }
    let mut fold_of = vec![0; n_rows];
    for (&row, fold) in order.iter().zip(blocks(n_rows, n_splits)) {
        fold_of[row as usize] = fold;
    }
    fold_of
}

/// The numbers of `n_splits` blocks of `n_items` together, one an item.
pub(super) fn blocks(n_items: usize, n_splits: usize) -> impl Iterator<Item = u32> {
    let size = move |fold| n_items / n_splits + usize::from(fold < n_items % n_splits);
    (0..n_splits).flat_map(move |fold| std::iter::repeat_n(fold as u32, size(fold)))
}
