//! Several cells of one kind a row, such as a flag of each class or a number of each output.

/// Cells `[n_rows, n_columns]`, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Table<T> {
    cells: Vec<T>,
    n_columns: usize,
}

impl<T: Copy> Table<T> {
    /// Of `cells`, row by row; `None` where they are not whole rows of at least one column.
    pub fn new(cells: Vec<T>, n_columns: usize) -> Option<Self> {
        let is_whole = n_columns > 0 && cells.len().is_multiple_of(n_columns);
        is_whole.then_some(Self { cells, n_columns })
    }

    /// From columns of one length, of which there is at least one; `None` where they differ in length or there is none.
    pub fn of_columns(columns: &[Vec<T>]) -> Option<Self> {
        let n_rows = columns.first()?.len();
        if columns.iter().any(|column| column.len() != n_rows) {
            return None;
        }
        let rows = (0..n_rows).flat_map(|row| columns.iter().map(move |column| column[row]));
        Self::new(rows.collect(), columns.len())
    }

    /// All cells, row by row.
    pub fn cells(&self) -> &[T] {
        &self.cells
    }

    /// The cells of one row, `[n_columns]`.
    pub fn row(&self, row: usize) -> &[T] {
        &self.cells[row * self.n_columns..(row + 1) * self.n_columns]
    }

    /// The rows, each `[n_columns]`.
    pub fn rows(&self) -> impl Iterator<Item = &[T]> {
        self.cells.chunks_exact(self.n_columns)
    }

    /// The cells of one column, `[n_rows]`.
    pub fn column(&self, column: usize) -> impl Iterator<Item = T> {
        self.rows().map(move |row| row[column])
    }

    /// The rows with these indices, in this order.
    #[must_use]
    pub fn gather(&self, rows: &[usize]) -> Self {
        let of_row = |&row: &usize| self.row(row);
        Self {
            cells: rows.iter().flat_map(of_row).copied().collect(),
            n_columns: self.n_columns,
        }
    }

    /// The columns with these indices, in this order; at least one.
    #[must_use]
    pub fn with_columns(&self, columns: &[usize]) -> Self {
        let of_row = |row: usize| columns.iter().map(move |&column| self.row(row)[column]);
        Self {
            cells: (0..self.n_rows()).flat_map(of_row).collect(),
            n_columns: columns.len(),
        }
    }
}

impl<T> Table<T> {
    /// Number of rows.
    pub const fn n_rows(&self) -> usize {
        self.cells.len() / self.n_columns
    }

    /// Number of columns.
    pub const fn n_columns(&self) -> usize {
        self.n_columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_are_taken_in_any_order() {
        let table = Table::of_columns(&[vec![1, 2, 3], vec![4, 5, 6]]).unwrap();
        assert_eq!(table.cells(), [1, 4, 2, 5, 3, 6]);
        assert_eq!((table.n_rows(), table.n_columns()), (3, 2));
        assert_eq!(table.gather(&[2, 0]).cells(), [3, 6, 1, 4]);
        assert_eq!(table.with_columns(&[1, 0]).row(1), [5, 2]);
        assert_eq!(table.column(1).collect::<Vec<_>>(), [4, 5, 6]);
    }

    #[test]
    fn what_is_no_whole_number_of_rows_is_no_table() {
        assert_eq!(Table::new(vec![1, 2, 3], 2), None);
        assert_eq!(Table::<u8>::new(Vec::new(), 0), None);
        assert_eq!(Table::of_columns(&[vec![1], vec![2, 3]]), None);
    }
}
