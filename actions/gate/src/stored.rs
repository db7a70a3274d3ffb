//! Two evaluations' predictions in, both models on the rows that they share out.

use std::collections::{HashMap, HashSet};
use std::io::Cursor;

use trainyard_core::config::{ColumnConfig, EvaluateConfig, SliceConfig};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::evaluation::Evaluation;
use trainyard_core::figure::count;
use trainyard_core::gate::{Flips, MustPass, PartialScores, SharedRows};
use trainyard_core::measurement::{MetricKey, Undefined};
use trainyard_core::metrics::{MetricError, PairedChange, Scoring, paired_change, paired_folds};
use trainyard_core::numeric_columns::measure_columns;
use trainyard_core::prediction_task::PredictionTask;
use trainyard_core::row_mask::RowMask;
use trainyard_core::row_set::RowSet;
use trainyard_core::scored_rows::{Column, Labels, ScoredRows};
use trainyard_core::slices::{SliceMetrics, cut, measure_slices};

/// The predictions behind an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredPredictions {
    rows: ScoredRows,
    digest: Sha256Digest,
    /// How the evaluation scored them.
    scoring: Scoring,
}

/// Why stored predictions cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoredError {
    /// They are not those of the evaluation.
    #[error("they do not match the digest in the evaluation")]
    Digest,
    /// They do not hold what an evaluation's predictions hold.
    #[error("they cannot be read: {0}")]
    Content(String),
    /// Of several labels a row, one knows a class or an output that the other does not.
    #[error("{0}: rows with several labels are compared where both have the same columns")]
    OtherColumns(String),
    /// Nothing tells which rows both have.
    #[error(
        "rows without a `row_id` cannot be found in the other predictions: add a `row_id` column to the test data"
    )]
    NoRowIds,
    /// Slices or numeric columns cannot be measured on these rows.
    #[error("the slices of the rows that both were scored on cannot be measured: {0}")]
    Parts(String),
    /// One of the two cannot be scored.
    #[error("the rows that both were scored on cannot be measured: {0}")]
    Metric(#[from] MetricError),
}

impl StoredPredictions {
    /// The predictions in `bytes`, which lay beside `evaluation` as `predictions.npz`.
    pub(crate) fn parse(evaluation: &Evaluation, bytes: &[u8]) -> Result<Self, StoredError> {
        let digest = Sha256Digest::of(bytes);
        let stored = evaluation.predictions.as_ref();
        if stored.map(|file| &file.sha256) != Some(&digest) {
            return Err(StoredError::Digest);
        }
        let content = |problem: &str| StoredError::Content(problem.to_owned());
        let classes = evaluation
            .column_names()
            .ok_or_else(|| content("the evaluation does not name its classes"))?;
        let rows = ScoredRows::read_archive(Cursor::new(bytes), evaluation.task, classes)
            .map_err(StoredError::Content)?;
        let mut seen = HashSet::new();
        let has_double = rows.row_ids.iter().flatten().any(|id| !seen.insert(id));
        if has_double {
            return Err(content("a `row_id` occurs twice"));
        }
        if evaluation.data.rows.n_rows != rows.n_rows() as u64 {
            return Err(content("they are not as many rows as the evaluation has"));
        }
        Ok(Self {
            rows,
            digest,
            scoring: evaluation.scoring.clone(),
        })
    }

    /// The ids of the rows, in their canonical order.
    pub(crate) fn row_ids(&self) -> Option<Vec<String>> {
        let mut row_ids = self.rows.row_ids.clone()?;
        row_ids.sort_unstable();
        Some(row_ids)
    }

    /// Both models on the rows that `self`, the candidate, and `baseline` share: those with the same id and label.
    ///
    /// Without ids a row is its position, which says something only where all labels are the same.
    pub(crate) fn shared_with(
        &self,
        baseline: &Self,
        asked: &Asked<'_>,
    ) -> Result<(SharedRows, Option<Flips>), StoredError> {
        let (new, old) = (self, baseline);
        let Pairs { rows, n_relabelled } = pairs(&new.rows, &old.rows)?;
        let n_shared = rows.len() as u64;
        // A row of weight 0 is as if it were not there.
        let counts = |of: &ScoredRows, row: usize| {
            of.weights.as_ref().is_none_or(|weights| weights[row] > 0.0)
        };
        let rows: Vec<(usize, usize)> = rows
            .into_iter()
            .filter(|(of_new, of_old)| counts(&new.rows, *of_new) || counts(&old.rows, *of_old))
            .collect();
        let (of_new, of_old): (Vec<usize>, Vec<usize>) = rows.into_iter().unzip();
        let (mut on_new, on_old) = (new.rows.gather(&of_new), old.rows.gather(&of_old));
        // Rows that belong together do so whichever file says it: taken as independent, they would seem to prove more.
        let has_baselines_groups = on_new.groups.is_none() && on_old.groups.is_some();
        if has_baselines_groups {
            on_new.groups.clone_from(&on_old.groups);
        }
        let flips = Flips::of_rows(&on_new, &on_old);
        let has_other_weights = !have_same_weights(&on_new, &on_old);
        let (changes, no_changes) = asked.changes(&on_new, &on_old, &self.scoring);
        let shared = SharedRows {
            candidate: new.digest.clone(),
            baseline: old.digest.clone(),
            n_rows: on_new.n_rows() as u64,
            n_gone: old.rows.n_rows() as u64 - n_shared - n_relabelled,
            n_relabelled,
            n_new: new.rows.n_rows() as u64 - n_shared - n_relabelled,
            // How the candidate was scored holds for both, or they could not be compared.
            of_candidate: scores(&on_new, &self.scoring, asked)?,
            of_baseline: scores(&asked.cut_like(on_old, &on_new), &self.scoring, asked)?,
            has_other_weights,
            has_baselines_groups,
            changes,
            no_changes,
        };
        Ok((shared, flips))
    }

    /// How the rows listed in `text` came out.
    pub(crate) fn must_pass(&self, text: &[u8]) -> Result<MustPass, String> {
        MustPass::of(text, &self.rows, &self.digest)
    }

    /// The rows that flipped, where those that the baseline `missed` are known alone, in their canonical order.
    pub(crate) fn flips_from(&self, missed: &RowMask) -> Option<Flips> {
        let order = match &self.rows.row_ids {
            Some(row_ids) => RowSet::of_ids(row_ids, |_| "".into()).1,
            None => (0..self.rows.n_rows()).collect(),
        };
        Flips::of_masks(&self.rows, &order, missed)
    }
}

/// What rules ask of both models on the same rows.
pub(crate) struct Asked<'a> {
    /// What must be compared row by row.
    pub(crate) keys: Vec<MetricKey>,
    /// The slices that rules compare, or that would be compared.
    pub(crate) compared: Vec<MetricKey>,
    /// How slices are cut, and which numeric columns are metrics.
    pub(crate) evaluate: &'a EvaluateConfig,
}

impl Asked<'_> {
    /// The slices that hold the same `rows` for both models: not those cut by what a model predicts, or by what it costs.
    fn slices(&self, rows: &ScoredRows) -> Vec<SliceConfig> {
        let is_predicted = |name: &String| {
            let of_several = name.starts_with("predicted_") && rows.has_several_labels();
            name == "predicted" || of_several && !rows.columns.contains_key(name)
        };
        let is_of_model = |name: &String| {
            is_predicted(name)
                || self
                    .evaluate
                    .columns
                    .iter()
                    .any(|column| column.name == *name)
        };
        let slices = self.evaluate.slices.iter();
        slices
            .filter(|slice| !slice.columns.iter().any(is_of_model))
            .cloned()
            .collect()
    }

    /// `old` with the columns that slices are cut by taken from `new`, the same rows in the same order: a row is in one
    /// slice, whatever the older file says of it.
    fn cut_like(&self, mut old: ScoredRows, new: &ScoredRows) -> ScoredRows {
        for name in self.slices(new).iter().flat_map(|slice| &slice.columns) {
            match (name.as_str(), new.columns.get(name)) {
                ("label", _) => {}
                ("group", _) => old.groups.clone_from(&new.groups),
                ("fold", _) => old.folds.clone_from(&new.folds),
                (_, Some(column)) => {
                    old.columns.insert(name.clone(), column.clone());
                }
                (_, None) => {
                    old.columns.remove(name);
                }
            }
        }
        old
    }

    /// The changes that are asked for, from models on the same rows in one order; and those that cannot be had, with the reason.
    fn changes(
        &self,
        new: &ScoredRows,
        old: &ScoredRows,
        scoring: &Scoring,
    ) -> (Vec<PairedChange>, Vec<Undefined>) {
        let (mut changes, mut none) = (Vec::new(), Vec::new());
        for key in &self.keys {
            match self.change(new, old, key, scoring) {
                Ok(change) => changes.push(PairedChange {
                    key: key.clone(),
                    ..change
                }),
                Err(reason) => none.push(Undefined {
                    key: key.clone(),
                    reason,
                }),
            }
        }
        (changes, none)
    }

    fn change(
        &self,
        new: &ScoredRows,
        old: &ScoredRows,
        key: &MetricKey,
        scoring: &Scoring,
    ) -> Result<PairedChange, String> {
        if key.fold.is_some() {
            return paired_folds(new, old, key, scoring);
        }
        let Some(name) = &key.slice else {
            return paired_change(new, old, key, scoring);
        };
        let slices = self
            .evaluate
            .slices
            .iter()
            .filter_map(|slice| cut(new, slice).ok());
        let found = slices.flatten().find(|slice| slice.name == *name);
        let rows = found
            .ok_or_else(|| format!("no row is in the slice `{name}`"))?
            .rows;
        paired_change(&new.gather(&rows), &old.gather(&rows), key, scoring)
    }
}

/// Whether each row counts as much in both, up to a common factor; without weights each counts as one.
fn have_same_weights(new: &ScoredRows, old: &ScoredRows) -> bool {
    /// Of a weight: what sums of many lose.
    const TOLERANCE: f64 = 1e-9;
    let weight =
        |rows: &ScoredRows, row: usize| rows.weights.as_ref().map_or(1.0, |weights| weights[row]);
    let sum = |rows: &ScoredRows| (0..new.n_rows()).map(|row| weight(rows, row)).sum::<f64>();
    let (of_new, of_old) = (sum(new), sum(old));
    (0..new.n_rows()).all(|row| {
        let (one, other) = (weight(new, row) * of_old, weight(old, row) * of_new);
        (one - other).abs() <= TOLERANCE * one.abs().max(other.abs())
    })
}

/// What a model came to on these rows: on all of them, and in the slices and numeric columns that the configuration asks for.
fn scores(
    rows: &ScoredRows,
    scoring: &Scoring,
    asked: &Asked<'_>,
) -> Result<PartialScores, StoredError> {
    if rows.n_rows() == 0 {
        return Ok(PartialScores {
            measurements: Vec::new(),
            undefined: Vec::new(),
            missed_rows: None,
        });
    }
    let mut measured = rows.measure(scoring)?;
    // What only one of the two has cannot be compared, and its rules say so.
    let is_there =
        |column: &&ColumnConfig| matches!(rows.columns.get(&column.name), Some(Column::Numbers(_)));
    let columns: Vec<ColumnConfig> = (asked.evaluate.columns.iter())
        .filter(is_there)
        .cloned()
        .collect();
    let parts = |error: &dyn std::error::Error| StoredError::Parts(error.to_string());
    let of_columns =
        measure_columns(rows, &columns, scoring.confidence).map_err(|error| parts(&error))?;
    measured.measurements.extend(of_columns);
    let of_rules = asked
        .compared
        .iter()
        .map(|key| key.metric.clone())
        .collect();
    let metrics = SliceMetrics {
        of_rules: &of_rules,
        columns: &columns,
    };
    let is_cut = |slice: &SliceConfig| cut(rows, slice).is_ok();
    let slices: Vec<SliceConfig> = asked.slices(rows).into_iter().filter(is_cut).collect();
    let of_slices =
        measure_slices(rows, &slices, metrics, scoring).map_err(|error| parts(&error))?;
    measured.measurements.extend(of_slices.measurements);
    measured.undefined.extend(of_slices.undefined);
    for slice in &of_slices.slices {
        let Some(reason) = &slice.reason else {
            continue;
        };
        let of_slice =
            (asked.compared.iter()).filter(|key| key.slice.as_ref() == Some(&slice.name));
        measured.undefined.extend(of_slice.map(|key| Undefined {
            key: key.clone(),
            reason: format!("{}, {reason}", count(slice.n_rows, "row")),
        }));
    }
    let is_classifier = rows.task() != PredictionTask::Regression;
    let misses = measured.misses.into_iter().map(|row| row as u64).collect();
    Ok(PartialScores {
        measurements: measured.measurements,
        undefined: measured.undefined,
        missed_rows: RowMask::new(rows.n_rows() as u64, misses).filter(|_| is_classifier),
    })
}

/// The rows that two sets of predictions share.
struct Pairs {
    /// Indices in the one and in the other, in the order of the one.
    rows: Vec<(usize, usize)>,
    /// Rows of both whose labels differ.
    n_relabelled: u64,
}

fn pairs(new: &ScoredRows, old: &ScoredRows) -> Result<Pairs, StoredError> {
    let in_order = if new.has_several_labels() && old.has_several_labels() {
        Some(
            old.in_classes_of(&new.classes)
                .map_err(StoredError::OtherColumns)?,
        )
    } else {
        None
    };
    let old = in_order.as_ref().unwrap_or(old);
    let has_same_label = |&(of_new, of_old): &(usize, usize)| match (&new.labels, &old.labels) {
        (Labels::Class(left), Labels::Class(right)) => {
            new.classes[left[of_new] as usize] == old.classes[right[of_old] as usize]
        }
        (Labels::Value(left), Labels::Value(right)) => {
            left[of_new].to_bits() == right[of_old].to_bits()
        }
        (Labels::Sets(left), Labels::Sets(right)) => left.row(of_new) == right.row(of_old),
        (Labels::Values(left), Labels::Values(right)) => {
            let bits = |row: &[f64]| row.iter().map(|cell| cell.to_bits()).collect::<Vec<_>>();
            bits(left.row(of_new)) == bits(right.row(of_old))
        }
        _ => false,
    };
    let candidates: Vec<(usize, usize)> = match (&new.row_ids, &old.row_ids) {
        (Some(of_new), Some(of_old)) => {
            let places: HashMap<&str, usize> = of_old
                .iter()
                .enumerate()
                .map(|(row, id)| (id.as_str(), row))
                .collect();
            let rows = of_new.iter().enumerate();
            rows.filter_map(|(row, id)| Some((row, *places.get(id.as_str())?)))
                .collect()
        }
        (None, None) if new.labels.len() == old.labels.len() => {
            let rows: Vec<(usize, usize)> = (0..new.labels.len()).map(|row| (row, row)).collect();
            if !rows.iter().all(has_same_label) {
                return Err(StoredError::NoRowIds);
            }
            rows
        }
        _ => return Err(StoredError::NoRowIds),
    };
    let n_candidates = candidates.len();
    let rows: Vec<(usize, usize)> = candidates.into_iter().filter(has_same_label).collect();
    Ok(Pairs {
        n_relabelled: (n_candidates - rows.len()) as u64,
        rows,
    })
}
