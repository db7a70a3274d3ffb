//! Metrics that other tools compute and `evaluate` does not: their names are known where they stand in a file.

use super::metric::{Compute, Metric, Shown};
use crate::measurement::{Direction, Unit};
use crate::prediction_task::PredictionTask;

const fn metric(
    name: &'static str,
    aliases: &'static [&'static str],
    unit: Unit,
    direction: Direction,
    task: PredictionTask,
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
        range: (0.0, 1.0),
        shown: Shown::Details,
        compute: Compute::Elsewhere,
    }
}

const LOWER: Direction = Direction::LowerIsBetter;
const CLASSES: PredictionTask = PredictionTask::Classification;

pub(super) static METRICS: &[Metric] = &[metric(
    "error_rate",
    &["error", "zero_one_loss"],
    Unit::Proportion,
    LOWER,
    CLASSES,
    "Fraction of rows predicted incorrectly.",
)];
