//! What training left of its cross-validation: each training row as the model predicted it that was not trained on it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::anyhow;
use trainyard_core::config::Config;
use trainyard_core::files;
use trainyard_core::folds::{CROSS_VALIDATION_FILE, CrossValidation, FoldMethod};
use trainyard_core::model::{FileEntry, ModelManifest, Origin, Task};
use trainyard_core::scored_rows::{Labels, ScoreTable, ScoredRows};
use trainyard_ml::data::npz::{self, Array, Values};
use trainyard_runner::{ExitCode, WithExitCode as _};

/// The folder below the output folder.
const FOLDER: &str = "cross-validation";

/// Training rows with the fold that each was held out in.
pub(crate) struct CrossValidated {
    pub(crate) rows: ScoredRows,
    /// Rows that the model of each fold was trained on.
    pub(crate) n_train: BTreeMap<u32, u64>,
    pub(crate) is_by_time: bool,
}

impl CrossValidated {
    /// Of the configuration's model, where it asks for cross-validation.
    pub(crate) fn load(
        out: &Path,
        config: &Config,
        manifest: &ModelManifest,
    ) -> anyhow::Result<Option<Self>> {
        if config.evaluate.cross_validation.is_none() {
            return Ok(None);
        }
        let folder = out.join(FOLDER);
        let path = folder.join(CROSS_VALIDATION_FILE);
        let advice =
            "run `trainyard-train`, which cross-validates as `[evaluate.cross_validation]` asks";
        let record: CrossValidation = files::read_json(&path, "cross-validation")
            .exit_code(ExitCode::Data)
            .hint(advice)?;
        // The model's own settings, which inputs of its training may have overridden.
        let wanted = match &manifest.origin {
            Origin::Trained(trained) => trained.config_digest.clone(),
            Origin::Imported(_) => config.training_digest().exit_code(ExitCode::Usage)?,
        };
        if record.config_digest != wanted || record.name != manifest.name {
            return Err(anyhow!(
                "`{}` was made with other settings of training than the model",
                path.display()
            ))
            .exit_code(ExitCode::Data)
            .hint(advice);
        }
        let file =
            FileEntry::measure(&folder, &record.predictions.path).exit_code(ExitCode::Data)?;
        if file != record.predictions {
            return Err(anyhow!(
                "`{}` does not match the digest in {CROSS_VALIDATION_FILE}",
                folder.join(&record.predictions.path).display()
            ))
            .exit_code(ExitCode::Data)
            .hint(advice);
        }
        let predictions = folder.join(&record.predictions.path);
        let rows = read(&predictions, &record)
            .map_err(|problem| anyhow!("`{}`: {problem}", predictions.display()))
            .exit_code(ExitCode::Data)?;
        let folds = record.folds.iter().map(|fold| {
            let index = fold.repeat * record.n_splits + fold.fold;
            (index as u32, fold.n_train as u64)
        });
        Ok(Some(Self {
            rows,
            n_train: folds.collect(),
            is_by_time: record.method == FoldMethod::TimeSeriesSplit,
        }))
    }
}

/// The arrays of the file, as the record says what they are.
fn read(path: &Path, record: &CrossValidation) -> Result<ScoredRows, String> {
    let bytes = files::read(path).map_err(|error| error.to_string())?;
    let mut arrays = npz::read_npz(&bytes)?;
    let mut take = |name: &str| -> Result<Array, String> {
        arrays
            .remove(name)
            .ok_or_else(|| format!("there is no array `{name}`"))
    };
    let classes = record.class_names.clone().unwrap_or_default();
    let n_classes = classes.len();
    let answers = |array: Array| match (record.task, array.values) {
        (Task::Classification, Values::I64(values)) => indices(&values, n_classes)
            .map(Labels::Class)
            .ok_or("a class is outside those of the model"),
        (Task::Regression, Values::F64(values)) => Ok(Labels::Value(values)),
        _ => Err("labels or predictions are of another task"),
    };
    let (labels, predicted) = (answers(take("label")?)?, answers(take("predicted")?)?);
    let folds = match take("fold")?.values {
        Values::I64(values) => indices(&values, usize::MAX).ok_or("a fold is no number")?,
        _ => return Err("`fold` holds no whole numbers".to_owned()),
    };
    let scores = match record.task {
        Task::Classification => match take("score")?.values {
            Values::F32(values) => Some(ScoreTable::F32(values)),
            Values::F64(values) => Some(ScoreTable::F64(values)),
            _ => return Err("`score` holds no numbers".to_owned()),
        },
        Task::Regression => None,
    };
    let n_rows = labels.len();
    let n_scores = scores.as_ref().map(|scores| scores.as_scores().len());
    let is_whole = predicted.len() == n_rows
        && folds.len() == n_rows
        && n_scores.is_none_or(|n_scores| n_scores == n_rows * n_classes);
    if !is_whole {
        return Err("its arrays have different lengths".to_owned());
    }
    Ok(ScoredRows {
        scores,
        folds: Some(folds),
        ..ScoredRows::new(labels, predicted, classes)
    })
}

/// `values` as indices below `end`.
fn indices(values: &[i64], end: usize) -> Option<Vec<u32>> {
    let index = |&value: &i64| {
        let index = u32::try_from(value).ok()?;
        ((index as usize) < end).then_some(index)
    };
    values.iter().map(index).collect()
}
