//! Metrics of predicted quantiles: numbers and columns `quantile_<q>` in, the pinball loss of each column out, and how the interval
//! between the lowest and the highest covers the labels.

use super::estimate::{Computed, Spread, mean, proportion};
use super::metric::{Compute, Metric, Shown};
use super::regression::pinball;
use super::sampling::Sampling;
use crate::measurement::{Direction, Unit};
use crate::prediction_task::PredictionTask;

/// A column of predicted quantiles is called this and the quantile.
const PREFIX: &str = "quantile_";

/// The metric of each column: `pinball_loss@0.9`.
pub(super) const PINBALL: &str = "pinball_loss";

pub(super) static METRICS: &[Metric] = &[COVERAGE, WIDTH];

pub(super) const COVERAGE: Metric = Metric {
    name: "interval_coverage",
    aliases: &["coverage"],
    unit: Unit::Proportion,
    direction: Direction::HigherIsBetter,
    task: PredictionTask::Regression,
    definition: "Share of the labels from the lowest to the highest predicted quantile, both ends included. It should be near the \
                 difference of the two: bound it by `min` and `max`, since wide intervals cover everything.",
    interval: "Clopper–Pearson; of weighted or grouped rows, t by influence",
    source: "by definition; MAPIE `regression_coverage_score`",
    range: (0.0, 1.0),
    shown: Shown::Headline,
    compute: Compute::Quantiles,
};

pub(super) const WIDTH: Metric = Metric {
    name: "interval_width",
    aliases: &["mean_interval_width"],
    unit: Unit::Label,
    direction: Direction::LowerIsBetter,
    task: PredictionTask::Regression,
    definition: "Mean of the highest predicted quantile less the lowest.",
    interval: "skewness-corrected t of the width of each row",
    source: "by definition; MAPIE `regression_mean_width_score`",
    range: (f64::NEG_INFINITY, f64::INFINITY),
    shown: Shown::Headline,
    compute: Compute::Quantiles,
};

/// The quantile that a column of this name predicts, where it is one: of `quantile_0.9`, 0.9.
///
/// # Errors
///
/// Where it is called so by a number that is not between 0 and 1.
pub fn quantile_of(column: &str) -> Option<Result<f64, f64>> {
    let q: f64 = column.strip_prefix(PREFIX)?.parse().ok()?;
    Some(if q > 0.0 && q < 1.0 { Ok(q) } else { Err(q) })
}

/// Predicted quantiles of the rows that count.
pub(super) struct Quantiles<'a> {
    pub(super) labels: &'a [f64],
    /// By quantile, the lowest first: each with one number a row.
    pub(super) columns: &'a [(f64, Vec<f64>)],
    pub(super) sampling: &'a Sampling<'a>,
}

impl Quantiles<'_> {
    fn n_rows(&self) -> u64 {
        self.labels.len() as u64
    }

    /// The pinball loss of each column.
    pub(super) fn losses(&self, confidence: f64) -> Vec<(f64, Computed)> {
        let of = |(q, column): &(f64, Vec<f64>)| {
            let loss = |row: usize| pinball(*q, column[row] - self.labels[row]);
            let computed = mean(self.sampling.mean(loss), self.n_rows(), confidence);
            (*q, computed)
        };
        self.columns.iter().map(of).collect()
    }

    /// Coverage and mean width of the interval between the lowest and the highest quantile; `None` for a single one.
    pub(super) fn interval(&self, confidence: f64) -> Option<[Computed; 2]> {
        let ((_, lower), (_, upper)) = (self.columns.first()?, self.columns.last()?);
        if self.columns.len() < 2 {
            return None;
        }
        let is_covered = |row: usize| {
            let label = self.labels[row];
            lower[row] <= label && label <= upper[row]
        };
        let coverage = match self
            .sampling
            .mean(|row| f64::from(u8::from(is_covered(row))))
        {
            Spread::Rows(_) if self.sampling.is_plain() => {
                let n_covered = (0..self.labels.len())
                    .filter(|&row| is_covered(row))
                    .count();
                proportion(n_covered as u64, self.n_rows(), confidence, "no rows")
            }
            spread => mean(spread, self.n_rows(), confidence),
        };
        let width = self.sampling.mean(|row| upper[row] - lower[row]);
        Some([coverage, mean(width, self.n_rows(), confidence)])
    }

    /// Rows in which a higher quantile lies below a lower one.
    pub(super) fn n_crossing(&self) -> u64 {
        let crosses = |row: &usize| {
            let mut pairs = self.columns.windows(2);
            pairs.any(|pair| pair[1].1[*row] < pair[0].1[*row])
        };
        (0..self.labels.len()).filter(crosses).count() as u64
    }
}
