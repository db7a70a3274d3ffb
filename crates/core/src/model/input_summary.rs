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
    /// How rows as a whole are distributed; absent where `over` is `feature`, and in models that were trained before it was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<RowSummary>,
}

/// What each row, such as an image, comes to over all its values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RowSummary {
    /// The mean of each row's values: the brightness of an image.
    pub mean: ValueSummary,
    /// The standard deviation of each row's values, with divisor `n`: the contrast of an image.
    pub contrast: ValueSummary,
}

impl RowSummary {
    /// Mean and standard deviation of a row's values; `None` where one is not finite, or there are none.
    ///
    /// Sums are of what values differ from the first, so that large values lose no digits, in lanes that a processor adds side by side:
    /// the server computes it for each row.
    pub fn of_row(row: &[f32]) -> Option<(f64, f64)> {
        const LANES: usize = 8;
        let origin = f64::from(*row.first()?);
        let (mut sums, mut squares) = ([0.0; LANES], [0.0; LANES]);
        let mut add = |values: &[f32]| {
            for ((sum, square), value) in sums.iter_mut().zip(&mut squares).zip(values) {
                let difference = f64::from(*value) - origin;
                *sum += difference;
                *square += difference * difference;
            }
        };
        let (whole, rest) = row.as_chunks::<LANES>();
        whole.iter().for_each(|values| add(values));
        add(rest);
        let n = row.len() as f64;
        let mean = sums.iter().sum::<f64>() / n;
        let variance = squares.iter().sum::<f64>() / n - mean * mean;
        let (mean, std) = (origin + mean, variance.max(0.0).sqrt());
        // `max` drops NaN.
        (mean.is_finite() && variance.is_finite()).then_some((mean, std))
    }
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

impl ValueSummary {
    /// What does not hold together, if anything does not.
    pub(super) fn problem(&self) -> Option<&'static str> {
        self.histogram.problem(self.n)
    }
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
        let rows = self
            .rows
            .iter()
            .flat_map(|rows| [&rows.mean, &rows.contrast]);
        let problem = self
            .parts
            .iter()
            .chain(rows)
            .find_map(ValueSummary::problem)?;
        Some(format!("`input_summary`: {problem}"))
    }
}
