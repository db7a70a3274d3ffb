//! Which rows were judged, so that two evaluations can tell whether they judged the same ones.
//!
//! A row is its `row_id`, any text, where there is one: then neither the order of rows nor of columns or classes
//! matters. Without ids it is its position, and one digest a raw column shows whether the content is the same.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::{DigestBuilder, Sha256Digest};
use crate::figure::count;

/// The identity of a set of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RowSet {
    /// Digest over the sorted pairs of id and label name; without ids over position and label name.
    pub digest: Sha256Digest,
    /// What identifies a row.
    pub matched_by: MatchedBy,
    /// Number of rows.
    pub n_rows: u64,
    /// Without ids: a digest a raw column, before preprocessing. Empty where only labels are known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, Sha256Digest>,
}

/// What identifies a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MatchedBy {
    /// Its `row_id`.
    RowId,
    /// Its position in the file.
    Position,
}

/// Whether two row sets are the same rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "rows", rename_all = "snake_case", deny_unknown_fields)]
pub enum RowMatch {
    /// The same rows with the same labels.
    Same {
        /// How they were matched.
        matched_by: MatchedBy,
        /// Columns that only the newer has.
        added: Vec<String>,
        /// Columns that only the older has.
        removed: Vec<String>,
    },
    /// Other rows, other labels or other content.
    Different {
        /// How that is known, as a clause.
        reason: String,
    },
    /// One of the two does not say which rows it judged.
    Unknown,
}

impl RowMatch {
    /// `None` where it is not known.
    pub const fn is_same(&self) -> Option<bool> {
        match self {
            Self::Same { .. } => Some(true),
            Self::Different { .. } => Some(false),
            Self::Unknown => None,
        }
    }
}

impl RowSet {
    /// The set of rows with these ids, and the rows' canonical order: their indices, bytewise by id.
    ///
    /// `labels[n]` are class names, or numbers in their shortest form. Ids must be unique.
    pub fn of_ids<'a>(
        ids: &[String],
        labels: impl Fn(usize) -> Cow<'a, str>,
    ) -> (Self, Vec<usize>) {
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_unstable_by(|&left, &right| ids[left].cmp(&ids[right]));
        let mut digest = DigestBuilder::new("row ids and labels");
        for &row in &order {
            digest.text(&ids[row]);
            digest.text(&labels(row));
        }
        let set = Self {
            digest: digest.finish(),
            matched_by: MatchedBy::RowId,
            n_rows: ids.len() as u64,
            columns: BTreeMap::new(),
        };
        (set, order)
    }

    /// The set of `n_rows` rows without ids, told apart by position, label and the content of `columns`.
    pub fn of_positions<'a>(
        n_rows: usize,
        labels: impl Fn(usize) -> Cow<'a, str>,
        columns: BTreeMap<String, Sha256Digest>,
    ) -> Self {
        let mut digest = DigestBuilder::new("positions and labels");
        for row in 0..n_rows {
            digest.text(&labels(row));
        }
        Self {
            digest: digest.finish(),
            matched_by: MatchedBy::Position,
            n_rows: n_rows as u64,
            columns,
        }
    }

    /// Whether `self`, the newer, and `older` are the same rows.
    pub fn matches(&self, older: &Self) -> RowMatch {
        let different = |reason: String| RowMatch::Different { reason };
        if self.matched_by != older.matched_by {
            let (with, without) = match self.matched_by {
                MatchedBy::RowId => ("this evaluation", "the baseline"),
                MatchedBy::Position => ("the baseline", "this evaluation"),
            };
            return different(format!("{with} has row ids and {without} has none"));
        }
        if self.n_rows != older.n_rows {
            return different(format!(
                "{} against {}",
                count(self.n_rows, "row"),
                older.n_rows
            ));
        }
        if self.digest != older.digest {
            return different(match self.matched_by {
                MatchedBy::RowId => "other row ids or other labels (`7` and `007`, or `1` and `1.0`, are not the same text)"
                    .to_owned(),
                MatchedBy::Position => {
                    "other labels, or the same in another order: add a `row_id` column if only the order changed"
                        .to_owned()
                }
            });
        }
        let both_have_columns = !self.columns.is_empty() && !older.columns.is_empty();
        let is_shared = |name: &String| older.columns.contains_key(name);
        if both_have_columns && !self.columns.keys().any(is_shared) {
            return different(
                "the same labels, but no column in common that would show the same rows".to_owned(),
            );
        }
        let changed: Vec<&str> = self
            .columns
            .iter()
            .filter(|(name, digest)| older.columns.get(*name).is_some_and(|old| old != *digest))
            .map(|(name, _)| name.as_str())
            .collect();
        if !changed.is_empty() {
            return different(format!(
                "the same labels, but other content in `{}`",
                changed.join("`, `")
            ));
        }
        let only_in = |one: &Self, other: &Self| {
            let names = one.columns.keys();
            names
                .filter(|name| !other.columns.contains_key(*name))
                .cloned()
                .collect()
        };
        RowMatch::Same {
            matched_by: self.matched_by,
            added: only_in(self, older),
            removed: only_in(older, self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[&str], labels: &[&str]) -> RowSet {
        let owned: Vec<String> = ids.iter().map(|&id| id.to_owned()).collect();
        RowSet::of_ids(&owned, |row| labels[row].into()).0
    }

    fn positions(labels: &[&str], columns: &[(&str, &str)]) -> RowSet {
        let columns = columns
            .iter()
            .map(|(name, content)| ((*name).to_owned(), Sha256Digest::of(content.as_bytes())))
            .collect();
        RowSet::of_positions(labels.len(), |row| labels[row].into(), columns)
    }

    #[test]
    fn rows_with_ids_are_the_same_in_any_order() {
        let one = ids(&["a", "b", "10"], &["cat", "dog", "cat"]);
        let other = ids(&["10", "b", "a"], &["cat", "dog", "cat"]);
        assert_eq!(one.matches(&other).is_same(), Some(true));
        let (_, order) = RowSet::of_ids(&["b".into(), "a".into()], |_| "".into());
        assert_eq!(order, [1, 0]);
    }

    #[test]
    fn a_renamed_label_another_id_and_another_number_of_rows_are_other_rows() {
        let one = ids(&["a", "b"], &["cat", "dog"]);
        for other in [
            ids(&["a", "b"], &["cat", "wolf"]),
            ids(&["a", "c"], &["cat", "dog"]),
            ids(&["a"], &["cat"]),
            // Where one text ends and the next begins is part of the digest.
            ids(&["ac", "b"], &["at", "dog"]),
            positions(&["cat", "dog"], &[]),
        ] {
            assert_eq!(one.matches(&other).is_same(), Some(false), "{other:?}");
        }
    }

    #[test]
    fn without_ids_the_content_of_common_columns_decides() {
        let old = positions(&["0", "1"], &[("x", "1 2"), ("y", "3 4")]);
        let same = positions(&["0", "1"], &[("x", "1 2"), ("z", "5 6")]);
        assert_eq!(
            same.matches(&old),
            RowMatch::Same {
                matched_by: MatchedBy::Position,
                added: vec!["z".to_owned()],
                removed: vec!["y".to_owned()],
            }
        );
        let other = positions(&["0", "1"], &[("x", "1 3"), ("y", "3 4")]);
        let RowMatch::Different { reason } = other.matches(&old) else {
            panic!("the column `x` differs")
        };
        assert!(reason.contains("`x`"), "{reason}");
        assert_eq!(
            positions(&["1", "0"], &[])
                .matches(&positions(&["0", "1"], &[]))
                .is_same(),
            Some(false)
        );
    }
}
