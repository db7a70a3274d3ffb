//! Which rows a change turned wrong or right: the answer to "why did the figure move".

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::row_mask::RowMask;
use crate::scored_rows::{Column, Labels, ScoredRows};
use crate::table::Table;

/// Rows of each kind that are listed; all are counted.
const MAX_LISTED: usize = 50;

/// Classes above which no difference of confusion is kept: a table of more than these is no help.
const MAX_CLASSES: usize = 30;

/// The rows that one of two models predicts right and the other wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flips {
    /// Rows compared.
    pub n_rows: u64,
    /// Rows that were right and are wrong.
    pub n_lost: u64,
    /// Rows that were wrong and are right.
    pub n_gained: u64,
    /// The first rows that were right and are wrong, those of the classes that lost most first.
    pub lost: Vec<Flip>,
    /// The first rows that were wrong and are right.
    pub gained: Vec<Flip>,
    /// Classes with flipped rows, by label, the most lost first.
    pub classes: Vec<FlippedClass>,
    /// How many rows more or fewer each wrong label and prediction have than before; empty where what the baseline predicted is
    /// not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confusion_changes: Vec<ConfusionChange>,
}

/// One row that flipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flip {
    /// Its `row_id`, or its position from 0.
    pub row: String,
    /// Its label.
    pub label: String,
    /// What the baseline predicted, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What this model predicts.
    pub now: String,
    /// Where the row can be seen, where a column holds addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// The flipped rows of one label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlippedClass {
    /// The label.
    pub class: String,
    /// Rows that were right and are wrong.
    pub n_lost: u64,
    /// Rows that were wrong and are right.
    pub n_gained: u64,
}

/// One cell of the confusion matrix, and by how many rows it changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfusionChange {
    /// The label.
    pub label: String,
    /// The prediction, another one.
    pub predicted: String,
    /// Rows now, less rows before.
    pub n_more: i64,
}

impl Flips {
    /// As [`Self::of_rows`] of what has one class a row.
    fn of_classes(new: &ScoredRows, old: &ScoredRows) -> Option<Self> {
        let (Labels::Class(labels), Labels::Class(now), Labels::Class(before)) =
            (&new.labels, &new.predicted, &old.predicted)
        else {
            return None;
        };
        // Classes of the baseline by their names, since their order may differ.
        let places: BTreeMap<&str, u32> = (0_u32..)
            .zip(&new.classes)
            .map(|(idx, name)| (name.as_str(), idx))
            .collect();
        let n_classes = new.classes.len() as u32;
        let in_new: Vec<u32> = old
            .classes
            .iter()
            .map(|name| places.get(name.as_str()).copied().unwrap_or(n_classes))
            .collect();
        let before: Vec<u32> = before.iter().map(|&class| in_new[class as usize]).collect();
        let mut cells: BTreeMap<(u32, u32), i64> = BTreeMap::new();
        let mut flipped = Vec::new();
        for (row, ((&label, &now), &before)) in labels.iter().zip(now).zip(&before).enumerate() {
            if (label == now) != (label == before) {
                flipped.push((row, (before < n_classes).then_some(before)));
            }
            if now != before {
                for (predicted, n) in [(now, 1), (before, -1)] {
                    if predicted != label && predicted < n_classes {
                        *cells.entry((label, predicted)).or_default() += n;
                    }
                }
            }
        }
        let name = |class: u32| new.classes[class as usize].clone();
        let mut changes: Vec<ConfusionChange> = cells
            .into_iter()
            .filter(|(_, n_more)| *n_more != 0)
            .map(|((label, predicted), n_more)| ConfusionChange {
                label: name(label),
                predicted: name(predicted),
                n_more,
            })
            .collect();
        if new.classes.len() > MAX_CLASSES {
            changes.sort_by_key(|change| std::cmp::Reverse(change.n_more.abs()));
            changes.truncate(MAX_CLASSES);
        }
        Some(Self::new(new, labels, now, flipped, changes))
    }

    /// The flips from a baseline of which only the rows that it predicted wrong are known, in their canonical order. `order` is
    /// that order of `rows`. `None` for regression, and where the two have other numbers of rows.
    pub fn of_masks(rows: &ScoredRows, order: &[usize], old: &RowMask) -> Option<Self> {
        if old.n_rows() != rows.n_rows() as u64 {
            return None;
        }
        let powerset = powerset(rows);
        let rows = powerset.as_ref().unwrap_or(rows);
        let mut was_wrong = vec![false; rows.n_rows()];
        for &place in old.rows() {
            was_wrong[order[place as usize]] = true;
        }
        let (Labels::Class(labels), Labels::Class(now)) = (&rows.labels, &rows.predicted) else {
            return None;
        };
        let pairs = labels.iter().zip(now).zip(was_wrong);
        let flipped = pairs
            .enumerate()
            .filter_map(|(row, ((label, now), was_wrong))| {
                let is_wrong = label != now;
                // A row that was right was predicted as its label.
                let before = (!was_wrong).then_some(*label);
                (is_wrong != was_wrong).then_some((row, before))
            });
        Some(Self::new(rows, labels, now, flipped.collect(), Vec::new()))
    }

    /// The flips between two models on the same rows, in one order. `None` for regression. Of multilabel rows the whole set of classes
    /// must be right, and each set of classes is a class of its own (the label powerset).
    pub fn of_rows(new: &ScoredRows, old: &ScoredRows) -> Option<Self> {
        match (powerset(new), powerset(old)) {
            (Some(new), Some(old)) => Self::of_classes(&new, &old),
            (None, None) => Self::of_classes(new, old),
            _ => None,
        }
    }

    /// `flipped` are rows with what the baseline predicted, where known.
    fn new(
        rows: &ScoredRows,
        labels: &[u32],
        now: &[u32],
        flipped: Vec<(usize, Option<u32>)>,
        confusion_changes: Vec<ConfusionChange>,
    ) -> Self {
        let mut by_class: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        for (row, _) in &flipped {
            let (n_lost, n_gained) = by_class.entry(labels[*row]).or_default();
            if labels[*row] == now[*row] {
                *n_gained += 1;
            } else {
                *n_lost += 1;
            }
        }
        let mut classes: Vec<(u32, (u64, u64))> = by_class
            .iter()
            .map(|(class, counts)| (*class, *counts))
            .collect();
        classes.sort_by_key(|(_, (n_lost, n_gained))| {
            (std::cmp::Reverse(*n_lost), std::cmp::Reverse(*n_gained))
        });
        let name = |class: u32| rows.classes[class as usize].clone();
        let links = links(rows);
        let flip = |(row, before): (usize, Option<u32>)| Flip {
            row: match &rows.row_ids {
                Some(row_ids) => row_ids[row].clone(),
                None => row.to_string(),
            },
            label: name(labels[row]),
            before: before.map(name),
            now: name(now[row]),
            link: links.map(|links| links[row].clone()),
        };
        let (mut gained, mut lost): (Vec<_>, Vec<_>) = flipped
            .into_iter()
            .partition(|(row, _)| labels[*row] == now[*row]);
        let (n_lost, n_gained) = (lost.len() as u64, gained.len() as u64);
        let n_of = |row: usize| by_class[&labels[row]];
        lost.sort_by_key(|(row, _)| (std::cmp::Reverse(n_of(*row).0), labels[*row], *row));
        gained.sort_by_key(|(row, _)| (std::cmp::Reverse(n_of(*row).1), labels[*row], *row));
        Self {
            n_rows: rows.n_rows() as u64,
            n_lost,
            n_gained,
            lost: lost.into_iter().take(MAX_LISTED).map(flip).collect(),
            gained: gained.into_iter().take(MAX_LISTED).map(flip).collect(),
            classes: classes
                .into_iter()
                .map(|(class, (n_lost, n_gained))| FlippedClass {
                    class: name(class),
                    n_lost,
                    n_gained,
                })
                .collect(),
            confusion_changes,
        }
    }
}

/// Multilabel rows as rows of one class, each set of classes being one; `None` for others.
fn powerset(rows: &ScoredRows) -> Option<ScoredRows> {
    let (Labels::Sets(labels), Labels::Sets(predicted)) = (&rows.labels, &rows.predicted) else {
        return None;
    };
    let mut order: Vec<usize> = (0..rows.classes.len()).collect();
    order.sort_by_key(|&class| &rows.classes[class]);
    let named: Vec<String> = rows.classes.iter().map(|name| in_list(name)).collect();
    let mut codes: BTreeMap<String, u32> = BTreeMap::new();
    let mut coded = |sets: &Table<bool>| {
        let of_row = |set: &[bool]| {
            let names = order.iter().filter(|class| set[**class]);
            let names: Vec<&str> = names.map(|&class| named[class].as_str()).collect();
            let text = if names.is_empty() {
                NO_CLASS.to_owned()
            } else {
                names.join(", ")
            };
            let next = codes.len() as u32;
            *codes.entry(text).or_insert(next)
        };
        Labels::Class(sets.rows().map(of_row).collect())
    };
    let (labels, predicted) = (coded(labels), coded(predicted));
    let mut classes = vec![String::new(); codes.len()];
    for (text, code) in codes {
        classes[code as usize] = text;
    }
    Some(ScoredRows {
        labels,
        predicted,
        classes,
        scores: None,
        ..rows.clone()
    })
}

/// The set without a class.
const NO_CLASS: &str = "(none)";

/// The name of a class in a list of several: in quotes where it could be taken for more than one name, or for none.
fn in_list(name: &str) -> String {
    if name.contains([',', '"']) || name == NO_CLASS {
        format!("\"{}\"", name.replace('"', "\"\""))
    } else {
        name.to_owned()
    }
}

/// The first column that holds addresses and nothing else.
fn links(rows: &ScoredRows) -> Option<&[String]> {
    let is_link = |text: &String| text.starts_with("https://") || text.starts_with("http://");
    rows.columns.values().find_map(|column| match column {
        Column::Texts(texts) if !texts.is_empty() && texts.iter().all(is_link) => {
            Some(texts.as_slice())
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(labels: &[u32], predicted: &[u32], classes: &[&str]) -> ScoredRows {
        ScoredRows {
            row_ids: Some((0..labels.len()).map(|row| format!("r{row}")).collect()),
            ..ScoredRows::new(
                Labels::Class(labels.to_vec()),
                Labels::Class(predicted.to_vec()),
                classes.iter().map(|&name| name.to_owned()).collect(),
            )
        }
    }

    #[test]
    fn rows_that_flip_are_listed_by_class_whatever_the_order_of_the_classes() {
        let new = rows(&[0, 0, 1, 1, 2], &[0, 1, 1, 2, 0], &["a", "b", "c"]);
        let old = rows(&[2, 2, 1, 1, 0], &[1, 2, 1, 1, 0], &["c", "b", "a"]);
        let flips = Flips::of_rows(&new, &old).unwrap();
        assert_eq!((flips.n_rows, flips.n_lost, flips.n_gained), (5, 3, 1));
        let lost: Vec<(&str, &str, &str)> = flips
            .lost
            .iter()
            .map(|flip| {
                (
                    flip.row.as_str(),
                    flip.before.as_deref().unwrap(),
                    flip.now.as_str(),
                )
            })
            .collect();
        assert_eq!(lost, [("r1", "a", "b"), ("r3", "b", "c"), ("r4", "c", "a")]);
        assert_eq!(flips.gained[0].before.as_deref(), Some("b"));
        assert_eq!(
            (flips.classes[0].class.as_str(), flips.classes[0].n_gained),
            ("a", 1)
        );
        // Row 0 no longer reads b, row 1 now does: that cell is as it was.
        let changes: Vec<(&str, &str, i64)> = flips
            .confusion_changes
            .iter()
            .map(|change| {
                (
                    change.label.as_str(),
                    change.predicted.as_str(),
                    change.n_more,
                )
            })
            .collect();
        assert_eq!(changes, [("b", "c", 1), ("c", "a", 1)]);
    }

    #[test]
    fn a_mask_alone_tells_which_rows_flip() {
        let new = rows(&[0, 0, 1], &[0, 1, 1], &["a", "b"]);
        // Canonical order: the last row first; it and the first row were wrong.
        let old = RowMask::new(3, vec![0, 2]).unwrap();
        let flips = Flips::of_masks(&new, &[2, 1, 0], &old).unwrap();
        assert_eq!((flips.n_lost, flips.n_gained), (1, 2));
        assert_eq!(flips.lost[0].row, "r1");
        assert_eq!(flips.lost[0].before.as_deref(), Some("a"));
        assert_eq!(flips.gained[0].before, None);
        assert!(Flips::of_masks(&new, &[2, 1, 0], &RowMask::new(4, vec![]).unwrap()).is_none());
    }

    /// A row is right where its whole set is, whatever the order of the classes.
    #[test]
    fn sets_flip_as_a_whole() {
        let sets = |cells: &[u8], names: &[&str]| {
            let cells = cells.iter().map(|&cell| cell == 1).collect();
            let sets = Labels::Sets(Table::new(cells, names.len()).unwrap());
            let names = names.iter().map(|&name| name.to_owned()).collect();
            (sets, names)
        };
        let (labels, classes) = sets(&[1, 1, 0, 1, 0, 0], &["dog", "cat"]);
        let (now, _) = sets(&[1, 0, 0, 1, 0, 0], &["dog", "cat"]);
        let new = ScoredRows::new(labels, now, classes);
        let (labels, classes) = sets(&[1, 1, 1, 0, 0, 0], &["cat", "dog"]);
        let (before, _) = sets(&[1, 1, 0, 0, 0, 1], &["cat", "dog"]);
        let old = ScoredRows::new(labels, before, classes);
        let flips = Flips::of_rows(&new, &old).unwrap();
        assert_eq!((flips.n_lost, flips.n_gained), (1, 2));
        let lost = &flips.lost[0];
        let found = (
            lost.row.as_str(),
            lost.label.as_str(),
            lost.before.as_deref(),
            lost.now.as_str(),
        );
        assert_eq!(found, ("0", "cat, dog", Some("cat, dog"), "dog"));
        let gained: Vec<&str> = flips.gained.iter().map(|flip| flip.now.as_str()).collect();
        assert_eq!(gained, ["cat", NO_CLASS]);
        // The rows that the baseline predicted wrong alone tell the same.
        let mask = RowMask::new(3, vec![1, 2]).unwrap();
        let by_mask = Flips::of_masks(&new, &[0, 1, 2], &mask).unwrap();
        assert_eq!((by_mask.n_lost, by_mask.n_gained), (1, 2));
        assert_eq!(in_list("a, b"), "\"a, b\"");
    }

    #[test]
    fn only_so_many_are_listed_and_all_are_counted_and_linked() {
        let (labels, predicted) = (vec![0; 200], vec![1; 200]);
        let mut new = rows(&labels, &predicted, &["a", "b"]);
        let links = (0..200).map(|row| format!("https://example.com/{row}"));
        new.columns
            .insert("image".to_owned(), Column::Texts(links.collect()));
        let flips = Flips::of_rows(&new, &rows(&labels, &labels, &["a", "b"])).unwrap();
        assert_eq!((flips.n_lost, flips.lost.len()), (200, MAX_LISTED));
        assert_eq!(flips.lost[3].link.as_deref(), Some("https://example.com/3"));
    }
}
