//! The confusion matrix.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Labels (rows) against predictions (columns), in the order of the classes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Confusion {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// `counts[label][prediction]`.
    pub counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// Counts `pairs` of label and prediction, indices of `classes`.
    pub fn tally(classes: &[String], pairs: impl Iterator<Item = (usize, usize)>) -> Self {
        let mut counts = vec![vec![0; classes.len()]; classes.len()];
        for (label, predicted) in pairs {
            counts[label][predicted] += 1;
        }
        Self {
            classes: classes.to_vec(),
            counts,
        }
    }

    /// Rows with the label `class`.
    pub fn support(&self, class: usize) -> u64 {
        self.counts[class].iter().sum()
    }

    /// Rows predicted as `class`.
    pub fn n_predicted(&self, class: usize) -> u64 {
        self.counts.iter().map(|row| row[class]).sum()
    }

    /// Rows of `class` predicted as such.
    pub fn n_right(&self, class: usize) -> u64 {
        self.counts[class][class]
    }

    /// All rows.
    pub fn n_rows(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    /// Whether any row is labelled or predicted as `class`.
    pub fn occurs(&self, class: usize) -> bool {
        self.support(class) + self.n_predicted(class) > 0
    }

    /// Names of the classes that no row is labelled or predicted as: averages leave them out.
    pub fn absent_classes(&self) -> Vec<&str> {
        let classes = self.classes.iter().enumerate();
        classes
            .filter(|(idx, _)| !self.occurs(*idx))
            .map(|(_, class)| class.as_str())
            .collect()
    }

    /// Whether the counts are a square of the classes' size: false only for a file that was made or changed by hand.
    pub fn is_square(&self) -> bool {
        let n_classes = self.classes.len();
        self.counts.len() == n_classes && self.counts.iter().all(|row| row.len() == n_classes)
    }
}
