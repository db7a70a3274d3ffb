//! Slices: rows and `[[evaluate.slices]]` in, the parts of the rows by the values of columns and what each came to out.
//!
//! Time and memory grow with the number of rows and of slices, not with their product.

mod bins;
mod cut;
mod segments;

use std::collections::BTreeSet;

use crate::config::{ColumnConfig, SliceConfig};
use crate::evaluation::SliceSummary;
use crate::measurement::{Measurement, MetricKey, Undefined};
use crate::metrics::{MetricError, Scoring};
use crate::numeric_columns::{self, ColumnError};
use crate::prediction_task::PredictionTask;
use crate::scored_rows::ScoredRows;

pub use cut::{Slice, cut};
pub use segments::weak_segments;

/// More slices of one definition are a column of texts or numbers that is not read value by value.
const MAX_SLICES: usize = 10_000;

/// Why rows cannot be cut into slices.
#[derive(Debug, thiserror::Error)]
pub enum SliceError {
    /// A column that is not there.
    #[error(
        "`[[evaluate.slices]]` names the column `{name}`, which is not there; there are {found}"
    )]
    NoColumn {
        /// The column.
        name: String,
        /// What is there.
        found: String,
    },
    /// One label where there are several.
    #[error(
        "`[[evaluate.slices]]` names `{name}`, and each row has several: name one of them, such as `{example}`"
    )]
    Several {
        /// What is named.
        name: String,
        /// What could be.
        example: String,
    },
    /// A cell that is not a number where bins are asked for.
    #[error(
        "`[[evaluate.slices]]` puts the column `{name}` into bins, but it holds `{cell}`, which is not a number (row {row}, from 0)"
    )]
    NotNumbers {
        /// The column.
        name: String,
        /// What it holds.
        cell: String,
        /// Where.
        row: usize,
    },
    /// More slices than anyone reads.
    #[error(
        "`[[evaluate.slices]]` by {columns} gives {n_slices} slices, more than {MAX_SLICES}: put numbers into bins, such as `bins = 4`, or slice by another column"
    )]
    TooMany {
        /// The columns.
        columns: String,
        /// How many slices there are.
        n_slices: usize,
    },
    /// A metric that these rows have not.
    #[error(
        "`[[evaluate.slices]]` asks for the metric `{metric}`, which is not measured on these rows; there are {found}"
    )]
    NoMetric {
        /// The metric.
        metric: String,
        /// What is measured.
        found: String,
    },
    /// A slice that cannot be measured.
    #[error("slice `{slice}`: {source}")]
    Metric {
        /// Its name.
        slice: String,
        /// Why.
        source: MetricError,
    },
    /// A numeric column that cannot be measured.
    #[error(transparent)]
    Column(#[from] ColumnError),
}

/// What is measured in slices, beside what each definition asks for.
#[derive(Debug, Clone, Copy)]
pub struct SliceMetrics<'a> {
    /// Metrics that rules name.
    pub of_rules: &'a BTreeSet<String>,
    /// The numeric columns that are metrics.
    pub columns: &'a [ColumnConfig],
}

/// What all slices came to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MeasuredSlices {
    /// Each slice once, by definition and then in the order of its values.
    pub slices: Vec<SliceSummary>,
    /// What was measured in those with enough rows.
    pub measurements: Vec<Measurement>,
    /// What has no value there, and why.
    pub undefined: Vec<Undefined>,
}

/// Cuts `rows` by each of `definitions` and measures every slice that has `min_rows`.
///
/// A slice of the same name in two definitions is the same rows, and is measured once, by the first.
pub fn measure_slices(
    rows: &ScoredRows,
    definitions: &[SliceConfig],
    metrics: SliceMetrics<'_>,
    scoring: &Scoring,
) -> Result<MeasuredSlices, SliceError> {
    let mut all = MeasuredSlices::default();
    let mut seen = BTreeSet::new();
    for definition in definitions {
        let by_default = short_list(rows.task(), definition, scoring).iter();
        let mut wanted: BTreeSet<String> = by_default.map(|&name| name.to_owned()).collect();
        wanted.extend(definition.metrics.iter().cloned());
        wanted.extend(metrics.of_rules.iter().cloned());
        let columns = wanted_columns(metrics.columns, &wanted);
        let mut known = BTreeSet::new();
        for slice in cut(rows, definition)? {
            if !seen.insert(slice.name.clone()) {
                continue;
            }
            let n_rows = slice.rows.len() as u64;
            let is_enough = n_rows >= definition.min_rows;
            all.slices.push(SliceSummary {
                name: slice.name.clone(),
                n_rows,
                reason: (!is_enough).then(|| {
                    format!(
                        "too few rows: fewer than `min_rows = {}`",
                        definition.min_rows
                    )
                }),
            });
            if is_enough {
                all.measure(rows, &slice, &wanted, &columns, scoring, &mut known)?;
            }
        }
        let missing = definition
            .metrics
            .iter()
            .find(|name| !known.contains(*name));
        if let Some(metric) = missing.filter(|_| !known.is_empty()) {
            return Err(SliceError::NoMetric {
                metric: metric.clone(),
                found: known.into_iter().collect::<Vec<_>>().join(", "),
            });
        }
    }
    Ok(all)
}

impl MeasuredSlices {
    fn measure(
        &mut self,
        rows: &ScoredRows,
        slice: &Slice,
        wanted: &BTreeSet<String>,
        columns: &[ColumnConfig],
        scoring: &Scoring,
        known: &mut BTreeSet<String>,
    ) -> Result<(), SliceError> {
        let measured = rows.gather_measured(&slice.rows).measure(scoring);
        if matches!(measured, Err(MetricError::NoWeight)) {
            if let Some(summary) = self.slices.last_mut() {
                summary.reason = Some("all weights are 0".to_owned());
            }
            return Ok(());
        }
        let measured = measured.map_err(|source| SliceError::Metric {
            slice: slice.name.clone(),
            source,
        })?;
        let of_columns =
            numeric_columns::measure_part(rows, &slice.rows, columns, scoring.confidence)?;
        let key = |key: &MetricKey| MetricKey {
            slice: Some(slice.name.clone()),
            ..key.clone()
        };
        let mut is_wanted = |key: &MetricKey| {
            let is_overall = key.is_overall();
            if is_overall {
                known.insert(key.metric.clone());
            }
            is_overall && wanted.contains(&key.metric)
        };
        for found in measured.measurements.into_iter().chain(of_columns) {
            if is_wanted(&found.key) {
                let key = key(&found.key);
                self.measurements.push(Measurement { key, ..found });
            }
        }
        for absent in measured.undefined {
            if is_wanted(&absent.key) {
                let key = key(&absent.key);
                self.undefined.push(Undefined { key, ..absent });
            }
        }
        Ok(())
    }
}

/// The columns of which a metric is wanted, with the wanted quantiles alone.
fn wanted_columns(columns: &[ColumnConfig], wanted: &BTreeSet<String>) -> Vec<ColumnConfig> {
    let is_wanted = |column: &&ColumnConfig| {
        column
            .metric_names()
            .iter()
            .any(|name| wanted.contains(name))
    };
    let of = |column: &ColumnConfig| {
        let quantiles = column.quantiles.iter().copied();
        ColumnConfig {
            quantiles: quantiles
                .filter(|&q| wanted.contains(&column.quantile_name(q)))
                .collect(),
            ..column.clone()
        }
    };
    columns.iter().filter(is_wanted).map(of).collect()
}

/// The metrics of ranked rows.
const RANKING: &[&str] = &["ndcg", "mrr", "hit_rate"];

/// The metrics that are measured in every slice.
///
/// Averages over classes are left out where rows are cut by class: all labels of such a slice are one class.
fn short_list(
    task: PredictionTask,
    definition: &SliceConfig,
    scoring: &Scoring,
) -> &'static [&'static str] {
    if scoring.ranking_k.is_some() {
        return RANKING;
    }
    let is_by_class = definition.columns.iter().any(|name| name == "label");
    match (task, is_by_class) {
        (PredictionTask::Classification, true) => &["accuracy", "loss"],
        (PredictionTask::Classification, false) => {
            &["accuracy", "f1_macro", "recall_macro", "loss"]
        }
        (PredictionTask::Multilabel, _) => &[
            "subset_accuracy",
            "hamming_loss",
            "f1_macro",
            "recall_macro",
        ],
        (PredictionTask::Regression, _) => &["mse", "mae", "bias"],
    }
}

/// The metrics that are shown of every fold, which are those of slices.
pub fn shown_in_parts(task: PredictionTask, scoring: &Scoring) -> &'static [&'static str] {
    match task {
        _ if scoring.ranking_k.is_some() => RANKING,
        PredictionTask::Classification => &["accuracy", "f1_macro", "recall_macro", "loss"],
        PredictionTask::Multilabel => &[
            "subset_accuracy",
            "hamming_loss",
            "f1_macro",
            "recall_macro",
        ],
        PredictionTask::Regression => &["mse", "rmse", "mae", "bias"],
    }
}

#[cfg(test)]
mod tests;
