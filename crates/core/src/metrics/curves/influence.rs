//! Weighted sums of what rows contribute to a metric, from which its spread is computed.

use crate::metrics::curves::curve::N_AVERAGES;

/// Weighted sums of powers of the contributions of some rows to a value, each without its constant part.
#[derive(Default, Clone, Copy)]
pub(super) struct Powers {
    /// Sums of w² v^k for k from 0 to 2, and of w³ v^k for k from 0 to 3.
    squared: [f64; 3],
    cubed: [f64; 4],
}

impl Powers {
    /// The rows of a tie, which contribute `value` each.
    pub(super) fn add(&mut self, value: f64, tie: Tie) {
        let mut power = 1.0;
        for k in 0..3 {
            self.squared[k] += tie.squared * power;
            self.cubed[k] += tie.cubed * power;
            power *= value;
        }
        self.cubed[3] += tie.cubed * power;
    }

    /// Sums of w² (v - c)² and of w³ (v - c)³.
    pub(super) fn around(&self, centre: f64) -> (f64, f64) {
        let [s0, s1, s2] = self.squared;
        let [c0, c1, c2, c3] = self.cubed;
        (
            s2 - 2.0 * centre * s1 + centre * centre * s0,
            c3 - 3.0 * centre * c2 + 3.0 * centre * centre * c1 - centre.powi(3) * c0,
        )
    }
}

/// Sums over the rows of a tie.
#[derive(Default, Clone, Copy)]
pub(super) struct Tie {
    pub(super) n: u64,
    pub(super) mass: f64,
    squared: f64,
    cubed: f64,
}

impl Tie {
    pub(super) fn add(&mut self, weight: f64) {
        self.n += 1;
        self.mass += weight;
        self.squared += weight * weight;
        self.cubed += weight * weight * weight;
    }
}

/// The contributions of positives and of negatives to one metric of a class, and of groups of rows.
pub(super) struct Contributions {
    pub(super) positives: Powers,
    pub(super) negatives: Powers,
    /// The weighted sum of each group, where rows come in groups.
    pub(super) groups: Vec<f64>,
}

impl Contributions {
    pub(super) fn new(n_groups: usize) -> Self {
        Self {
            positives: Powers::default(),
            negatives: Powers::default(),
            groups: vec![0.0; n_groups],
        }
    }
}

/// What the rows of a unit contribute to the area, the areas of pairs and the average precision of a class.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct OfClass {
    pub(super) area: f64,
    pub(super) pairs: f64,
    pub(super) precision: f64,
}

/// What rows contribute to each average over classes, and what the averages are put together from.
pub(super) struct OfAverages {
    /// Weighted sums, `[unit][average]`; empty where there are no averages.
    pub(super) of_units: Vec<[f64; N_AVERAGES]>,
    /// The same of the class that is walked over, before they are weighted by class.
    pub(super) of_class: Vec<OfClass>,
    /// For each class, what the areas of pairs lack from 1: by its own score, and by the other class's.
    pub(super) lost_by_own: Vec<f64>,
    pub(super) lost_by_other: Vec<f64>,
}

impl OfAverages {
    pub(super) fn new(n_units: usize, n_classes: usize) -> Self {
        Self {
            of_units: vec![[0.0; N_AVERAGES]; n_units],
            of_class: vec![OfClass::default(); n_units],
            lost_by_own: vec![0.0; n_classes],
            lost_by_other: vec![0.0; n_classes],
        }
    }
}
