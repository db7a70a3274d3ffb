//! The labels of a dataset: one a row, since that is what our models are trained for. Rows of predictions may have several.

use trainyard_core::scored_rows;

/// Labels of a dataset, one a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Labels {
    /// Class indices.
    Class(Vec<u32>),
    /// Numbers to predict.
    Value(Vec<f64>),
}

impl Labels {
    /// How many there are.
    pub const fn len(&self) -> usize {
        match self {
            Self::Class(labels) => labels.len(),
            Self::Value(labels) => labels.len(),
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those of these rows, in this order.
    #[must_use]
    pub fn gather(&self, rows: &[usize]) -> Self {
        match self {
            Self::Class(labels) => Self::Class(rows.iter().map(|&row| labels[row]).collect()),
            Self::Value(labels) => Self::Value(rows.iter().map(|&row| labels[row]).collect()),
        }
    }
}

impl From<Labels> for scored_rows::Labels {
    fn from(labels: Labels) -> Self {
        match labels {
            Labels::Class(labels) => Self::Class(labels),
            Labels::Value(labels) => Self::Value(labels),
        }
    }
}
