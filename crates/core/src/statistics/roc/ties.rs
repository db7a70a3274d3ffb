//! The curve from rows that are sorted already.

use super::{Roc, Sums};

/// Adds up a curve from the numbers of rows at each score, the lowest first.
#[derive(Debug)]
pub struct RocTies {
    n_positives: u64,
    n_negatives: u64,
    positives_above: u64,
    negatives_below: u64,
    of_positives: Sums,
    of_negatives: Sums,
    average_precision: f64,
}

impl RocTies {
    /// Of so many rows of each kind, both above 0.
    pub fn new(n_positives: u64, n_negatives: u64) -> Self {
        Self {
            n_positives,
            n_negatives,
            positives_above: n_positives,
            negatives_below: 0,
            of_positives: Sums::default(),
            of_negatives: Sums::default(),
            average_precision: 0.0,
        }
    }

    /// Adds the rows of the next score.
    pub fn add(&mut self, positives: u64, negatives: u64) {
        if positives > 0 {
            let n_wrong = self.n_negatives - self.negatives_below;
            let precision = self.positives_above as f64 / (self.positives_above + n_wrong) as f64;
            self.average_precision += positives as f64 / self.n_positives as f64 * precision;
            self.of_positives
                .add(2 * self.negatives_below + negatives, positives);
        }
        self.positives_above -= positives;
        if negatives > 0 {
            self.of_negatives
                .add(2 * self.positives_above + positives, negatives);
        }
        self.negatives_below += negatives;
    }

    /// The curve, once every row was added.
    pub fn roc(self) -> Roc {
        let (n_positives, n_negatives) = (self.n_positives, self.n_negatives);
        Roc {
            n_positives,
            n_negatives,
            area: self.of_positives.sum as f64 / (2.0 * n_positives as f64 * n_negatives as f64),
            average_precision: self.average_precision,
            positives: self.of_positives.placements(n_positives, n_negatives),
            negatives: self.of_negatives.placements(n_negatives, n_positives),
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
        let mut ties = RocTies::new(3, 3);
        for (positives, negatives) in [(0, 1), (1, 0), (0, 1), (1, 1), (1, 0)] {
            ties.add(positives, negatives);
        }
        let (sorted, unsorted) = (ties.roc(), Roc::of(rows).unwrap());
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
