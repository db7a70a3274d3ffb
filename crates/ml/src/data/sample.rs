//! Which rows `max_train_rows` and `max_test_rows` keep.

use std::collections::BTreeMap;

use super::row_labels::Labels;
use crate::random::{Purpose, Stream};

/// Not the seed of training: another seed there must not change which rows are tested, nor the digest of the data.
const SEED: u64 = 0;

/// The places of `max_rows` rows, in the order of the file, drawn evenly from the classes.
///
/// Files are often sorted by class, and image folders always are, so that the first rows would be of one class alone.
/// Each class that occurs keeps a row, where there is room, and its share of the others by the largest remainders.
pub(super) fn draw(labels: &Labels, max_rows: usize) -> Vec<usize> {
    let n_rows = labels.len();
    if max_rows >= n_rows {
        return (0..n_rows).collect();
    }
    let mut strata: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for row in 0..n_rows {
        let stratum = match labels {
            Labels::Class(labels) => labels[row],
            Labels::Value(_) => 0,
        };
        strata.entry(stratum).or_default().push(row);
    }
    let sizes: Vec<usize> = strata.values().map(Vec::len).collect();
    let mut kept: Vec<usize> = Vec::with_capacity(max_rows);
    for ((stratum, mut rows), n_kept) in strata.into_iter().zip(quotas(&sizes, max_rows)) {
        Stream::new(SEED, Purpose::Sample, stratum).shuffle(&mut rows);
        rows.truncate(n_kept);
        kept.extend(rows);
    }
    kept.sort_unstable();
    kept
}

/// How many of `max_rows`, fewer than there are, come from each class of these sizes, none of which is 0.
fn quotas(sizes: &[usize], max_rows: usize) -> Vec<usize> {
    let n_first = usize::from(max_rows >= sizes.len());
    let n_shared = (max_rows - n_first * sizes.len()) as u128;
    let rest = |size: usize| (size - n_first) as u128;
    let total: u128 = sizes.iter().map(|&size| rest(size)).sum();
    let share = |size: usize| rest(size) * n_shared;
    let mut quotas: Vec<usize> = sizes
        .iter()
        .map(|&size| n_first + (share(size) / total) as usize)
        .collect();
    let mut by_remainder: Vec<usize> = (0..sizes.len()).collect();
    by_remainder.sort_by_key(|&class| (std::cmp::Reverse(share(sizes[class]) % total), class));
    let n_missing = max_rows - quotas.iter().sum::<usize>();
    for &class in &by_remainder[..n_missing] {
        quotas[class] += 1;
    }
    quotas
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_class_keeps_its_share(sizes in prop::collection::vec(1..40_usize, 1..8), wanted in 1..100_usize) {
            let labels: Vec<u32> = sizes
                .iter()
                .enumerate()
                .flat_map(|(class, &size)| std::iter::repeat_n(class as u32, size))
                .collect();
            let n_rows = labels.len();
            let wanted = wanted.min(n_rows);
            let kept = draw(&Labels::Class(labels.clone()), wanted);
            prop_assert_eq!(kept.len(), wanted);
            prop_assert!(kept.is_sorted_by(|left, right| left < right));
            for (class, &size) in sizes.iter().enumerate() {
                let n_kept = kept.iter().filter(|&&row| labels[row] as usize == class).count();
                prop_assert!(n_kept <= size);
                prop_assert!(n_kept > 0 || wanted < sizes.len(), "class {} of {:?}", class, sizes);
                let share = size as f64 * wanted as f64 / n_rows as f64;
                prop_assert!((n_kept as f64 - share).abs() < sizes.len() as f64 + 1.0);
            }
        }
    }

    #[test]
    fn numbers_to_predict_are_drawn_from_the_whole_file() {
        let sorted = Labels::Value((0..1000).map(f64::from).collect());
        let kept = draw(&sorted, 100);
        assert_eq!((kept.len(), kept == draw(&sorted, 100)), (100, true));
        let mean = kept.iter().sum::<usize>() as f64 / 100.0;
        // The mean of 100 of these has a standard deviation of some 29.
        assert!((mean - 499.5).abs() < 4.0 * 29.0, "{mean}");
    }
}
