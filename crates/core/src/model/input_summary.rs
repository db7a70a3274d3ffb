//! How the raw training inputs are distributed, so that a server can tell when its inputs drift away from them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the raw training inputs are distributed, before preprocessing.
///
/// Bounded in size, and the same for any number of threads. Where there are very many values, it covers rows spread
/// evenly over the training data, and `n_rows` says how many.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InputSummary {
    /// What each of `parts` describes.
    pub over: SummaryScope,
    /// Number of rows summarised.
    pub n_rows: u64,
    /// One entry a feature or channel, in their order; a single one for all values together.
    pub parts: Vec<ValueSummary>,
}

/// What one part of an [`InputSummary`] describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SummaryScope {
    /// One column of a table.
    Feature,
    /// One channel (index along the last axis) of images or sequences, over all positions.
    Channel,
    /// All values: there are too many features or channels for a part each.
    All,
}

/// How the values of a feature or channel are distributed. The moments are 0 where `n` is 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValueSummary {
    /// The column's name, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Number of finite values.
    pub n: u64,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, with divisor `n`.
    pub std: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// How many of them lie in each of a few bins.
    pub histogram: Histogram,
}

/// Counts in bins that hold about equally many values each, as far as ties allow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Histogram {
    /// Ascending inner edges; a value equal to an edge lies in the bin above it. The outermost bins are open.
    pub edges: Vec<f64>,
    /// One count a bin: one more than there are edges.
    pub counts: Vec<u64>,
}

impl Histogram {
    /// The index of the bin that `value` lies in.
    pub fn bin_of(&self, value: f64) -> usize {
        self.edges.partition_point(|edge| *edge <= value)
    }

    /// What does not hold together, if anything does not.
    fn problem(&self, n: u64) -> Option<&'static str> {
        if self.counts.len() != self.edges.len() + 1 {
            Some("a histogram needs one count more than edges")
        } else if !self.edges.is_sorted_by(|low, high| low < high) {
            Some("the edges of a histogram must ascend")
        } else if self.counts.iter().sum::<u64>() != n {
            Some("the counts of a histogram must sum to `n`")
        } else {
            None
        }
    }
}

impl InputSummary {
    /// What does not fit the input's shape or itself, if anything does not.
    pub(super) fn problem(&self, shape: &[usize]) -> Option<String> {
        let n_parts = match self.over {
            SummaryScope::Feature => shape.iter().product(),
            SummaryScope::Channel => shape.last().copied().unwrap_or(1),
            SummaryScope::All => 1,
        };
        if self.parts.len() != n_parts {
            return Some(format!(
                "`input_summary` has {} parts instead of {n_parts}",
                self.parts.len()
            ));
        }
        let problem = |part: &ValueSummary| part.histogram.problem(part.n);
        let problem = self.parts.iter().find_map(problem)?;
        Some(format!("`input_summary`: {problem}"))
    }
}
