//! The confusion matrix.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::statistics::Counts;

/// Labels against predictions, without the pairs that do not occur.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "StoredConfusion", into = "StoredConfusion")]
#[schemars(with = "StoredConfusion")]
pub struct Confusion {
    /// Names of the classes.
    classes: Vec<String>,
    counts: Counts,
}

/// The confusion matrix, without the pairs that do not occur.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Confusion")]
struct StoredConfusion {
    /// Names of the classes.
    classes: Vec<String>,
    /// Index of the label, index of the predicted class, and number of rows: one entry for each pair that occurs, in ascending order.
    cells: Vec<(u32, u32, u64)>,
}

/// A file that was changed by hand.
#[derive(Debug, thiserror::Error)]
#[error("confusion matrix: class {class} is not one of {n_classes}")]
struct UnknownClass {
    class: u32,
    n_classes: usize,
}

impl TryFrom<StoredConfusion> for Confusion {
    type Error = UnknownClass;

    fn try_from(StoredConfusion { classes, cells }: StoredConfusion) -> Result<Self, UnknownClass> {
        let n_classes = classes.len();
        let indices = cells.iter().flat_map(|cell| [cell.0, cell.1]);
        if let Some(class) = indices.max().filter(|&class| class as usize >= n_classes) {
            return Err(UnknownClass { class, n_classes });
        }
        Ok(Self::new(classes, cells))
    }
}

impl From<Confusion> for StoredConfusion {
    fn from(Confusion { classes, counts }: Confusion) -> Self {
        Self {
            classes,
            cells: counts.cells().to_vec(),
        }
    }
}

impl Confusion {
    /// The matrix of `cells` of label, predicted class and number of rows, indices of `classes`.
    pub fn new(classes: Vec<String>, cells: impl IntoIterator<Item = (u32, u32, u64)>) -> Self {
        Self {
            counts: Counts::new(classes.len(), cells),
            classes,
        }
    }

    /// Names of the classes, in the order of their indices.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The counts behind it.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Rows with the label `class`.
    pub fn support(&self, class: usize) -> u64 {
        self.counts.n_labelled(class)
    }

    /// Rows predicted as `class`.
    pub fn n_predicted(&self, class: usize) -> u64 {
        self.counts.n_predicted(class)
    }

    /// Rows of `class` predicted as such.
    pub fn n_right(&self, class: usize) -> u64 {
        self.counts.n_right(class)
    }

    /// All rows.
    pub fn n_rows(&self) -> u64 {
        self.counts.n_rows()
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pairs_that_occur_are_written_and_indices_are_checked() {
        let names = ["a", "b"].map(str::to_owned).to_vec();
        let confusion = Confusion::new(names, [(1, 0, 2), (0, 0, 3)]);
        let text = serde_json::to_string(&confusion).unwrap();
        assert_eq!(text, r#"{"classes":["a","b"],"cells":[[0,0,3],[1,0,2]]}"#);
        assert_eq!(serde_json::from_str::<Confusion>(&text).unwrap(), confusion);
        let beyond = text.replace("[1,0,2]", "[2,0,2]");
        let error = serde_json::from_str::<Confusion>(&beyond).unwrap_err();
        assert!(
            error.to_string().contains("class 2 is not one of 2"),
            "{error}"
        );
    }
}
