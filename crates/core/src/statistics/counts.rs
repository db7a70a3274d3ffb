//! Counts of rows by label and predicted class, without the pairs that do not occur: thousands of classes have millions of pairs, most
//! of them empty.

use std::ops::Range;

/// Rows by label and predicted class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Label, predicted class and number of rows of each pair that occurs, in ascending order.
    cells: Vec<(u32, u32, u64)>,
    /// Where the cells of each label begin, and where the last ones end.
    starts: Vec<usize>,
    labelled: Vec<u64>,
    predicted: Vec<u64>,
    right: Vec<u64>,
}

impl Counts {
    /// The counts of `cells` of label, predicted class and number of rows, in any order; cells of the same pair are added.
    ///
    /// # Panics
    ///
    /// Where a cell names a class that is not one of the `n_classes`.
    pub fn new(n_classes: usize, cells: impl IntoIterator<Item = (u32, u32, u64)>) -> Self {
        let mut sorted: Vec<_> = cells.into_iter().filter(|cell| cell.2 > 0).collect();
        sorted.sort_unstable();
        sorted.dedup_by(|next, kept| {
            let is_same = (next.0, next.1) == (kept.0, kept.1);
            if is_same {
                kept.2 += next.2;
            }
            is_same
        });
        let mut counts = Self {
            starts: vec![0; n_classes + 1],
            labelled: vec![0; n_classes],
            predicted: vec![0; n_classes],
            right: vec![0; n_classes],
            cells: sorted,
        };
        for &(label, predicted, n) in &counts.cells {
            counts.starts[label as usize + 1] += 1;
            counts.labelled[label as usize] += n;
            counts.predicted[predicted as usize] += n;
            if label == predicted {
                counts.right[label as usize] += n;
            }
        }
        for label in 0..n_classes {
            counts.starts[label + 1] += counts.starts[label];
        }
        counts
    }

    /// The counts of a full matrix, `matrix[label][predicted]`.
    pub fn of_matrix(matrix: &[Vec<u64>]) -> Self {
        let cells = matrix.iter().enumerate().flat_map(|(label, row)| {
            let cells = row.iter().enumerate();
            cells.map(move |(predicted, &n)| (label as u32, predicted as u32, n))
        });
        Self::new(matrix.len(), cells)
    }

    /// Number of classes.
    pub const fn n_classes(&self) -> usize {
        self.labelled.len()
    }

    /// Label, predicted class and number of rows of each pair that occurs, in ascending order.
    pub fn cells(&self) -> &[(u32, u32, u64)] {
        &self.cells
    }

    /// The cells of the label `class`.
    pub fn of_label(&self, class: usize) -> &[(u32, u32, u64)] {
        &self.cells[self.positions_of_label(class)]
    }

    /// Where those are among [`Self::cells`].
    pub fn positions_of_label(&self, class: usize) -> Range<usize> {
        self.starts[class]..self.starts[class + 1]
    }

    /// Rows with this label and this prediction.
    pub fn at(&self, label: usize, predicted: usize) -> u64 {
        let row = self.of_label(label);
        row.binary_search_by_key(&(predicted as u32), |cell| cell.1)
            .map_or(0, |idx| row[idx].2)
    }

    /// Rows with the label `class`.
    pub fn n_labelled(&self, class: usize) -> u64 {
        self.labelled[class]
    }

    /// Rows predicted as `class`.
    pub fn n_predicted(&self, class: usize) -> u64 {
        self.predicted[class]
    }

    /// Rows of `class` predicted as such.
    pub fn n_right(&self, class: usize) -> u64 {
        self.right[class]
    }

    /// All rows.
    pub fn n_rows(&self) -> u64 {
        self.labelled.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_know_their_margins_and_add_what_is_there_twice() {
        let counts = Counts::new(3, [(2, 0, 4), (0, 0, 1), (0, 1, 2), (0, 0, 5), (1, 1, 0)]);
        assert_eq!(counts.cells(), [(0, 0, 6), (0, 1, 2), (2, 0, 4)]);
        assert_eq!(counts.of_label(0), [(0, 0, 6), (0, 1, 2)]);
        assert_eq!(counts.of_label(1).len(), 0);
        assert_eq!((counts.at(2, 0), counts.at(2, 1)), (4, 0));
        assert_eq!((counts.n_labelled(0), counts.n_predicted(0)), (8, 10));
        assert_eq!((counts.n_right(0), counts.n_rows()), (6, 12));
        let full = [vec![6, 2, 0], vec![0; 3], vec![4, 0, 0]];
        assert_eq!(Counts::of_matrix(&full), counts);
    }
}
