//! Metrics of ranked items: how near the top the relevant items of each group, such as a query or a user, are ranked.
//!
//! Items with equal scores are in no order, so each metric is its mean over all orders of them.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

/// Items of groups, one entry an item.
#[derive(Debug, Clone, Copy)]
pub struct RankedItems<'a> {
    /// How relevant each is: 0 for not at all, else above 0.
    pub relevance: &'a [f64],
    /// The higher, the nearer to the top of its group.
    pub scores: &'a [f64],
    /// The group that each is ranked in.
    pub groups: &'a [String],
}

/// A value of each group that has a relevant item, in the order of their names.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// Normalised discounted cumulative gain of the first places.
    pub ndcg: Vec<f64>,
    /// Reciprocal rank of the first relevant item, however far down.
    pub mrr: Vec<f64>,
    /// Probability of a relevant item among the first places: 0 or 1 where no ties share the last of them.
    pub hits: Vec<f64>,
    /// Groups without a relevant item: no order of theirs is better than another.
    pub n_without_relevant: u64,
}

/// Items of one score, the highest score first.
struct Tie {
    n: usize,
    n_relevant: usize,
    relevance: f64,
}

impl Ranking {
    /// Of the first `n_places` of each group.
    ///
    /// # Panics
    ///
    /// Where the columns have different lengths.
    pub fn of(items: &RankedItems<'_>, n_places: NonZeroUsize) -> Self {
        let n_places = n_places.get();
        let RankedItems {
            relevance,
            scores,
            groups,
        } = *items;
        assert!(relevance.len() == scores.len() && relevance.len() == groups.len());
        let mut of_group: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (item, group) in groups.iter().enumerate() {
            of_group.entry(group).or_default().push(item);
        }
        let (mut ndcg, mut mrr, mut hits) = (Vec::new(), Vec::new(), Vec::new());
        let mut n_without_relevant = 0;
        for mut items in of_group.into_values() {
            items.sort_by(|&left, &right| scores[right].total_cmp(&scores[left]));
            let ties: Vec<Tie> = items
                .chunk_by(|&left, &right| scores[left] == scores[right])
                .map(|tie| Tie {
                    n: tie.len(),
                    n_relevant: tie.iter().filter(|&&item| relevance[item] > 0.0).count(),
                    relevance: tie.iter().map(|&item| relevance[item]).sum(),
                })
                .collect();
            if ties.iter().all(|tie| tie.n_relevant == 0) {
                n_without_relevant += 1;
                continue;
            }
            let mut ideal: Vec<f64> = items.iter().map(|&item| relevance[item]).collect();
            ideal.sort_by(|left, right| right.total_cmp(left));
            let ideal = ideal.into_iter().take(n_places).enumerate();
            let ideal: f64 = ideal.map(|(place, gain)| gain * discount(place)).sum();
            ndcg.push(gain(&ties, n_places) / ideal);
            mrr.push(reciprocal_rank(&ties));
            hits.push(hit(&ties, n_places));
        }
        Self {
            ndcg,
            mrr,
            hits,
            n_without_relevant,
        }
    }
}

/// Of a place, counted from 0.
fn discount(place: usize) -> f64 {
    ((place + 2) as f64).log2().recip()
}

/// Discounted cumulative gain, equal scores averaged: F. McSherry and M. Najork (2008), "Computing information retrieval performance
/// measures efficiently in the presence of tied scores", as scikit-learn's `ndcg_score`.
fn gain(ties: &[Tie], n_places: usize) -> f64 {
    let mut start = 0;
    let mut sum = 0.0;
    for tie in ties {
        let places = start..(start + tie.n).min(n_places);
        sum += places.map(discount).sum::<f64>() * tie.relevance / tie.n as f64;
        start += tie.n;
    }
    sum
}

/// The expected reciprocal of the first relevant item's place.
fn reciprocal_rank(ties: &[Tie]) -> f64 {
    let mut start = 0;
    for tie in ties {
        if tie.n_relevant == 0 {
            start += tie.n;
            continue;
        }
        let (mut none_before, mut expected) = (1.0, 0.0);
        for place in 0..=tie.n - tie.n_relevant {
            let chance = tie.n_relevant as f64 / (tie.n - place) as f64;
            expected += none_before * chance / (start + place + 1) as f64;
            none_before *= 1.0 - chance;
        }
        return expected;
    }
    0.0
}

/// The probability of a relevant item among the first places.
fn hit(ties: &[Tie], n_places: usize) -> f64 {
    let (mut start, mut none) = (0, 1.0);
    for tie in ties {
        for place in 0..tie.n.min(n_places.saturating_sub(start)) {
            let n_left = tie.n - place;
            none *= n_left.saturating_sub(tie.n_relevant) as f64 / n_left as f64;
        }
        start += tie.n;
    }
    1.0 - none
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranking(relevance: &[f64], scores: &[f64], n_places: usize) -> Ranking {
        let groups = vec!["q".to_owned(); scores.len()];
        let items = RankedItems {
            relevance,
            scores,
            groups: &groups,
        };
        Ranking::of(&items, NonZeroUsize::new(n_places).unwrap())
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    #[track_caller]
    fn close(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-12, "{left} is not {right}");
    }

    /// Independent source: scikit-learn 1.9 `ndcg_score`, on the rows of its documentation.
    #[test]
    fn ndcg_is_scikit_learns() {
        let relevance = [10.0, 0.0, 0.0, 1.0, 5.0];
        let coarse = [1.0, 0.0, 0.0, 0.0, 1.0];
        for (scores, n_places, expected) in [
            ([0.1, 0.2, 0.3, 4.0, 70.0], 5, 0.695_694_044_381_307_6),
            ([0.05, 1.1, 1.0, 0.5, 0.0], 5, 0.493_680_191_377_376),
            ([0.05, 1.1, 1.0, 0.5, 0.0], 4, 0.352_024_110_063_448_8),
            (coarse, 1, 0.75),
            (coarse, 5, 0.927_973_309_479_490_5),
            ([1.0; 5], 3, 0.499_388_547_252_886_3),
        ] {
            close(mean(&ranking(&relevance, &scores, n_places).ndcg), expected);
        }
    }

    /// By hand: of three equal items the relevant one is first, second or third alike.
    #[test]
    fn ties_count_by_their_mean_over_all_orders() {
        let found = ranking(&[0.0, 1.0, 0.0], &[0.5; 3], 2);
        close(mean(&found.mrr), (1.0 + 1.0 / 2.0 + 1.0 / 3.0) / 3.0);
        close(mean(&found.hits), 2.0 / 3.0);
        // Two of three are relevant: the first is, or else the second.
        let found = ranking(&[0.0, 1.0, 1.0], &[0.5; 3], 1);
        close(mean(&found.mrr), 2.0 / 3.0 + 1.0 / 3.0 / 2.0);
        close(mean(&found.hits), 2.0 / 3.0);
    }

    #[test]
    fn groups_count_alike_and_those_without_relevant_items_are_counted_apart() {
        let groups = ["a", "a", "b", "c", "c", "c"].map(str::to_owned);
        let items = RankedItems {
            relevance: &[1.0, 0.0, 0.0, 0.0, 0.0, 2.0],
            scores: &[0.9, 0.1, 0.5, 0.8, 0.7, 0.6],
            groups: &groups,
        };
        let found = Ranking::of(&items, NonZeroUsize::new(2).unwrap());
        assert_eq!((found.mrr.len(), found.n_without_relevant), (2, 1));
        close(mean(&found.mrr), 2.0 / 3.0);
        close(mean(&found.hits), 0.5);
        close(mean(&found.ndcg), 0.5);
    }
}
