//! How often predictions of a given confidence are right.

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::estimate::{Computed, without_interval};
use crate::statistics::normal_cdf;

/// Bins of equal width between 0 and 1, as torchmetrics has by default.
const N_BINS: usize = 15;

/// How confident predictions are, and how often right: the points of a reliability curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reliability {
    /// Bins of equal width, the lowest first; those without rows are left out.
    pub bins: Vec<ReliabilityBin>,
}

/// Rows whose predicted class has about the same probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReliabilityBin {
    /// Confidence above which the bin begins; the first holds 0, too.
    pub lower: f64,
    /// Highest confidence in the bin.
    pub upper: f64,
    /// Rows in it.
    pub n_rows: u64,
    /// Their mean confidence.
    pub confidence: f64,
    /// The share of them that is right.
    pub accuracy: f64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Bin {
    n_rows: u64,
    weight: f64,
    squared_weight: f64,
    confidence: f64,
    right: f64,
}

/// Weighted sums of the rows in each bin.
#[derive(Debug, Clone, Default)]
pub(super) struct Bins([Bin; N_BINS]);

impl Bins {
    pub(super) fn add(&mut self, confidence: f64, is_right: bool, weight: f64) {
        let place = (confidence * N_BINS as f64).ceil() as usize;
        let bin = &mut self.0[place.clamp(1, N_BINS) - 1];
        bin.n_rows += 1;
        bin.weight += weight;
        bin.squared_weight += weight * weight;
        bin.confidence += weight * confidence;
        if is_right {
            bin.right += weight;
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (bin, other) in self.0.iter_mut().zip(&other.0) {
            bin.n_rows += other.n_rows;
            bin.weight += other.weight;
            bin.squared_weight += other.squared_weight;
            bin.confidence += other.confidence;
            bin.right += other.right;
        }
    }

    /// The expected calibration error, less its bias.
    ///
    /// In a bin of few rows the share that is right differs from the confidence by chance alone. The bias is how much the plug-in value
    /// grows on average when each bin's share is drawn anew around itself: A. Kumar, P. Liang and T. Ma (2019), "Verified uncertainty
    /// calibration", appendix; they draw from a normal distribution, whose expected distance has the closed form used here.
    pub(super) fn error(&self, n_rows: u64) -> Computed {
        let total: f64 = self.0.iter().map(|bin| bin.weight).sum();
        let (mut plug_in, mut redrawn) = (0.0, 0.0);
        for bin in self.0.iter().filter(|bin| bin.n_rows > 0) {
            let (share, accuracy) = (bin.weight / total, bin.right / bin.weight);
            let gap = (bin.confidence / bin.weight - accuracy).abs();
            let variance =
                accuracy * (1.0 - accuracy) * bin.squared_weight / (bin.weight * bin.weight);
            plug_in += share * gap;
            redrawn += share * folded_mean(gap, variance.max(0.0).sqrt());
        }
        without_interval((2.0 * plug_in - redrawn).max(0.0), n_rows)
    }

    pub(super) fn reliability(&self) -> Reliability {
        let edge = |idx: usize| idx as f64 / N_BINS as f64;
        let bins = self.0.iter().enumerate();
        let bins = bins
            .filter(|(_, bin)| bin.n_rows > 0)
            .map(|(idx, bin)| ReliabilityBin {
                lower: edge(idx),
                upper: edge(idx + 1),
                n_rows: bin.n_rows,
                confidence: bin.confidence / bin.weight,
                accuracy: bin.right / bin.weight,
            });
        Reliability {
            bins: bins.collect(),
        }
    }
}

/// The expected magnitude of a normal variable.
fn folded_mean(mean: f64, deviation: f64) -> f64 {
    if deviation <= 0.0 {
        return mean.abs();
    }
    let ratio = mean / deviation;
    deviation * (2.0 / PI).sqrt() * (-ratio * ratio / 2.0).exp()
        + mean * (1.0 - 2.0 * normal_cdf(-ratio))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(bins: &Bins, n: u64) -> f64 {
        match bins.error(n) {
            Computed::Value(estimate) => estimate.value,
            Computed::Undefined(reason) => panic!("{reason}"),
        }
    }

    /// By hand: 0.2 is the upper edge of the third bin; confidence 0.9 with half of the rows right is off by 0.4, of which chance adds
    /// nearly nothing with 1,000 rows.
    #[test]
    fn bins_are_closed_at_their_right_end() {
        let mut bins = Bins::default();
        for row in 0..1000 {
            bins.add(0.9, row % 2 == 0, 1.0);
        }
        assert!((value(&bins, 1000) - 0.4).abs() < 1e-9);
        bins.add(0.2, true, 1.0);
        bins.add(0.0, false, 1.0);
        let curve = bins.reliability().bins;
        let lower: Vec<f64> = curve.iter().map(|bin| bin.lower).collect();
        assert_eq!(lower, [0.0, 2.0 / 15.0, 13.0 / 15.0]);
        assert_eq!(curve[1].upper, 0.2);
        assert_eq!((curve[2].n_rows, curve[2].accuracy), (1000, 0.5));
    }

    /// Perfectly calibrated rows: the plug-in value is all chance. With four rows of confidence 0.75, of which three are right, it is 0,
    /// so nothing is taken from it.
    #[test]
    fn what_chance_adds_is_taken_away() {
        let mut bins = Bins::default();
        for is_right in [true, true, true, true, false] {
            bins.add(0.75, is_right, 1.0);
        }
        // Plug-in 0.05, standard deviation 0.179.
        assert_eq!(value(&bins, 5), 0.0);
        assert!((folded_mean(0.0, 1.0) - (2.0 / PI).sqrt()).abs() < 1e-15);
        assert!((folded_mean(9.0, 1.0) - 9.0).abs() < 1e-12);
    }
}
