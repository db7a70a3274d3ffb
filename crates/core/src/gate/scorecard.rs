//! What the gate looks at: measurements of one model on one set of rows, whichever tool took them.

use crate::config::EvaluateConfig;
use crate::digest::Sha256Digest;
use crate::evaluation::Evaluation;
use crate::figure::count;
use crate::measurement::{Evidence, Fold, Measurement, MetricKey, Undefined};
use crate::metrics::{Confusion, LabelledClass, Scoring};
use crate::prediction_task::PredictionTask;
use crate::row_mask::RowMask;
use crate::row_set::{MatchedBy, RowMatch, RowSet};

use super::rule::{PAIRED_METRIC, PAIRED_METRIC_OF_SETS};

/// Measurements of one model on one set of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Scorecard {
    /// The model's name, where known.
    pub model_name: Option<String>,
    /// The model's digest, where known.
    pub model_digest: Option<Sha256Digest>,
    /// What was predicted, where known.
    pub task: Option<PredictionTask>,
    /// Digest of the settings that the model was trained by, without the seed, where known.
    pub training: Option<Sha256Digest>,
    /// Digest of the very bytes that this was read from.
    pub source_digest: Sha256Digest,
    /// Which rows were judged, where known.
    pub rows: Option<RowSet>,
    /// Digest of the data's files, where known.
    pub data_digest: Option<Sha256Digest>,
    /// Digest of the predictions, where there are any.
    pub predictions_digest: Option<Sha256Digest>,
    /// What the indices and columns of the predictions stand for, in their order: classes or outputs, where known.
    pub column_names: Option<Vec<String>>,
    /// The rows predicted wrong, where known.
    pub missed_rows: Option<RowMask>,
    /// Labels against predictions, where known.
    pub confusion: Option<Confusion>,
    /// The classes of multilabel rows, where known.
    pub classes: Vec<LabelledClass>,
    /// How the rows were scored, where known.
    pub scoring: Option<Scoring>,
    /// `[evaluate]` of the configuration that they were scored by, where known.
    pub settings: Option<EvaluateConfig>,
    /// What was measured, in the order of the file.
    pub measurements: Vec<Measurement>,
    /// What has no value, and why.
    pub undefined: Vec<Undefined>,
    /// Whether the rows were predicted by the models of several folds, so that the mean over the folds is judged in their place.
    pub is_pooled: bool,
    /// Slices with too few rows to be measured: name, and why, as a clause.
    pub unmeasured_slices: Vec<(String, String)>,
    /// What its maker wants readers to know.
    pub notes: Vec<String>,
    /// Inputs that overrode the configuration.
    pub overriding_inputs: Vec<String>,
}

impl Scorecard {
    /// A card of measurements alone.
    pub(super) const fn bare(source_digest: Sha256Digest, measurements: Vec<Measurement>) -> Self {
        Self {
            model_name: None,
            model_digest: None,
            task: None,
            training: None,
            source_digest,
            rows: None,
            data_digest: None,
            predictions_digest: None,
            column_names: None,
            missed_rows: None,
            confusion: None,
            classes: Vec::new(),
            scoring: None,
            settings: None,
            measurements,
            undefined: Vec::new(),
            is_pooled: false,
            unmeasured_slices: Vec::new(),
            notes: Vec::new(),
            overriding_inputs: Vec::new(),
        }
    }

    /// The view of `evaluation`, read from bytes with the digest `source_digest`.
    pub fn of_evaluation(evaluation: &Evaluation, source_digest: Sha256Digest) -> Self {
        Self {
            model_name: Some(evaluation.model.name.clone()),
            model_digest: evaluation.model.digest.clone(),
            task: Some(evaluation.task),
            training: evaluation
                .model
                .training
                .as_ref()
                .map(|training| training.config_digest.clone()),
            source_digest,
            rows: Some(evaluation.data.rows.clone()),
            data_digest: Some(evaluation.data.digest.clone()),
            predictions_digest: evaluation
                .predictions
                .as_ref()
                .map(|predictions| predictions.sha256.clone()),
            column_names: evaluation.column_names(),
            missed_rows: evaluation.missed_rows.clone(),
            confusion: evaluation.confusion.clone(),
            classes: evaluation.classes.clone(),
            scoring: Some(evaluation.scoring.clone()),
            settings: evaluation.settings.clone(),
            measurements: evaluation.measurements.clone(),
            undefined: evaluation.undefined.clone(),
            is_pooled: evaluation
                .folds
                .as_ref()
                .is_some_and(|folds| !folds.of_training_rows),
            unmeasured_slices: evaluation
                .slices
                .iter()
                .filter_map(|slice| {
                    let reason = slice.reason.as_ref()?;
                    Some((
                        slice.name.clone(),
                        format!("{}, {reason}", count(slice.n_rows, "row")),
                    ))
                })
                .collect(),
            notes: evaluation.notes.clone(),
            overriding_inputs: evaluation.overriding_inputs.clone(),
        }
    }

    /// The measurement with `key`.
    pub fn get(&self, key: &MetricKey) -> Option<&Measurement> {
        self.measurements.iter().find(|found| found.key == *key)
    }

    /// What a rule on `key` judges: of a cross-validation, a metric of all rows is judged by its mean over the folds, since all
    /// rows taken together were predicted by several models.
    pub fn judged_key(&self, key: &MetricKey) -> MetricKey {
        let of_folds = MetricKey {
            fold: Some(Fold::Mean),
            ..key.clone()
        };
        // Numeric columns are of the rows, not of the models.
        let is_measured = self.get(&of_folds).is_some() || self.why_undefined(&of_folds).is_some();
        if key.is_overall() && self.is_pooled && is_measured {
            of_folds
        } else {
            key.clone()
        }
    }

    /// Why there is no measurement with `key`, where the card says so.
    pub fn why_undefined(&self, key: &MetricKey) -> Option<&str> {
        let undefined = self.undefined.iter().find(|found| found.key == *key);
        let of_slice = |slice: &String| {
            let found = self
                .unmeasured_slices
                .iter()
                .find(|(name, _)| name == slice);
            found.map(|(_, reason)| reason.as_str())
        };
        undefined
            .map(|undefined| undefined.reason.as_str())
            .or_else(|| key.slice.as_ref().and_then(of_slice))
    }

    /// Whether `key` is accuracy, or subset accuracy, as a count of right rows, each for itself: not where rows have weights or come in
    /// groups. Figures of other tools do not say, and count as such.
    pub fn is_plain_accuracy(&self, key: &MetricKey) -> bool {
        let names = [PAIRED_METRIC, PAIRED_METRIC_OF_SETS];
        let evidence = self.get(key).and_then(|found| found.evidence.as_ref());
        names.map(MetricKey::overall).contains(key)
            && evidence.is_none_or(|evidence| matches!(evidence, Evidence::Proportion { .. }))
    }

    /// Whether its intervals take rows to come in groups.
    pub(super) fn is_grouped(&self) -> bool {
        let of_groups = |found: &Measurement| matches!(found.evidence, Some(Evidence::Groups(_)));
        self.measurements.iter().any(of_groups)
    }

    /// Number of rows, where known.
    pub fn n_rows(&self) -> Option<u64> {
        self.rows.as_ref().map(|rows| rows.n_rows)
    }

    /// Whether its rows are known by their ids.
    pub(super) fn has_row_ids(&self) -> bool {
        let rows = self.rows.as_ref();
        rows.is_some_and(|rows| rows.matched_by == MatchedBy::RowId)
    }

    /// Whether both are of the same predictions for the same rows. The file of the predictions holds indices of classes and
    /// unnamed columns, so that its digest says so only where the names are the same.
    pub fn has_predictions_of(&self, older: &Self) -> bool {
        let names = self.column_names.as_ref().zip(older.column_names.as_ref());
        self.predictions_digest.is_some()
            && self.predictions_digest == older.predictions_digest
            // Where the baseline does not say its names, the labels' names are in the row sets' digests.
            && names.is_none_or(|(new, old)| new == old)
            && matches!(self.rows_match(older), RowMatch::Same { .. })
    }

    /// Whether `self`, the newer, and `older` were scored on the same rows.
    pub fn rows_match(&self, older: &Self) -> RowMatch {
        match (&self.rows, &older.rows) {
            (Some(rows), Some(older)) => rows.matches(older),
            _ => RowMatch::Unknown,
        }
    }
}
