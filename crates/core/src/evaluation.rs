//! `evaluation.json`: what a model scored on which rows. It never sees a baseline.

mod parts;
mod settings;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::EvaluateConfig;
use crate::digest::Sha256Digest;
use crate::figure::{figure, slack};
use crate::files::{self, FileError};
use crate::measurement::{Fold, Measurement, MetricKey, Undefined};
use crate::metrics::{ClassCurves, Confusion, LabelledClass, Reliability, Scoring, catalog};
use crate::model::FileEntry;
use crate::prediction_task::PredictionTask;
use crate::row_mask::RowMask;
use crate::row_set::RowSet;
use crate::statistics::{Interval, IntervalMethod};
use crate::threshold::ChosenThreshold;

pub use parts::{
    FoldSpread, FoldSummary, FoldTable, SeedSpread, SeedTable, SliceSummary, WeakSegment,
    WeakSegments,
};
pub use settings::{SettingDifference, setting_differences};

/// The version of `evaluation.json` that this build writes and reads.
pub const SCHEMA_VERSION: u32 = 1;

/// The file's name in an evaluation folder.
pub const EVALUATION_FILE: &str = "evaluation.json";

/// The flat, DVC-compatible metrics beside it.
pub const METRICS_FILE: &str = "metrics.json";

/// The predictions beside it.
pub const PREDICTIONS_FILE: &str = "predictions.npz";

/// What a model is called that was not given a name.
pub const NAMELESS: &str = "model";

/// Among the overriding inputs: no input is known by which the model is another than the configuration's.
pub const OTHER_TRAINING: &str = "another configuration of training";

/// What a model scored, and on what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Version of this file's layout.
    pub schema_version: u32,
    /// What the model's output means.
    pub task: PredictionTask,
    /// Which model was scored.
    pub model: ModelReference,
    /// On which rows.
    pub data: DataReference,
    /// How they were scored.
    pub scoring: Scoring,
    /// `[evaluate]` of the configuration that they were scored by, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<EvaluateConfig>,
    /// From which score on the positive class is predicted, or each class of multilabel rows; absent where the class with the highest score
    /// is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<AppliedThreshold>,
    /// Every metric that has a value: those of all rows first, then those of classes, slices and folds.
    pub measurements: Vec<Measurement>,
    /// Every metric that has none, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undefined: Vec<Undefined>,
    /// The slices of `[[evaluate.slices]]` that have rows. What was measured in them is among the measurements, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slices: Vec<SliceSummary>,
    /// Parts of the rows that a search found to be worse than the rest; absent where nothing was searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weak_segments: Option<WeakSegments>,
    /// The folds of a cross-validation. What was measured in them, and the means over them, are among the measurements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folds: Option<FoldTable>,
    /// How much the metrics differ from seed to seed; absent where no evaluations of other seeds were named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seeds: Option<SeedTable>,
    /// Labels against predictions, where each row has one class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Confusion>,
    /// How confident the predictions are, and how often right; absent without scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reliability: Option<Reliability>,
    /// ROC and precision-recall curves: of the positive class (else the second) of two, else of each of up to 10 classes; empty without
    /// scores.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curves: Vec<ClassCurves>,
    /// The classes of multilabel rows, in the order of the columns of the predictions; empty for other tasks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<LabelledClass>,
    /// Names of the outputs in that order, where several numbers a row are predicted; else empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    /// The rows predicted wrong, in the canonical order of the row set: of multilabel rows those of which any class is; absent for
    /// regression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed_rows: Option<RowMask>,
    /// The predictions' file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictions: Option<FileEntry>,
    /// The other files beside this one, for people and other tools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileEntry>,
    /// One record an epoch of training, where the model brought them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<EpochRecord>,
    /// What a reader should know beside the numbers, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Inputs of the run that overrode its configuration, as `epochs = 1`: later commits are not compared with such a run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overriding_inputs: Vec<String>,
    /// Version of Trainyard.
    pub trainyard_version: String,
    /// Commit that was checked out, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// Which model was scored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelReference {
    /// Its name.
    pub name: String,
    /// Its digest; absent when only its predictions were at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Sha256Digest>,
    /// Size in bytes of `model.json` and the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// What it was trained by, apart from the seed; absent where it is not known, and where another configuration trained it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<TrainingReference>,
}

/// What two models have in common that differ by their seed alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainingReference {
    /// Digest of the settings that decide the weights, without the seed.
    pub config_digest: Sha256Digest,
    /// Digest of the training data.
    pub data_digest: Sha256Digest,
}

/// From which score on a class is predicted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppliedThreshold {
    /// The least score at which the positive class is predicted, or each class of multilabel rows.
    pub value: f64,
    /// How it was chosen; absent where the configuration gives the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<ChosenThreshold>,
}

/// The rows that were scored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataReference {
    /// Digest of the files that they came from.
    pub digest: Sha256Digest,
    /// Which rows they are.
    pub rows: RowSet,
}

/// One epoch of training: a row of `history.tsv`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean training loss over the epoch.
    pub loss: f64,
    /// Share of training rows predicted right during the epoch; classification only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Loss on the validation rows after the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_loss: Option<f64>,
    /// Accuracy on the validation rows after the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_accuracy: Option<f64>,
}

/// Why an evaluation cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// A file is missing or unreadable.
    #[error(transparent)]
    File(#[from] FileError),
    /// Written by another version.
    #[error("`{}` has schema version {found}, but this build reads version {SCHEMA_VERSION}", path.display())]
    SchemaVersion {
        /// The file.
        path: PathBuf,
        /// The version it states.
        found: u32,
    },
    /// A figure outside of its own interval.
    #[error("`{}` says that {key} is {value}, outside of its own interval {interval}: it was changed by hand; run `trainyard-evaluate` again", path.display())]
    Figure {
        /// The file.
        path: PathBuf,
        /// What was measured.
        key: String,
        /// Its value.
        value: String,
        /// The interval beside it.
        interval: String,
    },
    /// The predictions are not those that were scored.
    #[error("`{}` does not match the digest in {EVALUATION_FILE}: the folder was changed or only partly written; run `trainyard-evaluate` again", path.display())]
    Predictions {
        /// The predictions' file.
        path: PathBuf,
    },
}

impl Evaluation {
    /// The evaluation in `bytes`, which came from `path`.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, EvaluationError> {
        let evaluation: Self = files::parse_json(bytes, path, "evaluation")?;
        if evaluation.schema_version != SCHEMA_VERSION {
            return Err(EvaluationError::SchemaVersion {
                path: path.to_owned(),
                found: evaluation.schema_version,
            });
        }
        if let Some((edited, interval)) = evaluation.outside_of_its_interval() {
            return Err(EvaluationError::Figure {
                path: path.to_owned(),
                key: edited.key.to_string(),
                value: figure(edited.value),
                interval: format!("{} to {}", figure(interval.lower), figure(interval.upper)),
            });
        }
        Ok(evaluation)
    }

    /// A measurement whose value is not in its interval, though the method's intervals hold the value; others, such as the
    /// bootstrap's, need not.
    fn outside_of_its_interval(&self) -> Option<(&Measurement, Interval)> {
        let holds_value = |method: IntervalMethod| {
            use IntervalMethod::{ClopperPearson, CorrectedResampledT, Delong, StudentT};
            matches!(
                method,
                ClopperPearson | CorrectedResampledT | Delong | StudentT
            )
        };
        let all = self.measurements.iter();
        all.filter_map(|found| Some((found, found.interval?)))
            .find(|(found, interval)| {
                let slack = slack(&[found.value, interval.lower, interval.upper]);
                let is_within =
                    (interval.lower - slack..=interval.upper + slack).contains(&found.value);
                holds_value(interval.method) && !is_within
            })
    }

    /// Reads the evaluation in `folder` and checks the predictions beside it. The digest is that of the very bytes of
    /// `evaluation.json` that were read.
    pub fn open(folder: &Path) -> Result<(Self, Sha256Digest), EvaluationError> {
        let path = folder.join(EVALUATION_FILE);
        let bytes = files::read(&path)?;
        let evaluation = Self::parse(&bytes, &path)?;
        if let Some(predictions) = &evaluation.predictions {
            let is_plain = Path::new(&predictions.path).components().count() == 1;
            if !is_plain || FileEntry::measure(folder, &predictions.path)? != *predictions {
                return Err(EvaluationError::Predictions {
                    path: folder.join(&predictions.path),
                });
            }
        }
        Ok((evaluation, Sha256Digest::of(&bytes)))
    }

    /// The names of the columns of scores, or of labels where a row has several: classes or outputs. `None` for a classification that
    /// does not name its classes.
    pub fn column_names(&self) -> Option<Vec<String>> {
        Some(match self.task {
            PredictionTask::Classification => self.confusion.as_ref()?.classes().to_vec(),
            PredictionTask::Multilabel => {
                let classes = self.classes.iter();
                classes.map(|class| class.class.clone()).collect()
            }
            PredictionTask::Regression => self.outputs.clone(),
        })
    }

    /// The measurement with `key`.
    pub fn measurement(&self, key: &MetricKey) -> Option<&Measurement> {
        self.measurements.iter().find(|found| found.key == *key)
    }

    /// The measurement that a rule on `key` judges: of a cross-validation, a metric of all rows is judged by its mean over
    /// the folds, and rows of all folds taken together serve slices, charts and pairing only.
    pub fn judged(&self, key: &MetricKey) -> Option<&Measurement> {
        let are_pooled = (self.folds.as_ref()).is_some_and(|folds| !folds.of_training_rows);
        if !are_pooled || !key.is_overall() {
            return self.measurement(key);
        }
        self.measurement(&MetricKey {
            fold: Some(Fold::Mean),
            ..key.clone()
        })
    }

    /// The classes that are neither labelled nor predicted, and so left out of averages.
    pub fn absent_classes(&self) -> Vec<&str> {
        let of_confusion = self.confusion.iter();
        let of_sets = self.classes.iter();
        let of_sets = of_sets.filter(|class| class.n_labelled + class.n_predicted == 0);
        of_confusion
            .flat_map(Confusion::absent_classes)
            .chain(of_sets.map(|class| class.class.as_str()))
            .collect()
    }

    /// The measurements of all rows.
    pub fn headline(&self) -> impl Iterator<Item = &Measurement> {
        self.measurements
            .iter()
            .filter(|measurement| measurement.key.is_overall())
    }

    /// Those of them that every report shows.
    pub fn shown(&self) -> impl Iterator<Item = &Measurement> {
        self.headline()
            .filter(|measurement| catalog::is_headline(&measurement.key.metric))
    }

    /// The flat metrics of `metrics.json`, in the evaluation's order.
    pub fn flat_metrics(&self) -> serde_json::Map<String, serde_json::Value> {
        self.headline()
            .map(|measurement| (measurement.key.metric.clone(), measurement.value.into()))
            .collect()
    }
}
