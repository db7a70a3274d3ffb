//! All rows of a group in one fold, and each fold with about the classes' shares of the whole.
//!
//! A greedy search: groups whose classes are the most uneven first, each to the fold where the classes' shares then
//! differ the least between folds. Which fold wins can hang on the last bit of a sum, so the sums are taken in NumPy's
//! order.

use super::{FoldError, FoldMethod, Shuffles, check_classes, counts};

/// The fold of each row.
pub(super) fn assign(
    labels: &[u32],
    groups: &[u32],
    n_splits: usize,
    shuffles: Option<Shuffles>,
) -> Result<Vec<u32>, FoldError> {
    let of_class = check_classes(labels, n_splits, FoldMethod::GroupKFold)?;
    let n_groups = counts(groups).len();
    if n_groups < n_splits {
        return Err(FoldError::Groups { n_groups, n_splits });
    }
    // Classes without rows have no share to be even.
    let present: Vec<usize> = (0..of_class.len()).filter(|&c| of_class[c] > 0).collect();
    let mut place = vec![0; of_class.len()];
    for (idx, &class) in present.iter().enumerate() {
        place[class] = idx;
    }
    let totals: Vec<f64> = present
        .iter()
        .map(|&class| of_class[class] as f64)
        .collect();
    let mut of_group = vec![vec![0.0; totals.len()]; n_groups];
    for (&label, &group) in labels.iter().zip(groups) {
        of_group[group as usize][place[label as usize]] += 1.0;
    }

    let mut order: Vec<usize> = (0..n_groups).collect();
    if let Some(shuffles) = shuffles {
        shuffles.stream(0).shuffle(&mut order);
    }
    let spread: Vec<f64> = of_group
        .iter()
        .map(|counts| deviation(counts, sum))
        .collect();
    order.sort_by(|&left, &right| spread[right].total_cmp(&spread[left]));

    let mut in_fold = vec![vec![0.0; totals.len()]; n_splits];
    let mut fold_of_group = vec![0; n_groups];
    for group in order {
        let fold = best_fold(&mut in_fold, &of_group[group], &totals);
        add(&mut in_fold[fold], &of_group[group], 1.0);
        fold_of_group[group] = fold as u32;
    }
    let is_empty = |fold: &usize| in_fold[*fold].iter().all(|&count| count == 0.0);
    if let Some(fold) = (0..n_splits).find(is_empty) {
        return Err(FoldError::Empty { fold, n_splits });
    }
    Ok(groups
        .iter()
        .map(|&group| fold_of_group[group as usize])
        .collect())
}

/// The fold that the group with these counts goes to.
fn best_fold(in_fold: &mut [Vec<f64>], group: &[f64], totals: &[f64]) -> usize {
    let mut best = (0, f64::INFINITY, f64::INFINITY);
    for fold in 0..in_fold.len() {
        add(&mut in_fold[fold], group, 1.0);
        let unevenness = unevenness(in_fold, totals);
        add(&mut in_fold[fold], group, -1.0);
        let n_rows: f64 = in_fold[fold].iter().sum();
        let (_, least, fewest) = best;
        // As `numpy.isclose` has it.
        let is_close = (unevenness - least).abs() <= 1e-8 + 1e-5 * least;
        if unevenness < least || is_close && n_rows < fewest {
            best = (fold, unevenness, n_rows);
        }
    }
    best.0
}

fn add(counts: &mut [f64], group: &[f64], sign: f64) {
    counts
        .iter_mut()
        .zip(group)
        .for_each(|(count, n)| *count += sign * n);
}

/// The mean over the classes of the deviation of their shares between folds.
fn unevenness(in_fold: &[Vec<f64>], totals: &[f64]) -> f64 {
    // NumPy adds up along the first of two axes row by row, along the only one by halves.
    let sum_over_folds = if totals.len() == 1 { sum } else { in_order };
    let of_class: Vec<f64> = totals
        .iter()
        .enumerate()
        .map(|(class, total)| {
            let shares: Vec<f64> = in_fold.iter().map(|fold| fold[class] / total).collect();
            deviation(&shares, sum_over_folds)
        })
        .collect();
    sum(&of_class) / of_class.len() as f64
}

/// `numpy.std`: over n, not n − 1.
fn deviation(values: &[f64], sum: fn(&[f64]) -> f64) -> f64 {
    let n = values.len() as f64;
    let mean = sum(values) / n;
    let squares: Vec<f64> = values
        .iter()
        .map(|value| (value - mean) * (value - mean))
        .collect();
    (sum(&squares) / n).sqrt()
}

fn in_order(values: &[f64]) -> f64 {
    values.iter().sum()
}

/// NumPy's pairwise sum of contiguous values.
fn sum(values: &[f64]) -> f64 {
    const LANES: usize = 8;
    const BLOCK: usize = 128;
    if values.len() < LANES {
        return in_order(values);
    }
    if values.len() > BLOCK {
        let half = values.len() / 2 / LANES * LANES;
        let (left, right) = values.split_at(half);
        return sum(left) + sum(right);
    }
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for block in blocks {
        lanes
            .iter_mut()
            .zip(block)
            .for_each(|(lane, value)| *lane += value);
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    let total = ((a + b) + (c + d)) + ((e + f) + (g + h));
    rest.iter().fold(total, |total, value| total + value)
}
