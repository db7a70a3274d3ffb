//! Metrics of the order of the rows by the score of each class: area under the ROC curve and average precision.
//!
//! Each class's column of scores is sorted once. A walk over the sorted rows gives both metrics of the class, what each row contributes to
//! them, and, with the rows of every other class weighted alike, the class's part of the one-vs-one area: time and memory grow with
//! rows times classes, not with pairs of classes.

mod sort;
mod walk;

use self::sort::Sorted;
use self::walk::{Parts, Walk};
use super::estimate::{Computed, Estimate, Spread, mean, undefined};
use super::metric::{Compute, Metric, Shown};
use super::parallel::both;
use super::rows::Scores;
use super::sampling::Sampling;
use crate::measurement::{Direction, Evidence, Unit};
use crate::model::Task;
use crate::statistics::Roc;

const BY_INFLUENCE: &str = "t by influence";

const fn metric(
    name: &'static str,
    aliases: &'static [&'static str],
    definition: &'static str,
    interval: &'static str,
    source: &'static str,
    shown: Shown,
    compute: Compute,
) -> Metric {
    Metric {
        name,
        aliases,
        unit: Unit::Proportion,
        direction: Direction::HigherIsBetter,
        task: Task::Classification,
        definition,
        interval,
        source,
        range: (0.0, 1.0),
        shown,
        compute,
    }
}

pub(super) static METRICS: &[Metric] = &[
    metric(
        "roc_auc",
        &["auc", "auroc", "roc_auc_score", "roc_auc_ovr"],
        "Area under the ROC curve: the probability that a row of the class scores above one of another class, ties counted half. With two classes that of the positive (else the second) one; with more the mean over the classes that have labelled rows and rows of other classes (one-vs-rest, macro).",
        "Clopper–Pearson of as many rows as have DeLong's variance; of several classes, and of weighted or grouped rows, t by influence",
        "scikit-learn `roc_auc_score`",
        Shown::Headline,
        Compute::Curves {
            overall: |curves, level| curves.overall(Average::RocAuc, level),
            of_class: Some(Curves::roc_auc),
        },
    ),
    metric(
        "roc_auc_weighted",
        &["roc_auc_ovr_weighted"],
        "One-vs-rest areas under the ROC curve, weighted by the labelled rows of each class.",
        BY_INFLUENCE,
        "scikit-learn `roc_auc_score` with `average=\"weighted\"`",
        Shown::Details,
        Compute::Curves {
            overall: |curves, level| curves.overall(Average::RocAucWeighted, level),
            of_class: None,
        },
    ),
    metric(
        "roc_auc_ovo",
        &["roc_auc_ovo_macro"],
        "Mean area under the ROC curve over all pairs of classes that have labelled rows, each pair by the score of either class (one-vs-one, macro).",
        BY_INFLUENCE,
        "D. J. Hand and R. J. Till (2001), scikit-learn `roc_auc_score` with `multi_class=\"ovo\"`",
        Shown::Details,
        Compute::Curves {
            overall: |curves, level| curves.overall(Average::RocAucOvo, level),
            of_class: None,
        },
    ),
    metric(
        "average_precision",
        &["pr_auc", "auprc", "average_precision_score"],
        "Precision at each step of recall, weighted by the step, without interpolation. By chance it is the share of the class's rows. With two classes that of the positive (else the second) one; with more the mean over the classes that have labelled rows and rows of other classes.",
        BY_INFLUENCE,
        "scikit-learn `average_precision_score`",
        Shown::Headline,
        Compute::Curves {
            overall: |curves, level| curves.overall(Average::Precision, level),
            of_class: Some(Curves::average_precision),
        },
    ),
    metric(
        "average_precision_weighted",
        &[],
        "Average precision of the classes, weighted by their labelled rows.",
        BY_INFLUENCE,
        "scikit-learn `average_precision_score` with `average=\"weighted\"`",
        Shown::Details,
        Compute::Curves {
            overall: |curves, level| curves.overall(Average::PrecisionWeighted, level),
            of_class: None,
        },
    ),
];

/// Averages over classes.
#[derive(Debug, Clone, Copy)]
enum Average {
    RocAuc,
    RocAucWeighted,
    RocAucOvo,
    Precision,
    PrecisionWeighted,
}

const N_AVERAGES: usize = 5;

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

/// One class against the others.
#[derive(Debug)]
pub(super) struct Curve {
    /// Of a plain sample.
    pub(super) roc: Option<Roc>,
    pub(super) area: Spread,
    pub(super) precision: Spread,
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

    fn roc_auc(&self, class: usize, confidence: f64) -> Computed {
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

    fn average_precision(&self, class: usize, confidence: f64) -> Computed {
        match &self.classes[class] {
            Err(reason) => undefined(*reason),
            Ok(curve) => mean(curve.precision, self.n_rows, confidence),
        }
    }

    fn overall(&self, average: Average, confidence: f64) -> Computed {
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
