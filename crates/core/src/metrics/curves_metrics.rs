//! Metrics of the order of the rows by the score of each class, as the catalog lists them.

use super::curves::{Average, Curves};
use super::metric::{Compute, Metric, Shown};
use crate::measurement::{Direction, Unit};
use crate::prediction_task::PredictionTask;

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
        task: PredictionTask::Classification,
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
