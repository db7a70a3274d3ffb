//! The curve from rows that are sorted already.

use super::{Roc, Sums};

impl Roc {
    /// The curve of `ties`: the numbers of positive and of negative rows at each score, the lowest score first. `n_positives` and
    /// `n_negatives` are their sums, both above 0.
    pub fn of_ties(
        n_positives: u64,
        n_negatives: u64,
        ties: impl IntoIterator<Item = (u64, u64)>,
    ) -> Self {
        let (mut of_positives, mut of_negatives) = (Sums::default(), Sums::default());
        let (mut positives_above, mut negatives_below) = (n_positives, 0);
        let mut average_precision = 0.0;
        for (positives, negatives) in ties {
            if positives > 0 {
                let precision = positives_above as f64
                    / (positives_above + n_negatives - negatives_below) as f64;
                average_precision += positives as f64 / n_positives as f64 * precision;
            }
            positives_above -= positives;
            of_positives.add(2 * negatives_below + negatives, positives);
            of_negatives.add(2 * positives_above + positives, negatives);
            negatives_below += negatives;
        }
        Self {
            n_positives,
            n_negatives,
            area: of_positives.sum as f64 / (2.0 * n_positives as f64 * n_negatives as f64),
            average_precision,
            positives: of_positives.placements(n_positives, n_negatives),
            negatives: of_negatives.placements(n_negatives, n_positives),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_rows_have_the_curve_of_unsorted_ones() {
        let rows = [
            (true, 0.9),
            (false, 0.1),
            (true, 0.7),
            (false, 0.7),
            (false, 0.5),
            (true, 0.4),
        ];
        let ties = [(0, 1), (1, 0), (0, 1), (1, 1), (1, 0)];
        let (sorted, unsorted) = (Roc::of_ties(3, 3, ties), Roc::of(rows).unwrap());
        assert!((sorted.average_precision - unsorted.average_precision).abs() < 1e-15);
        let average_precision = unsorted.average_precision;
        assert_eq!(
            Roc {
                average_precision,
                ..sorted
            },
            unsorted
        );
    }
}
