//! Metrics of the order of the rows by the score of each class: area under the ROC curve and average precision.
//!
//! Each class's column of scores is sorted once. A walk over the sorted rows gives both metrics of the class, what each row contributes to
//! them, and, with the rows of every other class weighted alike, the class's part of the one-vs-one area: time and memory grow with
//! rows times classes, not with pairs of classes.

mod curve;
mod sort;
mod walk;

pub(super) use self::curve::Average;
use self::curve::Curve;
use self::sort::Sorted;
use self::walk::{Parts, Walk};
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

const NO_POSITIVES: &str = "no labelled rows";
const NO_NEGATIVES: &str = "no rows of other classes";

impl Curves {
    pub(super) fn of(
        labels: &[u32],
        scores: Scores<'_>,
        n_classes: usize,
        sampling: &Sampling<'_>,
        positive: Option<usize>,
    ) -> Self {
        let walk = Walk::new(labels, n_classes, sampling);
        let has_averages = n_classes > 2;
        let mut parts = Parts::new(if has_averages { labels.len() } else { 0 }, n_classes);
        let reasons: Vec<Option<&'static str>> = (0..n_classes)
            .map(|class| match walk.n_labelled(class) {
                0 => Some(NO_POSITIVES),
                n if n == labels.len() as u64 => Some(NO_NEGATIVES),
                _ => None,
            })
            .collect();
        let mut usable = (0..n_classes).filter(|class| reasons[*class].is_none());
        let n_usable = usable.clone().count();
        let sort = |class: usize| Sorted::of(scores, n_classes, class);
        let mut sorted = usable.next().map(|class| (class, sort(class)));
        let mut curves: Vec<Result<Curve, &'static str>> = reasons
            .iter()
            .map(|reason| Err(reason.unwrap_or(NO_POSITIVES)))
            .collect();
        // One thread sorts the next class while another walks over this one.
        while let Some((class, rows)) = sorted.take() {
            let next = usable.next();
            let is_large = labels.len() > 100_000;
            let mut walk_over = || match &rows {
                Sorted::F32(rows) => walk.class(class, n_usable, rows, &mut parts),
                Sorted::F64(rows) => walk.class(class, n_usable, rows, &mut parts),
            };
            let sort_next = || next.map(|next| (next, sort(next)));
            let (curve, following) = if is_large && next.is_some() {
                both(&mut walk_over, sort_next)
            } else {
                (walk_over(), sort_next())
            };
            curves[class] = Ok(curve);
            sorted = following;
        }
        let averages = if has_averages && n_usable > 0 {
            walk.averages(&curves, &parts)
        } else {
            Vec::new()
        };
        Self {
            n_rows: labels.len() as u64,
            classes: curves,
            positive: positive.filter(|_| !has_averages),
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
