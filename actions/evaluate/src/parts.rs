//! What is measured beside the metrics of all rows: numeric columns, slices and folds.

use std::collections::BTreeSet;

use trainyard_core::config::{EvaluateConfig, GateConfig};
use trainyard_core::evaluation::{FoldTable, SliceSummary, WeakSegments};
use trainyard_core::fold_scores::{TrainingRows, measure_folds};
use trainyard_core::folds::FoldMethod;
use trainyard_core::metrics::{Measured, Scoring};
use trainyard_core::numeric_columns::measure_columns;
use trainyard_core::scored_rows::ScoredRows;
use trainyard_core::slices::{SliceMetrics, measure_slices, shown_in_parts, weak_segments};
use trainyard_runner::{ExitCode, WithExitCode as _};

use crate::cross_validated::CrossValidated;

/// What to measure.
pub(crate) struct Parts {
    evaluate: EvaluateConfig,
    /// Metrics that rules name, which are then measured in every part too.
    of_rules: BTreeSet<String>,
    /// The training rows by fold, where our own training cross-validated.
    cross_validated: Option<CrossValidated>,
}

/// What all rows and their parts came to.
pub(crate) struct Scores {
    /// Measurements of all rows first, then those of classes, slices and folds.
    pub(crate) measured: Measured,
    pub(crate) slices: Vec<SliceSummary>,
    pub(crate) weak_segments: Option<WeakSegments>,
    pub(crate) folds: Option<FoldTable>,
}

impl Parts {
    pub(crate) fn of(
        evaluate: EvaluateConfig,
        gate: &GateConfig,
        cross_validated: Option<CrossValidated>,
    ) -> Self {
        Self {
            evaluate,
            cross_validated,
            of_rules: gate.rules.iter().map(|rule| rule.metric.clone()).collect(),
        }
    }

    pub(crate) fn measure(&self, rows: &ScoredRows, scoring: &Scoring) -> anyhow::Result<Scores> {
        let Self {
            evaluate,
            of_rules,
            cross_validated,
        } = self;
        let mut measured = rows.measure(scoring).exit_code(ExitCode::Data)?;
        let of_columns = measure_columns(rows, &evaluate.columns, scoring.confidence)
            .exit_code(ExitCode::Data)?;
        // Before those of classes, which are last.
        let n_overall = measured
            .measurements
            .partition_point(|found| found.key.is_overall());
        measured
            .measurements
            .splice(n_overall..n_overall, of_columns);
        let metrics = SliceMetrics {
            of_rules,
            columns: &evaluate.columns,
        };
        let of_slices =
            measure_slices(rows, &evaluate.slices, metrics, scoring).exit_code(ExitCode::Data)?;
        measured.measurements.extend(of_slices.measurements);
        measured.undefined.extend(of_slices.undefined);
        let weak_segments =
            weak_segments(rows, &evaluate.columns, evaluate.min_slice_rows(), scoring)
                .exit_code(ExitCode::Data)?;
        let by_default = shown_in_parts(rows.task(), scoring)
            .iter()
            .map(|&name| name.to_owned());
        let shown = by_default.chain(of_rules.iter().cloned()).collect();
        let folds = evaluate.cross_validation.as_ref();
        let is_by_time =
            folds.is_some_and(|folds| folds.method == Some(FoldMethod::TimeSeriesSplit));
        let training = if is_by_time {
            TrainingRows::Earlier
        } else {
            TrainingRows::OtherFolds
        };
        let of_folds = match cross_validated {
            Some(found) => {
                let training = if found.is_by_time {
                    TrainingRows::Earlier
                } else {
                    TrainingRows::Counted(&found.n_train)
                };
                measure_folds(&found.rows, scoring, training, &shown)
            }
            None => measure_folds(rows, scoring, training, &shown),
        }
        .exit_code(ExitCode::Data)?;
        let folds = of_folds.map(|of_folds| {
            measured.measurements.extend(of_folds.measurements);
            measured.undefined.extend(of_folds.undefined);
            FoldTable {
                of_training_rows: cross_validated.is_some(),
                ..of_folds.table
            }
        });
        Ok(Scores {
            measured,
            slices: of_slices.slices,
            weak_segments,
            folds,
        })
    }
}
