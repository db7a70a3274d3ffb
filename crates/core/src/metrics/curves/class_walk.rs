//! A walk over the rows of one class in the order of their scores.
//!
//! Placements are kept as their distance from the perfect one, so that nothing cancels where an area is near 1.

use super::curve::Curve;
use super::influence::{Contributions, OfAverages, Tie};
use super::sort::Keyed;
use super::walk::Walk;
use crate::metrics::curve_points::Points;
use crate::metrics::estimate::Spread;
use crate::metrics::tally::of_central_sums;
use crate::statistics::RocTies;

/// How far the walk over one class has come.
pub(super) struct ClassWalk<'w> {
    walk: &'w Walk<'w>,
    class: usize,
    area: Contributions,
    precision: Contributions,
    positives_of_group: Vec<f64>,
    /// Of a plain sample.
    ties: Option<RocTies>,
    positive_mass: f64,
    negative_mass: f64,
    /// Of one row: in a mean over usable classes, one weighted by class, and one over ordered pairs.
    macro_weight: f64,
    class_weight: f64,
    pair_weight: f64,
    /// Multiplied by instead of divided by: the walk's time is that of its divisions.
    per_positive: f64,
    per_negative: f64,
    per_positive_share: f64,
    per_negative_share: f64,
    /// By the other class, what the areas of pairs lack from 1.
    lost_pairs: Vec<f64>,
    positives_below: f64,
    negatives_below: f64,
    /// Classes whose rows were passed, each row counting for one over the weight of its class.
    classes_below: f64,
    /// Of the average precision: what the positives so far lose to one more negative at or above them, and gain by a positive.
    lost: f64,
    gained: f64,
    average_precision: f64,
    lost_area: f64,
    /// To be drawn; absent where there are too many classes.
    points: Option<Points>,
}

/// What a row contributes to the metrics of its tie.
#[derive(Clone, Copy)]
struct OfRow {
    area: f64,
    precision: f64,
}

impl<'w> ClassWalk<'w> {
    /// Over `class`, one of `n_usable` with a curve.
    pub(super) fn new(walk: &'w Walk<'w>, class: usize, n_usable: usize) -> Self {
        let total = walk.sampling.total();
        let positive_mass = walk.masses[class];
        let negative_mass = total - positive_mass;
        let n_groups = walk.sampling.groups().map_or(0, |groups| groups.n_groups);
        let n_positives = walk.n_labelled[class];
        let is_plain = walk.sampling.is_plain();
        let k = walk.n_labelled_classes as f64;
        Self {
            walk,
            class,
            area: Contributions::new(n_groups),
            precision: Contributions::new(n_groups),
            positives_of_group: vec![0.0; n_groups],
            ties: is_plain
                .then(|| RocTies::new(n_positives, walk.labels.len() as u64 - n_positives)),
            positive_mass,
            negative_mass,
            macro_weight: (n_usable as f64).recip(),
            class_weight: positive_mass / walk.usable_mass(),
            pair_weight: (k * (k - 1.0)).recip(),
            per_positive: positive_mass.recip(),
            per_negative: negative_mass.recip(),
            per_positive_share: total / positive_mass,
            per_negative_share: total / negative_mass,
            lost_pairs: vec![0.0; walk.masses.len()],
            positives_below: 0.0,
            negatives_below: 0.0,
            classes_below: 0.0,
            lost: 0.0,
            gained: 0.0,
            average_precision: 0.0,
            lost_area: 0.0,
            points: Points::of(walk.masses.len()),
        }
    }

    /// Over some more rows, whose scores are above those of the rows before.
    pub(super) fn pass<K: Keyed>(&mut self, rows: &[K], averages: &mut OfAverages) {
        let walk = self.walk;
        let total = walk.sampling.total();
        let (n_groups, has_averages) = (self.positives_of_group.len(), walk.has_averages());
        let n_other_classes = walk.n_labelled_classes as f64 - 1.0;
        for tie in rows.chunk_by(|left, right| left.is_tied_with(*right)) {
            let (mut p, mut q, mut q_classes) = (Tie::default(), Tie::default(), 0.0);
            for row in tie {
                let (label, weight) = walk.label_and_weight(row.of_row());
                if label == self.class {
                    p.add(weight);
                } else {
                    q.add(weight);
                    q_classes += weight * walk.per_label[label];
                }
            }
            // A positive's share of negatives that it is not above, and a negative's share of positives that are not above it.
            // Sums of weights round: no less than what is there.
            let wrong = (self.negative_mass - self.negatives_below).max(q.mass);
            let of_positive = (wrong - q.mass / 2.0) * self.per_negative;
            let of_negative = (self.positives_below + p.mass / 2.0) * self.per_positive;
            let of_positive_pairs =
                (self.classes_below + q_classes / 2.0 - n_other_classes) * self.per_positive_share;
            let (positive, negative) = self.of_tie(p, q, wrong, of_positive, of_negative);
            if has_averages || n_groups > 0 {
                for row in tie {
                    let (label, weight) = walk.label_and_weight(row.of_row());
                    let unit = walk.unit(row.of_row());
                    let is_positive = label == self.class;
                    let of_row = if is_positive { positive } else { negative };
                    if n_groups > 0 {
                        self.area.groups[unit] += weight * of_row.area;
                        self.precision.groups[unit] += weight * of_row.precision;
                        if is_positive {
                            self.positives_of_group[unit] += weight;
                        }
                    }
                    if has_averages {
                        let of_pairs = if is_positive {
                            of_positive_pairs
                        } else {
                            self.lost_pairs[label] += weight * of_negative;
                            -of_negative * walk.per_label[label] * total
                        };
                        let sums = &mut averages.of_class[unit];
                        sums.area += weight * of_row.area;
                        sums.pairs += weight * of_pairs;
                        sums.precision += weight * of_row.precision;
                    }
                }
            }
            self.positives_below += p.mass;
            self.negatives_below += q.mass;
            self.classes_below += q_classes;
        }
    }

    /// What each positive `p` and each negative `q` of a tie contributes, each without the constant that its class has.
    fn of_tie(
        &mut self,
        p: Tie,
        q: Tie,
        wrong: f64,
        of_positive: f64,
        of_negative: f64,
    ) -> (OfRow, OfRow) {
        let mut share_right = 0.0;
        let at_or_above = (self.positive_mass - self.positives_below).max(p.mass);
        if p.n > 0 {
            let per_row = (at_or_above + wrong).recip();
            share_right = at_or_above * per_row;
            self.gained += p.mass * wrong * per_row * per_row;
            self.lost += p.mass * at_or_above * per_row * per_row;
            self.average_precision += p.mass * self.per_positive * share_right;
            self.lost_area += p.mass * self.per_positive * of_positive;
        }
        if let Some(points) = &mut self.points {
            points.add(
                wrong * self.per_negative,
                at_or_above * self.per_positive,
                (p.n > 0).then_some(share_right),
            );
        }
        if let Some(ties) = &mut self.ties {
            ties.add(p.n, q.n);
        }
        let positive = OfRow {
            area: -of_positive * self.per_positive_share,
            precision: (share_right - 1.0 + self.gained) * self.per_positive_share,
        };
        let negative = OfRow {
            area: -of_negative * self.per_negative_share,
            precision: -self.lost * self.per_positive_share,
        };
        if p.n > 0 {
            self.area.positives.add(positive.area, p);
            self.precision.positives.add(positive.precision, p);
        }
        if q.n > 0 {
            self.area.negatives.add(negative.area, q);
            self.precision.negatives.add(negative.precision, q);
        }
        (positive, negative)
    }

    /// The curves, once every row was passed.
    pub(super) fn finish(self, averages: &mut OfAverages) -> Curve {
        let walk = self.walk;
        for (sums, of_class) in averages.of_units.iter_mut().zip(&mut averages.of_class) {
            let of_class = std::mem::take(of_class);
            // In the order of `Average`.
            let parts = [
                self.macro_weight * of_class.area,
                self.class_weight * of_class.area,
                self.pair_weight * of_class.pairs,
                self.macro_weight * of_class.precision,
                self.class_weight * of_class.precision,
            ];
            for (sum, part) in sums.iter_mut().zip(parts) {
                *sum += part;
            }
        }
        for (other, lost) in self.lost_pairs.iter().enumerate() {
            if other != self.class && walk.n_labelled[other] > 0 {
                let lost = lost / walk.masses[other];
                averages.lost_by_own[self.class] += lost;
                averages.lost_by_other[other] += lost;
            }
        }
        let total = walk.sampling.total();
        let positive_share = self.positive_mass / total;
        let negative_share = self.negative_mass / total;
        let roc = self.ties.map(RocTies::roc);
        let value = roc.map_or(1.0 - self.lost_area, |roc| roc.area);
        let centres = (
            -(1.0 - value) / positive_share,
            -(1.0 - value) / negative_share,
        );
        let positives = &self.positives_of_group;
        let area = spread(walk, value, centres, &self.area, positives);
        let precision = self.average_precision;
        let centres = ((precision - 1.0) / positive_share, 0.0);
        let precision = spread(walk, precision, centres, &self.precision, positives);
        Curve {
            roc,
            area,
            precision,
            points: self.points,
        }
    }
}

/// The spread of a class's `value`; `centres` are the constants in the influence of a positive and of a negative.
fn spread(
    walk: &Walk<'_>,
    value: f64,
    centres: (f64, f64),
    found: &Contributions,
    positives_of_group: &[f64],
) -> Spread {
    let Some(groups) = walk.sampling.groups() else {
        let n = walk.labels.len() as u64;
        let scale = n as f64 / walk.sampling.total();
        let positives = found.positives.around(centres.0);
        let negatives = found.negatives.around(centres.1);
        let squares = (positives.0 + negatives.0).max(0.0) * scale * scale;
        let cubes = (positives.1 + negatives.1) * scale.powi(3);
        return Spread::Rows(of_central_sums(n, value, squares, cubes));
    };
    let mut of_group = vec![0.0; groups.n_groups];
    for (row, group) in groups.of_row.iter().enumerate() {
        of_group[*group as usize] += walk.sampling.weight(row);
    }
    let sums: Vec<f64> = (0..groups.n_groups)
        .map(|group| {
            let positives = positives_of_group[group];
            let negatives = of_group[group] - positives;
            found.groups[group] - centres.0 * positives - centres.1 * negatives
        })
        .collect();
    walk.sampling.of_groups(value, &sums)
}
