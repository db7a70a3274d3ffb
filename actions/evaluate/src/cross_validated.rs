//! What training left of its cross-validation: each training row as the model predicted it that was not trained on it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::anyhow;
use trainyard_core::config::Config;
use trainyard_core::files;
use trainyard_core::folds::{CROSS_VALIDATION_FILE, CrossValidation, FoldMethod};
use trainyard_core::model::{FileEntry, ModelManifest, Origin, Task};
use trainyard_core::scored_rows::ScoredRows;
use trainyard_ml::predictions::predict_by_threshold;
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
        let mut rows = read(&predictions, &record)
            .map_err(|problem| anyhow!("`{}`: {problem}", predictions.display()))
            .exit_code(ExitCode::Data)?;
        // A number that is written was chosen on none of these rows. One that was chosen on the validation rows was chosen on some:
        // those are tested in the folds.
        predict_by_threshold(
            &mut rows,
            config.evaluate.positive_class.as_deref(),
            config.evaluate.fixed_threshold(),
        )
        .exit_code(ExitCode::Usage)?;
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

/// The rows in the file, each with its fold and, of a classifier, its scores.
fn read(path: &Path, record: &CrossValidation) -> Result<ScoredRows, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let classes = record.class_names.clone().unwrap_or_default();
    let rows = ScoredRows::read_archive(BufReader::new(file), record.task.into(), classes)?;
    if rows.folds.is_none() {
        return Err("there is no array `fold`".to_owned());
    }
    if rows.scores.is_none() && record.task == Task::Classification {
        return Err("there is no array `score`".to_owned());
    }
    // Ids are in the file for its readers; slices and pairs are not made of training rows.
    Ok(ScoredRows {
        row_ids: None,
        ..rows
    })
}
