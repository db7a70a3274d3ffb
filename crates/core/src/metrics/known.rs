//! Metrics that other tools compute and `evaluate` does not: their names are known where they stand in a file.

use super::metric::{Compute, Metric};
use crate::measurement::{Direction, Unit};
use crate::model::Task;

const fn metric(
    name: &'static str,
    aliases: &'static [&'static str],
    unit: Unit,
    direction: Direction,
    task: Task,
    definition: &'static str,
) -> Metric {
    Metric {
        name,
        aliases,
        unit,
        direction,
        task,
        definition,
        interval: "",
        source: "",
        compute: Compute::Elsewhere,
    }
}

const HIGHER: Direction = Direction::HigherIsBetter;
const LOWER: Direction = Direction::LowerIsBetter;
const CLASSES: Task = Task::Classification;
const NUMBERS: Task = Task::Regression;

pub(super) static METRICS: &[Metric] = &[
    metric(
        "roc_auc",
        &["auc", "auroc", "roc_auc_score"],
        Unit::Proportion,
        HIGHER,
        CLASSES,
        "Area under the ROC curve.",
    ),
    metric(
        "average_precision",
        &["pr_auc", "auprc", "average_precision_score"],
        Unit::Proportion,
        HIGHER,
        CLASSES,
        "Area under the precision-recall curve.",
    ),
    metric(
        "matthews_corrcoef",
        &["mcc", "matthews"],
        Unit::None,
        HIGHER,
        CLASSES,
        "Matthews correlation coefficient.",
    ),
    metric(
        "cohen_kappa",
        &["kappa", "cohen_kappa_score"],
        Unit::None,
        HIGHER,
        CLASSES,
        "Cohen's kappa.",
    ),
    metric(
        "brier_score",
        &["brier", "brier_score_loss"],
        Unit::None,
        LOWER,
        CLASSES,
        "Brier score.",
    ),
    metric(
        "expected_calibration_error",
        &["ece"],
        Unit::Proportion,
        LOWER,
        CLASSES,
        "Expected calibration error.",
    ),
    metric(
        "error_rate",
        &["error", "zero_one_loss"],
        Unit::Proportion,
        LOWER,
        CLASSES,
        "Fraction of rows predicted incorrectly.",
    ),
    metric(
        "mape",
        &["mean_absolute_percentage_error"],
        Unit::None,
        LOWER,
        NUMBERS,
        "Mean absolute percentage error.",
    ),
    metric(
        "max_error",
        &[],
        Unit::Label,
        LOWER,
        NUMBERS,
        "Largest absolute error.",
    ),
];
