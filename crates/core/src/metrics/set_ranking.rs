//! How the scores of a row's classes are ordered: those that are there should be above the others.

use super::row_values::RowValues;
use super::rows::Scores;
use super::sets::Sets;

/// One row: which classes are there, and their scores.
struct Ranked {
    is_there: Vec<bool>,
    scores: Vec<f64>,
}

impl Ranked {
    fn n_there(&self) -> usize {
        self.is_there.iter().filter(|is_there| **is_there).count()
    }

    /// Scores of the classes that are there, or of the others.
    fn of(&self, is_there: bool) -> impl Iterator<Item = f64> + Clone {
        let classes = self.is_there.iter().zip(&self.scores);
        let found = classes.filter(move |(found, _)| **found == is_there);
        found.map(|(_, score)| *score)
    }

    /// Classes that score at least as much.
    fn n_at_or_above(&self, score: f64) -> usize {
        self.scores.iter().filter(|other| **other >= score).count()
    }
}

fn of_rows(sets: &Sets<'_>, scores: Scores<'_>, value: fn(&Ranked) -> f64) -> RowValues {
    let n_classes = sets.labels.n_columns();
    let numbers = sets.labels.rows().enumerate().map(|(row, labels)| {
        let scores = (0..n_classes).map(|class| scores.at(row * n_classes + class));
        value(&Ranked {
            is_there: labels.to_vec(),
            scores: scores.collect(),
        })
    });
    RowValues::Numbers(numbers.collect())
}

pub(super) fn average_precision(sets: &Sets<'_>, scores: Scores<'_>) -> RowValues {
    of_rows(sets, scores, |row| {
        let n_there = row.n_there();
        // Every order is right.
        if n_there == 0 || n_there == row.scores.len() {
            return 1.0;
        }
        let of_class = |score: f64| {
            let n_right = row.of(true).filter(|other| *other >= score).count();
            n_right as f64 / row.n_at_or_above(score) as f64
        };
        row.of(true).map(of_class).sum::<f64>() / n_there as f64
    })
}

pub(super) fn coverage_error(sets: &Sets<'_>, scores: Scores<'_>) -> RowValues {
    of_rows(sets, scores, |row| {
        let lowest = row.of(true).reduce(f64::min);
        lowest.map_or(0.0, |lowest| row.n_at_or_above(lowest) as f64)
    })
}

pub(super) fn ranking_loss(sets: &Sets<'_>, scores: Scores<'_>) -> RowValues {
    of_rows(sets, scores, |row| {
        let n_there = row.n_there();
        let n_pairs = n_there * (row.scores.len() - n_there);
        if n_pairs == 0 {
            return 0.0;
        }
        let others = row.of(false);
        let of_class = |score: f64| others.clone().filter(|other| *other >= score).count();
        let n_wrong: usize = row.of(true).map(of_class).sum();
        n_wrong as f64 / n_pairs as f64
    })
}
