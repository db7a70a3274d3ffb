//! Metrics of the order of the rows by the score of each class: area under the ROC curve and average precision.
//!
//! Each class's column of scores is sorted. A walk over the sorted rows gives both metrics of the class, what each row contributes to
//! them, and, with the rows of every other class weighted alike, the class's part of the one-vs-one area: time and memory grow with
//! rows times classes, not with pairs of classes.

mod class_walk;
mod curve;
mod influence;
mod sort;
mod walk;

use self::class_walk::ClassWalk;
pub(super) use self::curve::Average;
use self::curve::Curve;
use self::influence::OfAverages;
use self::sort::{Keyed, Parts};
use self::walk::Walk;
use super::curve_points::ClassCurves;
use super::estimate::{Computed, Estimate, Spread, mean, undefined};
use super::parallel::both;
use super::rows::Scores;
use super::sampling::Sampling;
use crate::measurement::Evidence;

/// The curves of all classes.
#[derive(Debug)]
pub struct Curves {
    n_rows: u64,
    /// The curve of each class, or why it has none.
    classes: Vec<Result<Curve, &'static str>>,
    /// With two classes, the one that stands for all rows.
    positive: Option<usize>,
    /// In the order of [`Average`]; empty with two classes, or where no class has a curve.
    averages: Vec<Spread>,
}

/// With fewer rows, a thread's start takes longer than it saves.
const MIN_FOR_THREADS: usize = 100_000;

const NO_POSITIVES: &str = "no labelled rows";
/// Also why a class has no specificity.
pub(super) const NO_NEGATIVES: &str = "no rows of other classes";

/// The curve of each of these classes: one thread sorts the next rows while another walks over these.
fn walked<K: Keyed>(
    walk: &Walk<'_>,
    scores: &[K::Score],
    classes: Vec<usize>,
    averages: &mut OfAverages,
) -> Vec<(usize, Curve)> {
    let (n_usable, n_rows) = (classes.len(), walk.labels.len());
    let n_classes = walk.masses.len();
    let mut parts = Parts::<K, _>::new(scores, n_classes, classes, |row| walk.of_row(row));
    let mut part = parts.next(Vec::new());
    let (mut room, mut curves) = (Vec::new(), Vec::new());
    let mut class_walk: Option<ClassWalk<'_>> = None;
    while let Some(found) = part.take() {
        let mut of_class = match class_walk.take() {
            Some(of_class) => of_class,
            None => ClassWalk::new(walk, found.class, n_usable),
        };
        let next_room = std::mem::take(&mut room);
        let mut pass = || of_class.pass(&found.rows, averages);
        let sort_next = || parts.next(next_room);
        part = if n_rows > MIN_FOR_THREADS {
            both(&mut pass, sort_next).1
        } else {
            pass();
            sort_next()
        };
        if found.is_last {
            curves.push((found.class, of_class.finish(averages)));
        } else {
            class_walk = Some(of_class);
        }
        room = found.rows;
    }
    curves
}

impl Curves {
    pub(super) fn of(
        labels: &[u32],
        scores: Scores<'_>,
        n_classes: usize,
        sampling: &Sampling<'_>,
        positive: Option<usize>,
    ) -> Self {
        let walk = Walk::new(labels, n_classes, sampling);
        let reasons: Vec<Option<&'static str>> = (0..n_classes)
            .map(|class| match walk.n_labelled[class] {
                0 => Some(NO_POSITIVES),
                n if n == labels.len() as u64 => Some(NO_NEGATIVES),
                _ => None,
            })
            .collect();
        let usable: Vec<usize> = (0..n_classes)
            .filter(|class| reasons[*class].is_none())
            .collect();
        let n_usable = usable.len();
        let n_units = if walk.has_averages() {
            sampling.n_units()
        } else {
            0
        };
        let mut parts_of_averages = OfAverages::new(n_units, n_classes);
        let mut curves: Vec<Result<Curve, &'static str>> = reasons
            .iter()
            .map(|reason| Err(reason.unwrap_or(NO_POSITIVES)))
            .collect();
        let found = match scores {
            Scores::F32(scores) => walked::<u64>(&walk, scores, usable, &mut parts_of_averages),
            Scores::F64(scores) => {
                walked::<(u64, u32)>(&walk, scores, usable, &mut parts_of_averages)
            }
        };
        for (class, curve) in found {
            curves[class] = Ok(curve);
        }
        let averages = if walk.has_averages() && n_usable > 0 {
            walk.averages(&curves, &parts_of_averages)
        } else {
            Vec::new()
        };
        Self {
            n_rows: labels.len() as u64,
            classes: curves,
            positive: positive.filter(|_| !walk.has_averages()),
            averages,
        }
    }

    /// Number of classes with a curve, and of all.
    pub(super) fn n_usable(&self) -> (usize, usize) {
        let n_usable = self.classes.iter().filter(|class| class.is_ok()).count();
        (n_usable, self.classes.len())
    }

    pub(super) fn roc_auc(&self, class: usize, confidence: f64) -> Computed {
        match &self.classes[class] {
            Err(reason) => undefined(*reason),
            Ok(Curve { roc: Some(roc), .. }) => Computed::Value(Estimate {
                value: roc.area,
                interval: roc.interval(confidence),
                n_rows: self.n_rows,
                evidence: Some(Evidence::RocArea(*roc)),
            }),
            Ok(curve) => mean(curve.area, self.n_rows, confidence),
        }
    }

    pub(super) fn average_precision(&self, class: usize, confidence: f64) -> Computed {
        match &self.classes[class] {
            Err(reason) => undefined(*reason),
            Ok(curve) => mean(curve.precision, self.n_rows, confidence),
        }
    }

    /// The points of the curves: with two classes of the one that stands for all rows, else of each class that has a curve.
    pub(super) fn points(&self, classes: &[String]) -> Vec<ClassCurves> {
        let found = self.classes.iter().enumerate();
        let found = found.filter(|(class, _)| self.positive.is_none_or(|shown| shown == *class));
        found
            .filter_map(|(class, curve)| {
                let points = curve.as_ref().ok()?.points.clone()?;
                Some(points.finish(&classes[class]))
            })
            .collect()
    }

    pub(super) fn overall(&self, average: Average, confidence: f64) -> Computed {
        if let Some(positive) = self.positive {
            return match average {
                Average::RocAuc => self.roc_auc(positive, confidence),
                Average::Precision => self.average_precision(positive, confidence),
                _ => undefined("there are only two classes"),
            };
        }
        match self.averages.get(average as usize) {
            Some(spread) => mean(*spread, self.n_rows, confidence),
            None => undefined("all labels are of one class"),
        }
    }
}
