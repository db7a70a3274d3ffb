//! The label of a row as one text, by which row sets tell rows apart.

use std::borrow::Cow;

use super::{Labels, ScoredRows};
use crate::digest::{DigestBuilder, Sha256Digest};

/// What each row is labelled with, in one canonical form: neither the order of rows nor that of classes or outputs changes it.
///
/// The name of a class, or a number in its shortest form. Of several labels a row the names of the classes that are there, or the numbers,
/// in the order of all names, behind a digest of all names: where one set of names knows a class and the other does not, rows without that
/// class are not labelled alike.
#[derive(Debug)]
pub struct LabelTexts<'a> {
    rows: &'a ScoredRows,
    /// Columns in the order of their names, and the digest of these.
    several: Option<(Vec<usize>, Sha256Digest)>,
}

impl<'a> LabelTexts<'a> {
    /// Of these rows.
    pub fn of(rows: &'a ScoredRows) -> Self {
        let several = matches!(rows.labels, Labels::Sets(_) | Labels::Values(_)).then(|| {
            let mut columns: Vec<usize> = (0..rows.classes.len()).collect();
            columns.sort_by_key(|&column| &rows.classes[column]);
            let mut digest = DigestBuilder::new("names of several labels a row");
            for &column in &columns {
                digest.text(&rows.classes[column]);
            }
            (columns, digest.finish())
        });
        Self { rows, several }
    }

    /// The text of one row.
    pub fn of_row(&self, row: usize) -> Cow<'a, str> {
        let ScoredRows {
            labels, classes, ..
        } = self.rows;
        let (columns, names) = match (labels, &self.several) {
            (Labels::Class(labels), _) => return classes[labels[row] as usize].as_str().into(),
            (Labels::Value(labels), _) => return labels[row].to_string().into(),
            (Labels::Sets(_) | Labels::Values(_), Some((columns, names))) => (columns, names),
            (Labels::Sets(_) | Labels::Values(_), None) => {
                unreachable!("rows of several labels have the order of their names")
            }
        };
        let columns = columns.iter().copied();
        let parts: Vec<Cow<'_, str>> = match labels {
            Labels::Sets(sets) => columns
                .filter(|&column| sets.row(row)[column])
                .map(|column| classes[column].as_str().into())
                .collect(),
            Labels::Values(values) => columns
                .map(|column| values.row(row)[column].to_string().into())
                .collect(),
            Labels::Class(_) | Labels::Value(_) => Vec::new(),
        };
        // As JSON, so that a name may hold any sign.
        let parts = serde_json::Value::from(parts.iter().map(AsRef::as_ref).collect::<Vec<&str>>());
        format!("{} {parts}", names.as_str()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;

    fn rows(names: &[&str], cells: Vec<bool>) -> ScoredRows {
        let sets = Labels::Sets(Table::new(cells, names.len()).unwrap());
        let names = names.iter().map(|&name| name.to_owned()).collect();
        ScoredRows::new(sets.clone(), sets, names)
    }

    #[test]
    fn the_order_of_classes_does_not_change_the_label_and_another_class_does() {
        let one = rows(&["b", "a"], vec![true, false, true, true]);
        let other = rows(&["a", "b"], vec![false, true, true, true]);
        let more = rows(
            &["a", "b", "c"],
            vec![false, true, false, true, true, false],
        );
        let text = |rows: &ScoredRows, row| LabelTexts::of(rows).of_row(row).into_owned();
        assert!(text(&one, 0).ends_with(" [\"b\"]") && text(&one, 1).ends_with(" [\"a\",\"b\"]"));
        for row in 0..2 {
            assert_eq!(text(&one, row), text(&other, row));
            assert_ne!(text(&one, row), text(&more, row));
        }
    }
}
