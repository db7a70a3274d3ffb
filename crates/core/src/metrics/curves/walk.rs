//! What the walks over all classes share, and the averages over classes that come of them.

use super::curve::{Average, Curve, N_AVERAGES};
use super::influence::OfAverages;
use crate::metrics::estimate::Spread;
use crate::metrics::sampling::Sampling;

/// Labels fit into the upper half of a row's number up to so many classes, and the row's unit into the lower.
const MAX_PACKED: usize = 1 << 16;

/// What all classes share.
pub(super) struct Walk<'a> {
    pub(super) labels: &'a [u32],
    pub(super) sampling: &'a Sampling<'a>,
    /// Rows and weight of each class, and one over the weight.
    pub(super) n_labelled: Vec<u64>,
    pub(super) masses: Vec<f64>,
    pub(super) per_label: Vec<f64>,
    pub(super) n_labelled_classes: usize,
    /// Whether a row's number holds its label and unit, since rows in the order of scores are far apart in memory; else it is its index.
    is_packed: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(labels: &'a [u32], n_classes: usize, sampling: &'a Sampling<'a>) -> Self {
        let mut n_labelled = vec![0; n_classes];
        let mut masses = vec![0.0; n_classes];
        for (row, &label) in labels.iter().enumerate() {
            n_labelled[label as usize] += 1;
            masses[label as usize] += sampling.weight(row);
        }
        Self {
            labels,
            sampling,
            n_labelled_classes: n_labelled.iter().filter(|n| **n > 0).count(),
            n_labelled,
            per_label: masses.iter().map(|mass| mass.recip()).collect(),
            masses,
            is_packed: sampling.is_plain()
                && n_classes <= MAX_PACKED
                && sampling.n_units() <= MAX_PACKED,
        }
    }

    /// With two classes, the one that stands for all rows is all there is.
    pub(super) const fn has_averages(&self) -> bool {
        self.masses.len() > 2
    }

    /// What goes with the score of `row`.
    pub(super) fn of_row(&self, row: usize) -> u32 {
        if self.is_packed {
            self.labels[row] << 16 | self.sampling.unit(row) as u32
        } else {
            row as u32
        }
    }

    #[inline]
    pub(super) fn label_and_weight(&self, of_row: u32) -> (usize, f64) {
        if self.is_packed {
            return ((of_row >> 16) as usize, 1.0);
        }
        let row = of_row as usize;
        (self.labels[row] as usize, self.sampling.weight(row))
    }

    #[inline]
    pub(super) fn unit(&self, of_row: u32) -> usize {
        if self.is_packed {
            (of_row & 0xffff) as usize
        } else {
            self.sampling.unit(of_row as usize)
        }
    }

    /// The weight of the classes that have a curve.
    pub(super) fn usable_mass(&self) -> f64 {
        let n_rows = self.labels.len() as u64;
        let classes = self.n_labelled.iter().zip(&self.masses);
        classes
            .filter(|(n, _)| **n > 0 && **n < n_rows)
            .map(|(_, mass)| mass)
            .sum()
    }

    /// The averages over classes, in the order of [`Average`].
    pub(super) fn averages(
        &self,
        curves: &[Result<Curve, &'static str>],
        parts: &OfAverages,
    ) -> Vec<Spread> {
        let total = self.sampling.total();
        let usable: Vec<(usize, &Curve)> = curves
            .iter()
            .enumerate()
            .filter_map(|(class, curve)| Some((class, curve.as_ref().ok()?)))
            .collect();
        let (n, usable_mass) = (usable.len() as f64, self.usable_mass());
        let n_pairs = n * (n - 1.0);
        let mut values = [0.0; N_AVERAGES];
        // The constants in the influence of a row, by its label.
        let mut constants = vec![[0.0; N_AVERAGES]; curves.len()];
        let mut of_all = [0.0; N_AVERAGES];
        for (class, curve) in &usable {
            let share = self.masses[*class] / total;
            let class_weight = self.masses[*class] / usable_mass;
            let (area, precision) = (curve.area.value(), curve.precision.value());
            for (average, weight) in [
                (Average::RocAuc, n.recip()),
                (Average::RocAucWeighted, class_weight),
            ] {
                let idx = average as usize;
                values[idx] += weight * area;
                let of_negative = -weight * (1.0 - area) / (1.0 - share);
                of_all[idx] += of_negative;
                constants[*class][idx] += -weight * (1.0 - area) / share - of_negative;
            }
            for (average, weight) in [
                (Average::Precision, n.recip()),
                (Average::PrecisionWeighted, class_weight),
            ] {
                let idx = average as usize;
                values[idx] += weight * precision;
                constants[*class][idx] += weight * (precision - 1.0) / share;
            }
            let idx = Average::RocAucOvo as usize;
            let lost = (parts.lost_by_own[*class], parts.lost_by_other[*class]);
            values[idx] += lost.0 / n_pairs;
            constants[*class][idx] -= (lost.0 + lost.1) / n_pairs / share;
        }
        values[Average::RocAucOvo as usize] = 1.0 - values[Average::RocAucOvo as usize];
        // A row of a class adds to the class's weight.
        for (class, curve) in &usable {
            let share = usable_mass / total;
            for (average, value) in [
                (Average::RocAucWeighted, curve.area.value()),
                (Average::PrecisionWeighted, curve.precision.value()),
            ] {
                constants[*class][average as usize] -= (value - values[average as usize]) / share;
            }
        }
        let mut sums = parts.of_units.clone();
        for (row, &label) in self.labels.iter().enumerate() {
            let (weight, constants) = (self.sampling.weight(row), constants[label as usize]);
            let sums = &mut sums[self.sampling.unit(row)];
            for idx in 0..N_AVERAGES {
                sums[idx] -= weight * (constants[idx] + of_all[idx]);
            }
        }
        (0..N_AVERAGES)
            .map(|idx| {
                let sums: Vec<f64> = sums.iter().map(|sums| sums[idx]).collect();
                self.sampling.of_units(values[idx], &sums)
            })
            .collect()
    }
}
