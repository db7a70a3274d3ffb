//! Whether predictions are those of the scores beside them.

use std::collections::HashMap;
use std::thread;

use trainyard_core::metrics::{argmax, predictions};
use trainyard_core::scored_rows::{Labels, ScoreTable};

use super::problem::Problem;

/// A note where most predictions are another class than the one with the highest score.
///
/// # Errors
///
/// Where these are the classes in another order: each class with the highest score goes with one predicted class, no two with the same.
/// A threshold or costs never do that: they move rows towards a class, and none away from it.
pub(super) fn check(
    predicted: &Labels,
    scores: Option<&ScoreTable>,
    n_classes: usize,
) -> Result<Option<String>, Problem> {
    let (Labels::Class(predicted), Some(scores)) = (predicted, scores) else {
        return Ok(None);
    };
    let n_rows = predicted.len();
    let n_other = match scores {
        ScoreTable::F32(scores) => n_other_than_best(predicted, scores, n_classes),
        ScoreTable::F64(scores) => n_other_than_best(predicted, scores, n_classes),
    };
    if 2 * n_other <= n_rows {
        return Ok(None);
    }
    let best = predictions(scores.as_scores(), n_classes);
    let pairs = predicted.iter().copied().zip(best);
    if is_reordered(pairs, n_rows) {
        return Err(Problem::ScoresOfOthers { n_other, n_rows });
    }
    Ok(Some(format!(
        "`predicted` is another class than the one with the highest score in {n_other} of {n_rows} rows: are the scores in the order of the classes?"
    )))
}

/// Whether most rows are explained by classes in another order: pairs of a predicted class and the one with the highest score in.
fn is_reordered(pairs: impl Iterator<Item = (u32, u32)>, n_rows: usize) -> bool {
    let mut counts: HashMap<(u32, u32), usize> = HashMap::new();
    for (predicted, best) in pairs {
        *counts.entry((best, predicted)).or_default() += 1;
    }
    // The class that goes most often with each best one; of equals the first, so that it does not depend on the map's order.
    let mut partners: HashMap<u32, (usize, u32)> = HashMap::new();
    for (&(best, predicted), &n) in &counts {
        let partner = partners.entry(best).or_insert((n, predicted));
        if (n, std::cmp::Reverse(predicted)) > (partner.0, std::cmp::Reverse(partner.1)) {
            *partner = (n, predicted);
        }
    }
    let mut taken: Vec<u32> = partners.values().map(|&(_, predicted)| predicted).collect();
    taken.sort_unstable();
    let is_one_to_one = partners.len() > 1 && taken.windows(2).all(|pair| pair[0] != pair[1]);
    let n_moved: usize = partners
        .iter()
        .filter(|&(&best, &(_, predicted))| best != predicted)
        .map(|(_, &(n, _))| n)
        .sum();
    is_one_to_one && 2 * n_moved > n_rows
}

/// Rows whose predicted class is another than the one with the highest score.
fn n_other_than_best<T: PartialOrd + Sync>(
    predicted: &[u32],
    scores: &[T],
    n_classes: usize,
) -> usize {
    let count = |predicted: &[u32], scores: &[T]| {
        let rows = predicted.iter().zip(scores.chunks_exact(n_classes));
        rows.filter(|(predicted, scores)| **predicted as usize != argmax(scores))
            .count()
    };
    let half = predicted.len() / 2;
    let (first, second) = predicted.split_at(half);
    let (of_first, of_second) = scores.split_at(half * n_classes);
    thread::scope(|scope| {
        let other = scope.spawn(|| count(second, of_second));
        count(first, of_first) + other.join().expect("counting does not panic")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(
        predicted: &[u32],
        best: &[usize],
        n_classes: usize,
    ) -> Result<Option<String>, Problem> {
        let scores = best.iter().flat_map(|&best| {
            (0..n_classes).map(move |class| {
                if class == best {
                    0.9
                } else {
                    0.1 / (n_classes - 1) as f64
                }
            })
        });
        let scores = ScoreTable::F64(scores.collect());
        check(&Labels::Class(predicted.to_vec()), Some(&scores), n_classes)
    }

    #[test]
    fn classes_in_another_order_are_refused() {
        let error = checked(&[1, 0, 1, 0, 1], &[0, 1, 0, 1, 1], 2).unwrap_err();
        assert_eq!(
            error,
            Problem::ScoresOfOthers {
                n_other: 4,
                n_rows: 5
            }
        );
        // Shifted by one.
        assert!(checked(&[1, 2, 0, 1, 2, 0], &[0, 1, 2, 0, 1, 2], 3).is_err());
    }

    #[test]
    fn what_a_threshold_or_costs_do_is_a_note_at_most() {
        // Every row is predicted positive.
        assert!(checked(&[1, 1, 1, 1], &[0, 0, 0, 1], 2).unwrap().is_some());
        // All rows of one class by scores, which says nothing of the order of the others.
        assert!(checked(&[1, 1, 1], &[0, 0, 0], 2).unwrap().is_some());
        assert_eq!(checked(&[0, 1, 1, 0], &[0, 1, 0, 0], 2), Ok(None));
        // No class goes with one other.
        assert!(
            checked(&[1, 2, 0, 1, 2, 0], &[0, 0, 1, 1, 2, 2], 3)
                .unwrap()
                .is_some()
        );
    }
}
