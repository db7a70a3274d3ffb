//! How rows stand for what was sampled: how much each counts, and which belong together.

use std::collections::HashMap;
use std::ops::Range;

use super::estimate::Spread;
use super::parallel::blocks;
use super::rows::MetricError;
use crate::statistics::Moments;

/// Rows are added up in so many batches at most, whose sums stay in a cache. The standard error from them is off by half a percent (a
/// standard deviation).
const MAX_BATCHES: usize = 1 << 14;

/// Weights and groups of rows, checked.
#[derive(Debug)]
pub(super) struct Sampling<'a> {
    n_rows: usize,
    /// Above 0 each; absent where all rows count the same.
    weights: Option<&'a [f64]>,
    groups: Option<Groups>,
    /// Sum of the weights.
    total: f64,
}

/// Which rows belong together.
#[derive(Debug)]
pub(super) struct Groups {
    /// Index of each row's group, in order of appearance.
    pub(super) of_row: Vec<u32>,
    pub(super) n_groups: usize,
}

impl<'a> Sampling<'a> {
    /// Of `n_rows` rows with these weights, each above 0, and names of groups.
    pub(super) fn new(
        n_rows: usize,
        weights: Option<&'a [f64]>,
        groups: Option<&[String]>,
    ) -> Result<Self, MetricError> {
        let check = |column, len| {
            let error = MetricError::Column {
                column,
                len,
                n_rows,
            };
            if len == n_rows { Ok(()) } else { Err(error) }
        };
        if let Some(weights) = weights {
            check("weights", weights.len())?;
        }
        if let Some(groups) = groups {
            check("groups", groups.len())?;
        }
        // Rows that all weigh the same are a plain sample, whose exact intervals hold.
        let weights = weights.filter(|weights| weights.iter().any(|weight| *weight != weights[0]));
        let total = match weights {
            Some(weights) => blocks(n_rows, |rows| weights[rows].iter().sum::<f64>())
                .into_iter()
                .sum(),
            None => n_rows as f64,
        };
        Ok(Self {
            n_rows,
            weights,
            groups: groups.map(Groups::of),
            total,
        })
    }

    /// Whether all rows count the same and are independent.
    pub(super) const fn is_plain(&self) -> bool {
        self.weights.is_none() && self.groups.is_none()
    }

    /// Sum of the weights.
    pub(super) const fn total(&self) -> f64 {
        self.total
    }

    pub(super) const fn groups(&self) -> Option<&Groups> {
        self.groups.as_ref()
    }

    /// How much `row` counts: 1 where all count the same.
    #[inline]
    pub(super) fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[row])
    }

    /// The sum of a value a row, each times its weight.
    pub(super) fn sum(&self, of_row: impl Fn(usize) -> f64 + Sync) -> f64 {
        let sums = blocks(self.n_rows, |rows| {
            rows.map(|row| self.weight(row) * of_row(row)).sum::<f64>()
        });
        sums.into_iter().sum()
    }

    /// The mean of a value a row, and its spread.
    pub(super) fn mean(&self, of_row: impl Fn(usize) -> f64 + Sync) -> Spread {
        if self.is_plain() {
            let of_block = |rows: Range<usize>| Moments::of(rows.map(&of_row));
            return Spread::Rows(merged(blocks(self.n_rows, of_block)));
        }
        let mean = self.sum(&of_row) / self.total;
        self.spread(mean, |row| of_row(row) - mean)
    }

    /// The spread of `value`, a function of the distribution of rows, from the influence of each row on it: the derivative of the value
    /// as the distribution moves towards that row, whose weighted mean is 0.
    ///
    /// The infinitesimal jackknife: the moments are those of the value plus each row's (each group's) part in it, so their mean is the
    /// value and their interval is its interval. L. A. Jaeckel (1972), Bell Laboratories memorandum MM 72-1215-11; B. Efron (1982), "The
    /// Jackknife, the Bootstrap and Other Resampling Plans", chapter 6.
    pub(super) fn spread(&self, value: f64, influence: impl Fn(usize) -> f64 + Sync) -> Spread {
        let Some(groups) = &self.groups else {
            let scale = self.n_rows as f64 / self.total;
            let part = |row| scale * self.weight(row) * influence(row);
            let of_block = |rows: Range<usize>| Moments::of(rows.map(part));
            let moments = merged(blocks(self.n_rows, of_block));
            return Spread::Rows(Moments {
                mean: value,
                ..moments
            });
        };
        let mut sums = vec![0.0; groups.n_groups];
        for (row, group) in groups.of_row.iter().enumerate() {
            sums[*group as usize] += self.weight(row) * influence(row);
        }
        self.of_groups(value, &sums)
    }

    /// What influences are added up by: groups of rows; else rows, in batches where there are more of them than that.
    pub(super) fn n_units(&self) -> usize {
        match &self.groups {
            Some(groups) => groups.n_groups,
            None => self.n_rows.min(MAX_BATCHES),
        }
    }

    /// The unit that `row` is of.
    #[inline]
    pub(super) fn unit(&self, row: usize) -> usize {
        match &self.groups {
            Some(groups) => groups.of_row[row] as usize,
            // Neighbours in different batches, so that the order of the rows does not matter.
            None => row % MAX_BATCHES,
        }
    }

    /// The spread of `value` from the weighted sum of the influences of each unit.
    ///
    /// Influences have a mean of 0, so the squares of sums of independent rows estimate the same variance as the squares of the rows do.
    pub(super) fn of_units(&self, value: f64, sums: &[f64]) -> Spread {
        if self.groups.is_some() {
            return self.of_groups(value, sums);
        }
        let scale = sums.len() as f64 / self.total;
        Spread::Rows(Moments {
            mean: value,
            ..Moments::of(sums.iter().map(|sum| scale * sum))
        })
    }

    /// The spread of `value` from the weighted sum of influences of each group.
    pub(super) fn of_groups(&self, value: f64, sums: &[f64]) -> Spread {
        let scale = sums.len() as f64 / self.total;
        Spread::Groups(Moments {
            mean: value,
            ..Moments::of(sums.iter().map(|sum| scale * sum))
        })
    }
}

impl Groups {
    fn of(names: &[String]) -> Self {
        let mut indices: HashMap<&str, u32> = HashMap::new();
        let of_row = names
            .iter()
            .map(|name| {
                let next = indices.len() as u32;
                *indices.entry(name).or_insert(next)
            })
            .collect();
        Self {
            of_row,
            n_groups: indices.len(),
        }
    }
}

/// The moments of all blocks together.
pub(super) fn merged(blocks: impl IntoIterator<Item = Moments>) -> Moments {
    blocks.into_iter().fold(Moments::default(), Moments::merge)
}
