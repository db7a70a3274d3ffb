//! Labels against predictions as metrics see them: counts, weights and spread of each cell of the confusion matrix.

use std::collections::BTreeMap;

use super::estimate::Spread;
use super::matrix::Confusion;
use super::sampling::Sampling;
use crate::statistics::{Counts, Moments};

/// A full table of cells is counted in where it is at most this often as large as the rows.
const MAX_CELLS_A_ROW: usize = 4;

/// What is known of labels and predictions without the rows.
#[derive(Debug)]
pub struct Tally {
    confusion: Confusion,
    /// Weight of recall against precision in F-beta.
    pub(super) beta: f64,
    weighed: Option<Weighed>,
    labelled: Vec<f64>,
    predicted: Vec<f64>,
    right: Vec<f64>,
    total: f64,
    /// For each class, the cells of other labels that are predicted as it.
    by_predicted: Vec<Vec<usize>>,
}

/// Weights of the cells where rows differ in weight or belong together; as [`Counts::cells`].
#[derive(Debug)]
struct Weighed {
    masses: Vec<f64>,
    /// Sums of the squares and the cubes of the weights.
    squares: Vec<f64>,
    cubes: Vec<f64>,
    /// For each cell, the weight in each group that has any.
    groups: Option<Vec<Vec<(u32, f64)>>>,
    n_groups: usize,
}

impl Tally {
    /// Of a plain sample.
    pub(super) fn plain(confusion: Confusion, beta: f64) -> Self {
        let masses: Vec<f64> = confusion
            .counts()
            .cells()
            .iter()
            .map(|c| c.2 as f64)
            .collect();
        Self::new(confusion, beta, &masses, None)
    }

    /// Of labels and predictions, indices of `classes`.
    pub(super) fn of_rows(
        labels: &[u32],
        predicted: &[u32],
        classes: &[String],
        sampling: &Sampling<'_>,
        beta: f64,
    ) -> Self {
        let confusion = Confusion::new(classes.to_vec(), cells(labels, predicted, classes.len()));
        if sampling.is_plain() {
            return Self::plain(confusion, beta);
        }
        let counts = confusion.counts();
        let n_cells = counts.cells().len();
        let mut weighed = Weighed {
            masses: vec![0.0; n_cells],
            squares: vec![0.0; n_cells],
            cubes: vec![0.0; n_cells],
            groups: None,
            n_groups: sampling.groups().map_or(0, |groups| groups.n_groups),
        };
        let mut of_group: BTreeMap<(u32, u32), f64> = BTreeMap::new();
        for (row, (&label, &predicted)) in labels.iter().zip(predicted).enumerate() {
            let cell = position(counts, label, predicted);
            let weight = sampling.weight(row);
            weighed.masses[cell] += weight;
            weighed.squares[cell] += weight * weight;
            weighed.cubes[cell] += weight * weight * weight;
            if let Some(groups) = sampling.groups() {
                *of_group
                    .entry((cell as u32, groups.of_row[row]))
                    .or_default() += weight;
            }
        }
        if sampling.groups().is_some() {
            let mut groups = vec![Vec::new(); n_cells];
            for ((cell, group), mass) in of_group {
                groups[cell as usize].push((group, mass));
            }
            weighed.groups = Some(groups);
        }
        let masses = weighed.masses.clone();
        Self::new(confusion, beta, &masses, Some(weighed))
    }

    fn new(confusion: Confusion, beta: f64, masses: &[f64], weighed: Option<Weighed>) -> Self {
        let n_classes = confusion.classes().len();
        let mut tally = Self {
            beta,
            weighed,
            labelled: vec![0.0; n_classes],
            predicted: vec![0.0; n_classes],
            right: vec![0.0; n_classes],
            total: masses.iter().sum(),
            by_predicted: vec![Vec::new(); n_classes],
            confusion,
        };
        let cells = tally.confusion.counts().cells().iter().zip(masses);
        for (idx, (&(label, predicted, _), mass)) in cells.enumerate() {
            let (label, predicted) = (label as usize, predicted as usize);
            tally.labelled[label] += mass;
            tally.predicted[predicted] += mass;
            if label == predicted {
                tally.right[label] += mass;
            } else {
                tally.by_predicted[predicted].push(idx);
            }
        }
        tally
    }

    /// The confusion matrix, in rows.
    pub fn confusion(&self) -> &Confusion {
        &self.confusion
    }

    pub(super) fn into_confusion(self) -> Confusion {
        self.confusion
    }

    pub(super) fn counts(&self) -> &Counts {
        self.confusion.counts()
    }

    pub(super) fn n_classes(&self) -> usize {
        self.labelled.len()
    }

    /// Whether all rows count the same and are independent.
    pub(super) const fn is_plain(&self) -> bool {
        self.weighed.is_none()
    }

    /// Shares of the rows labelled as each class, predicted as each class, and both.
    pub(super) fn shares(&self, class: usize) -> (f64, f64, f64) {
        (
            self.labelled[class] / self.total,
            self.predicted[class] / self.total,
            self.right[class] / self.total,
        )
    }

    /// Label, prediction and share of the rows of each cell.
    pub(super) fn cells(&self) -> impl Iterator<Item = (usize, usize, f64)> {
        let cells = self.counts().cells().iter().enumerate();
        cells.map(|(idx, &(label, predicted, n))| {
            let mass = self
                .weighed
                .as_ref()
                .map_or(n as f64, |weighed| weighed.masses[idx]);
            (label as usize, predicted as usize, mass / self.total)
        })
    }

    /// The cells that are labelled or predicted as `class`, by position.
    pub(super) fn touching(&self, class: usize) -> impl Iterator<Item = usize> {
        self.counts()
            .positions_of_label(class)
            .chain(self.by_predicted[class].iter().copied())
    }

    /// The spread of `value` from the influence of a row in each of `cells`, by position; rows in no other cell have any.
    pub(super) fn spread(
        &self,
        value: f64,
        cells: impl Iterator<Item = usize>,
        influence: impl Fn(usize, usize) -> f64,
    ) -> Spread {
        let all = self.counts().cells();
        let cells = cells.map(|idx| {
            let (label, predicted, n) = all[idx];
            (idx, n as f64, influence(label as usize, predicted as usize))
        });
        let (mut squares, mut cubes) = (0.0, 0.0);
        let n = match &self.weighed {
            None => {
                for (_, n, influence) in cells {
                    squares += n * influence * influence;
                    cubes += n * influence.powi(3);
                }
                self.counts().n_rows()
            }
            Some(weighed) => match &weighed.groups {
                None => {
                    let n = self.counts().n_rows();
                    let scale = n as f64 / self.total;
                    for (idx, _, influence) in cells {
                        squares += weighed.squares[idx] * (scale * influence).powi(2);
                        cubes += weighed.cubes[idx] * (scale * influence).powi(3);
                    }
                    n
                }
                Some(groups) => {
                    let mut sums: BTreeMap<u32, f64> = BTreeMap::new();
                    for (idx, _, influence) in cells {
                        for &(group, mass) in &groups[idx] {
                            *sums.entry(group).or_default() += mass * influence;
                        }
                    }
                    let scale = weighed.n_groups as f64 / self.total;
                    for sum in sums.values() {
                        squares += (scale * sum).powi(2);
                        cubes += (scale * sum).powi(3);
                    }
                    weighed.n_groups as u64
                }
            },
        };
        let moments = of_central_sums(n, value, squares, cubes);
        match &self.weighed {
            Some(Weighed {
                groups: Some(_), ..
            }) => Spread::Groups(moments),
            _ => Spread::Rows(moments),
        }
    }
}

/// The moments of `n` values with this mean, from the sums of the squares and the cubes of their distances from it.
pub(super) fn of_central_sums(n: u64, mean: f64, squares: f64, cubes: f64) -> Moments {
    let spread = squares / n as f64;
    Moments {
        n,
        mean,
        variance: if n < 2 { 0.0 } else { squares / (n - 1) as f64 },
        skewness: if spread > 0.0 {
            cubes / n as f64 / spread / spread.sqrt()
        } else {
            0.0
        },
    }
}

/// The cells of the pairs, in ascending order.
fn cells(labels: &[u32], predicted: &[u32], n_classes: usize) -> Vec<(u32, u32, u64)> {
    let pairs = labels.iter().zip(predicted);
    let pairs =
        pairs.map(|(&label, &predicted)| (label as usize * n_classes + predicted as usize) as u64);
    let cell = |pair: u64, n| {
        let n_classes = n_classes as u64;
        ((pair / n_classes) as u32, (pair % n_classes) as u32, n)
    };
    if n_classes * n_classes <= MAX_CELLS_A_ROW * labels.len() {
        let mut table = vec![0; n_classes * n_classes];
        for pair in pairs {
            table[pair as usize] += 1;
        }
        let found = table.into_iter().enumerate().filter(|(_, n)| *n > 0);
        return found.map(|(pair, n)| cell(pair as u64, n)).collect();
    }
    let mut sorted: Vec<u64> = pairs.collect();
    sorted.sort_unstable();
    let ties = sorted.chunk_by(|left, right| left == right);
    ties.map(|tie| cell(tie[0], tie.len() as u64)).collect()
}

fn position(counts: &Counts, label: u32, predicted: u32) -> usize {
    let cells = counts.positions_of_label(label as usize);
    let start = cells.start;
    let of_label = &counts.cells()[cells];
    let found = of_label.binary_search_by_key(&predicted, |cell| cell.1);
    start + found.expect("every pair was counted")
}
