//! From rows in the order of a class's scores to the class's curves, and to what each row contributes to averages over classes.
//!
//! Placements are kept as their distance from the perfect one, so that nothing cancels where an area is near 1.

use super::curve::{Average, Curve, N_AVERAGES};
use super::sort::Keyed;
use crate::metrics::curve_points::{MAX_CLASSES, Points};
use crate::metrics::estimate::Spread;
use crate::metrics::sampling::Sampling;
use crate::metrics::tally::of_central_sums;
use crate::statistics::RocTies;

/// What all classes share.
pub(super) struct Walk<'a> {
    labels: &'a [u32],
    sampling: &'a Sampling<'a>,
    /// Rows and weight of each class.
    n_labelled: Vec<u64>,
    masses: Vec<f64>,
    n_labelled_classes: usize,
}

/// What each row contributes to each average over classes, and what the averages are put together from.
pub(super) struct Parts {
    /// `[row][average]`: enough digits for a variance.
    of_rows: Vec<[f32; N_AVERAGES]>,
    /// For each class, what the areas of pairs lack from 1: by its own score, and by the other class's.
    lost_by_own: Vec<f64>,
    lost_by_other: Vec<f64>,
}

impl Parts {
    pub(super) fn new(n_rows: usize, n_classes: usize) -> Self {
        Self {
            of_rows: vec![[0.0; N_AVERAGES]; n_rows],
            lost_by_own: vec![0.0; n_classes],
            lost_by_other: vec![0.0; n_classes],
        }
    }

    /// Adds and empties `batch` of rows and their contributions.
    fn add(&mut self, batch: &mut Vec<(usize, [f32; N_AVERAGES])>) {
        for (row, contributions) in batch.drain(..) {
            for (sum, contribution) in self.of_rows[row].iter_mut().zip(contributions) {
                *sum += contribution;
            }
        }
    }
}

/// Rows whose contributions are written together.
const BATCH: usize = 1024;

/// Weighted sums of powers of the contributions of some rows to a value, each without its constant part.
#[derive(Default, Clone, Copy)]
struct Powers {
    /// Sums of w² v^k for k from 0 to 2, and of w³ v^k for k from 0 to 3.
    squared: [f64; 3],
    cubed: [f64; 4],
}

impl Powers {
    /// The rows of a tie, which contribute `value` each.
    fn add(&mut self, value: f64, tie: Tie) {
        let mut power = 1.0;
        for k in 0..3 {
            self.squared[k] += tie.squared * power;
            self.cubed[k] += tie.cubed * power;
            power *= value;
        }
        self.cubed[3] += tie.cubed * power;
    }

    /// Sums of w² (v - c)² and of w³ (v - c)³.
    fn around(&self, centre: f64) -> (f64, f64) {
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
struct Tie {
    n: u64,
    mass: f64,
    squared: f64,
    cubed: f64,
}

impl Tie {
    fn add(&mut self, weight: f64) {
        self.n += 1;
        self.mass += weight;
        self.squared += weight * weight;
        self.cubed += weight * weight * weight;
    }
}

/// The contributions of positives and of negatives to one metric of a class, and of groups of rows.
struct Contributions {
    positives: Powers,
    negatives: Powers,
    /// The weighted sum of each group, where rows come in groups.
    groups: Vec<f64>,
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
            masses,
        }
    }

    pub(super) fn n_labelled(&self, class: usize) -> u64 {
        self.n_labelled[class]
    }

    /// The curves of `class`, one of `n_usable`, and its parts of the averages.
    pub(super) fn class<K: Keyed>(
        &self,
        class: usize,
        n_usable: usize,
        rows: &[K],
        parts: &mut Parts,
    ) -> Curve {
        // Rows are far apart in memory: loads and stores that wait for each other would take most of the time, so labels are gathered
        // beforehand and contributions written a batch at a time.
        let labels: Vec<u32> = rows.iter().map(|row| self.labels[row.row()]).collect();
        let mut batch: Vec<(usize, [f32; N_AVERAGES])> = Vec::with_capacity(BATCH);
        let total = self.sampling.total();
        let positive_mass = self.masses[class];
        let negative_mass = total - positive_mass;
        let n_groups = self.sampling.groups().map_or(0, |groups| groups.n_groups);
        let new = || Contributions {
            positives: Powers::default(),
            negatives: Powers::default(),
            groups: vec![0.0; n_groups],
        };
        let (mut area, mut precision) = (new(), new());
        let mut positives_of_group = vec![0.0; n_groups];
        let has_averages = !parts.of_rows.is_empty();
        let mut lost_pairs = vec![0.0; if has_averages { self.masses.len() } else { 0 }];

        // Of one row, in a mean over usable classes, one weighted by class, and one over ordered pairs.
        let usable_mass = self.usable_mass();
        let macro_weight = (n_usable as f64).recip();
        let class_weight = positive_mass / usable_mass;
        let k = self.n_labelled_classes as f64;
        let pair_weight = (k * (k - 1.0)).recip();
        let (positive_share, negative_share) = (positive_mass / total, negative_mass / total);

        let n_positives = self.n_labelled[class];
        let mut ties = self
            .sampling
            .is_plain()
            .then(|| RocTies::new(n_positives, self.labels.len() as u64 - n_positives));

        // Multiplied by instead of divided by: the walk's time is that of its divisions.
        let (per_positive, per_negative) = (positive_mass.recip(), negative_mass.recip());
        let (per_positive_share, per_negative_share) =
            (positive_share.recip(), negative_share.recip());
        let per_label: Vec<f64> = self.masses.iter().map(|mass| mass.recip()).collect();

        let (mut positives_below, mut negatives_below) = (0.0, 0.0);
        // Classes whose rows were passed, each row counting for one over the weight of its class.
        let mut classes_below = 0.0;
        let n_other_classes = k - 1.0;
        // Of the average precision: what the positives so far lose to one more negative at or above them, and gain by a positive.
        let (mut lost, mut gained) = (0.0, 0.0);
        let (mut average_precision, mut lost_area) = (0.0, 0.0);
        let mut n_passed = 0;
        let mut points = (self.masses.len() <= MAX_CLASSES).then(Points::new);
        for tie in rows.chunk_by(|left, right| left.is_tied_with(*right)) {
            let labels = &labels[n_passed..n_passed + tie.len()];
            n_passed += tie.len();
            let (mut p, mut q, mut q_classes) = (Tie::default(), Tie::default(), 0.0);
            for (row, &label) in tie.iter().zip(labels) {
                let (label, weight) = (label as usize, self.sampling.weight(row.row()));
                if label == class {
                    p.add(weight);
                } else {
                    q.add(weight);
                    if has_averages {
                        q_classes += weight * per_label[label];
                    }
                }
            }
            // Sums of weights round: no less than what is there.
            let at_or_above = (positive_mass - positives_below).max(p.mass);
            let wrong = (negative_mass - negatives_below).max(q.mass);
            // A positive's share of negatives that it is not above, and a negative's share of positives that are not above it.
            let of_positive = (wrong - q.mass / 2.0) * per_negative;
            let of_negative = (positives_below + p.mass / 2.0) * per_positive;
            let of_positive_pairs = n_other_classes - classes_below - q_classes / 2.0;
            let mut share_right = 0.0;
            if p.n > 0 {
                let per_row = (at_or_above + wrong).recip();
                share_right = at_or_above * per_row;
                gained += p.mass * wrong * per_row * per_row;
                lost += p.mass * at_or_above * per_row * per_row;
                average_precision += p.mass * per_positive * share_right;
                lost_area += p.mass * per_positive * of_positive;
            }
            if let Some(points) = &mut points {
                points.add(
                    wrong * per_negative,
                    at_or_above * per_positive,
                    (p.n > 0).then_some(share_right),
                );
            }
            if let Some(ties) = &mut ties {
                ties.add(p.n, q.n);
            }
            // Influences: each without the constant that its class has.
            let area_of_positive = -of_positive * per_positive_share;
            let area_of_negative = -of_negative * per_negative_share;
            let precision_of_positive = (share_right - 1.0 + gained) * per_positive_share;
            let precision_of_negative = -lost * per_positive_share;
            if p.n > 0 {
                area.positives.add(area_of_positive, p);
                precision.positives.add(precision_of_positive, p);
            }
            if q.n > 0 {
                area.negatives.add(area_of_negative, q);
                precision.negatives.add(precision_of_negative, q);
            }
            if has_averages || n_groups > 0 {
                for (row, &label) in tie.iter().zip(labels) {
                    let row = row.row();
                    let (label, weight) = (label as usize, self.sampling.weight(row));
                    let is_positive = label == class;
                    let (of_area, of_precision) = if is_positive {
                        (area_of_positive, precision_of_positive)
                    } else {
                        (area_of_negative, precision_of_negative)
                    };
                    if let Some(groups) = self.sampling.groups() {
                        let group = groups.of_row[row] as usize;
                        area.groups[group] += weight * of_area;
                        precision.groups[group] += weight * of_precision;
                        if is_positive {
                            positives_of_group[group] += weight;
                        }
                    }
                    if has_averages {
                        let of_pairs = if is_positive {
                            -of_positive_pairs * per_positive_share
                        } else {
                            lost_pairs[label] += weight * of_negative;
                            -of_negative * per_label[label] * total
                        };
                        // In the order of `Average`.
                        let found = [
                            macro_weight * of_area,
                            class_weight * of_area,
                            pair_weight * of_pairs,
                            macro_weight * of_precision,
                            class_weight * of_precision,
                        ];
                        batch.push((row, found.map(|part| part as f32)));
                        if batch.len() == BATCH {
                            parts.add(&mut batch);
                        }
                    }
                }
            }
            positives_below += p.mass;
            negatives_below += q.mass;
            classes_below += q_classes;
        }
        parts.add(&mut batch);
        for (other, lost) in lost_pairs.into_iter().enumerate() {
            if other != class && self.n_labelled[other] > 0 {
                let lost = lost / self.masses[other];
                parts.lost_by_own[class] += lost;
                parts.lost_by_other[other] += lost;
            }
        }
        let roc = ties.map(RocTies::roc);
        let value = roc.map_or(1.0 - lost_area, |roc| roc.area);
        let centres = (
            -(1.0 - value) / positive_share,
            -(1.0 - value) / negative_share,
        );
        let area = self.spread(value, centres, &area, &positives_of_group);
        let centres = ((average_precision - 1.0) / positive_share, 0.0);
        let precision = self.spread(average_precision, centres, &precision, &positives_of_group);
        Curve {
            roc,
            area,
            precision,
            points,
        }
    }

    /// The weight of the classes that have a curve.
    fn usable_mass(&self) -> f64 {
        let n_rows = self.labels.len() as u64;
        let classes = self.n_labelled.iter().zip(&self.masses);
        classes
            .filter(|(n, _)| **n > 0 && **n < n_rows)
            .map(|(_, mass)| mass)
            .sum()
    }

    /// The spread of a class's `value`; `centres` are the constants in the influence of a positive and of a negative.
    fn spread(
        &self,
        value: f64,
        centres: (f64, f64),
        found: &Contributions,
        positives_of_group: &[f64],
    ) -> Spread {
        let Some(groups) = self.sampling.groups() else {
            let n = self.labels.len() as u64;
            let scale = n as f64 / self.sampling.total();
            let positives = found.positives.around(centres.0);
            let negatives = found.negatives.around(centres.1);
            let squares = (positives.0 + negatives.0).max(0.0) * scale * scale;
            let cubes = (positives.1 + negatives.1) * scale.powi(3);
            return Spread::Rows(of_central_sums(n, value, squares, cubes));
        };
        let mut of_group = vec![0.0; groups.n_groups];
        for (row, group) in groups.of_row.iter().enumerate() {
            of_group[*group as usize] += self.sampling.weight(row);
        }
        let sums: Vec<f64> = (0..groups.n_groups)
            .map(|group| {
                let positives = positives_of_group[group];
                let negatives = of_group[group] - positives;
                found.groups[group] - centres.0 * positives - centres.1 * negatives
            })
            .collect();
        self.sampling.of_groups(value, &sums)
    }

    /// The averages over classes, in the order of [`Average`].
    pub(super) fn averages(
        &self,
        curves: &[Result<Curve, &'static str>],
        parts: &Parts,
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
        (0..N_AVERAGES)
            .map(|idx| {
                let constants: Vec<f64> = constants
                    .iter()
                    .map(|constants| constants[idx] + of_all[idx])
                    .collect();
                self.sampling.spread(values[idx], |row| {
                    f64::from(parts.of_rows[row][idx]) - constants[self.labels[row] as usize]
                })
            })
            .collect()
    }
}
