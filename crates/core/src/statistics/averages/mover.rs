//! The interval of an unweighted mean over classes, from the intervals of the classes.

use super::class::{Class, Part};
use crate::statistics::{Counts, Interval, IntervalMethod, clopper_pearson, normal_quantile};

/// The distances from a class's value to its ends.
struct Reach {
    below: f64,
    above: f64,
}

/// The mean over `classes`: the distances to the ends of the classes' exact intervals, added like standard deviations.
///
/// G. Y. Zou and A. Donner (2008), "Construction of confidence limits about effect measures", Statistics in Medicine 27, 1693–1702.
pub(super) fn mover(
    part: Part,
    classes: &[Class],
    counts: &Counts,
    value: f64,
    confidence: f64,
) -> Interval {
    let z = normal_quantile(f64::midpoint(1.0, confidence));
    // A class of 0/0 counts 0 and may be anything up to 1; what is not known at all does not cancel out.
    let n_unknown = classes.iter().filter(|class| part.n(class) == 0.0).count() as f64;
    let known: Vec<Class> = classes
        .iter()
        .filter(|class| part.n(class) > 0.0)
        .copied()
        .collect();
    let reaches: Vec<Reach> = known
        .iter()
        .map(|class| reach(part, class, confidence, z))
        .collect();
    let correlations = Correlations::of(part, &known, counts);
    let combined = |distance: fn(&Reach) -> f64| {
        let mut sum = 0.0;
        for (i, left) in reaches.iter().enumerate() {
            sum += distance(left) * distance(left);
            for (between, right) in correlations.after(i).zip(&reaches[i + 1..]) {
                sum += 2.0 * between * distance(left) * distance(right);
            }
        }
        sum.max(0.0).sqrt()
    };
    // F1 is a concave function of an unbiased proportion, so it is low on average. Over many classes of few rows that adds up, while
    // their errors cancel out.
    let shortfall: f64 = match part {
        Part::F1 => known.iter().map(f1_shortfall).sum(),
        Part::Precision | Part::Recall | Part::Jaccard => 0.0,
    };
    let n = classes.len() as f64;
    Interval {
        lower: (value - combined(|reach| reach.below) / n).max(0.0),
        upper: (value + (combined(|reach| reach.above) + shortfall + n_unknown) / n).min(1.0),
        confidence,
        method: IntervalMethod::Mover,
    }
}

/// By how much F1 of one class is low on average: to the second order, and what is missing from that for a row or two.
pub(super) fn f1_shortfall(class: &Class) -> f64 {
    let n = class.n_either();
    let share = (class.n_right + 1.0) / (n + 2.0);
    2.0 * share * (1.0 - share) / (n * (1.0 + share).powi(3)) * (1.0 + 0.5 / n)
}

/// The distances of one class with a proportion behind it.
///
/// Neither is shorter than the distance by the variance of Laplace's estimate: where each class has a row or two, those that are all
/// right have no distance above, and the sum would forget that others like them were not.
fn reach(part: Part, class: &Class, confidence: f64, z: f64) -> Reach {
    let n = part.n(class);
    let share = class.n_right / n;
    let (lower, upper) = clopper_pearson(class.n_right as u64, n as u64, confidence)
        .map_or((0.0, 1.0), |interval| (interval.lower, interval.upper));
    let smoothed = (class.n_right + 1.0) / (n + 2.0);
    let spread = z * (smoothed * (1.0 - smoothed) / n).sqrt() * part.slope(smoothed);
    let value = part.of_share(share);
    Reach {
        below: (value - part.of_share(lower)).max(spread),
        above: (part.of_share(upper) - value).max(spread),
    }
}

/// Correlations between the classes' values by the delta method.
///
/// Precisions have no row in common, nor have recalls. F1 and Jaccard's index of two classes are both lowered by the rows confused
/// between them, so they rise and fall together.
struct Correlations {
    /// For each class the confusions with later ones: their position, and the number of rows both ways. Empty where classes have no row
    /// in common.
    confused: Vec<Vec<(usize, u64)>>,
    /// Added to each pair's confusions, so that classes without errors are not taken for independent.
    smoothing: f64,
    deviations: Vec<f64>,
    influences: Vec<f64>,
}

impl Correlations {
    fn of(part: Part, classes: &[Class], counts: &Counts) -> Self {
        let k = classes.len() as f64;
        let smoothing = if classes.len() > 1 {
            1.0 / (k * (k - 1.0))
        } else {
            0.0
        };
        let mut deviations = Vec::new();
        let mut influences = Vec::new();
        for class in classes {
            // Smoothed, else the errors of a class that has nothing right would count for nothing.
            let share = (class.n_right + 1.0) / (part.n(class) + 2.0);
            // How much one row confused with another class, and one row right, moves the share.
            let (wrong, right) = (share, 1.0 - share);
            let n_wrong = class.n_either() - class.n_right + 2.0 * smoothing * (k - 1.0);
            let variance = class.n_right * right * right + n_wrong * wrong * wrong;
            deviations.push(variance.sqrt());
            influences.push(wrong);
        }
        Self {
            confused: confused(part, classes, counts),
            smoothing,
            deviations,
            influences,
        }
    }

    /// The correlations of class `i` with each of the later ones.
    fn after(&self, i: usize) -> impl Iterator<Item = f64> {
        let mut confused = self
            .confused
            .get(i)
            .map_or(&[][..], Vec::as_slice)
            .iter()
            .peekable();
        let are_independent = self.confused.is_empty();
        (i + 1..self.deviations.len()).map(move |j| {
            let mut n_confused = 0;
            while let Some((_, n)) = confused.next_if(|(other, _)| *other == j) {
                n_confused += n;
            }
            let scale = self.deviations[i] * self.deviations[j];
            if are_independent || scale <= 0.0 {
                return 0.0;
            }
            let shared = n_confused as f64 + 2.0 * self.smoothing;
            (shared * self.influences[i] * self.influences[j] / scale).min(1.0)
        })
    }
}

/// For each class the confusions with later ones, by position.
fn confused(part: Part, classes: &[Class], counts: &Counts) -> Vec<Vec<(usize, u64)>> {
    if matches!(part, Part::Precision | Part::Recall) {
        return Vec::new();
    }
    let mut positions = vec![None; counts.n_classes()];
    for (position, class) in classes.iter().enumerate() {
        positions[class.index] = Some(position);
    }
    let mut confused = vec![Vec::new(); classes.len()];
    for &(label, predicted, n) in counts.cells() {
        let pair = (positions[label as usize], positions[predicted as usize]);
        if let (Some(left), Some(right)) = pair
            && left != right
        {
            confused[left.min(right)].push((left.max(right), n));
        }
    }
    for pairs in &mut confused {
        pairs.sort_unstable();
    }
    confused
}
