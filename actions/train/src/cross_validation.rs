//! Cross-validation: the training rows in, `cross-validation/` out, after the model itself and fold by fold.

use std::path::PathBuf;

use anyhow::Context as _;
use trainyard_core::config::Config;
use trainyard_core::files;
use trainyard_core::folds::{CROSS_VALIDATION_FILE, CrossValidation, Fold, FoldNote, Folds};
use trainyard_core::model::{FileEntry, Task};
use trainyard_core::results::ResultFolder;
use trainyard_ml::Threads;
use trainyard_ml::data::Dataset;
use trainyard_ml::train::cross_validation::{
    self, FoldJob, FoldScores, OUT_OF_FOLD_FILE, out_of_fold_npz, train_fold,
};
use trainyard_ml::train::{Flow, FoldStore, Subject};
use trainyard_runner::{ExitCode, WithExitCode as _};

use crate::Ending;
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// How many notes of one kind are logged.
const MAX_NOTES: usize = 5;

/// A cross-validation to be made.
pub(crate) struct Job<'a> {
    pub(crate) config: &'a Config,
    pub(crate) dataset: &'a Dataset,
    pub(crate) folds: &'a Folds,
    pub(crate) subject: &'a Subject,
    /// Where folds that are done are kept until all are.
    pub(crate) kept: PathBuf,
    /// Whether an earlier run's folds are not to be used.
    pub(crate) is_forced: bool,
}

/// The folds that the configuration asks for, before anything is trained.
pub(crate) fn plan(config: &Config, dataset: &Dataset) -> anyhow::Result<Option<Folds>> {
    let folds = cross_validation::folds_of(config, dataset)
        .exit_code(ExitCode::Data)
        .context("cannot divide the training rows by `[evaluate.cross_validation]`")?;
    if let Some(folds) = &folds {
        warn(config, dataset, folds);
    }
    Ok(folds)
}

fn warn(config: &Config, dataset: &Dataset, folds: &Folds) {
    let classes = config.data.classes.as_deref().unwrap_or_default();
    let name = |class: u32| classes.get(class as usize).map_or("?", String::as_str);
    for note in folds.notes.iter().take(MAX_NOTES) {
        match *note {
            FoldNote::SmallClass { class, n_rows } => tracing::warn!(
                "the class `{}` has {n_rows} training rows, fewer than there are folds: some folds are not tested on it",
                name(class)
            ),
            FoldNote::Unseen { class, fold_idx } => tracing::warn!(
                "fold {} of {} is tested on the class `{}` and not trained on it",
                fold_idx + 1,
                folds.len(),
                name(class)
            ),
        }
    }
    if let Some(n_more) = folds.notes.len().checked_sub(MAX_NOTES + 1) {
        tracing::warn!("… and {} more such warnings about folds", n_more + 1);
    }
    let settings = config.evaluate.cross_validation.as_ref();
    let group = settings.and_then(|settings| settings.group.as_ref());
    let columns = dataset.columns.as_deref().unwrap_or_default();
    if let Some(group) = group.filter(|group| columns.contains(group)) {
        tracing::warn!(
            "`{group}` groups the folds and is a feature too; if it only identifies rows, leave it out with `[data.csv] ignore = [{group:?}]`"
        );
    }
}

impl Job<'_> {
    /// The cross-validation that was put aside, when it is whole and the one that this job would make; it is then a result
    /// again.
    pub(crate) fn finished(
        &self,
        results: &ResultFolder,
    ) -> anyhow::Result<Option<CrossValidation>> {
        if self.is_forced || !results.restore()? {
            return Ok(None);
        }
        let path = results.path().join(CROSS_VALIDATION_FILE);
        let found = files::read_json::<CrossValidation>(&path, "cross-validation").ok();
        let is_whole = |found: &CrossValidation| {
            let predictions = FileEntry::measure(results.path(), OUT_OF_FOLD_FILE);
            predictions.is_ok_and(|predictions| predictions == found.predictions)
        };
        if let Some(found) = found.filter(is_whole) {
            let own = self.record(found.predictions.clone(), found.folds.clone())?;
            if own == found {
                return Ok(Some(found));
            }
        }
        // Another one, or one that is damaged: aside again.
        results.put_aside()?;
        Ok(None)
    }

    /// Trains and scores every fold that is not done yet, and writes the result.
    pub(crate) fn run(
        &self,
        results: &ResultFolder,
        threads: &Threads,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Ending<CrossValidation>> {
        let store = FoldStore::new(&self.kept, self.subject).exit_code(ExitCode::Bug)?;
        if self.is_forced {
            store.remove(self.folds.iter()).exit_code(ExitCode::Data)?;
        }
        let n_folds = self.folds.len();
        let mut done: Vec<FoldScores> = Vec::with_capacity(n_folds);
        let mut qualities = Vec::with_capacity(n_folds);
        for (fold_idx, fold) in self.folds.iter().enumerate() {
            let name = format!("fold {} of {n_folds}", fold_idx + 1);
            let kept = store.find(&fold);
            let is_kept = kept.is_some();
            let scores = match kept {
                Some(scores) => scores,
                None => match self
                    .train(&fold, &name, threads, interrupt)
                    .with_context(|| name.clone())?
                {
                    Ending::Finished(scores) => {
                        store.keep(&fold, &scores).exit_code(ExitCode::Data)?;
                        scores
                    }
                    Ending::Stopped(code) => {
                        tracing::warn!(
                            "stopped after {fold_idx} of {n_folds} folds, which are kept; the model is complete"
                        );
                        return Ok(Ending::Stopped(code));
                    }
                },
            };
            let quality = scores.quality(self.dataset, &fold);
            tracing::info!(
                "{name}: {}{} epochs on {} rows, {} {quality:.4} on {} rows",
                if is_kept {
                    "kept from an earlier run, "
                } else {
                    ""
                },
                scores.epochs,
                fold.train.len() - scores.n_validation,
                self.metric(),
                fold.test.len(),
            );
            qualities.push(quality);
            done.push(scores);
        }
        let bytes = out_of_fold_npz(self.dataset, self.folds, &done).exit_code(ExitCode::Data)?;
        files::write(&results.path().join(OUT_OF_FOLD_FILE), &bytes)?;
        let predictions = FileEntry::of_bytes(OUT_OF_FOLD_FILE, &bytes);
        let folds = self.folds.iter().zip(&done);
        let folds = folds.map(|(fold, scores)| scores.record(&fold)).collect();
        let record = self.record(predictions, folds)?;
        results.finish(&record)?;
        store.remove(self.folds.iter()).exit_code(ExitCode::Data)?;
        let (mean, deviation) = mean_and_deviation(&qualities);
        tracing::info!(
            "cross-validation: {} {mean:.4} on average over {n_folds} folds, standard deviation {deviation:.4}; wrote `{}`",
            self.metric(),
            results.path().display()
        );
        Ok(Ending::Finished(record))
    }

    fn train(
        &self,
        fold: &Fold,
        name: &str,
        threads: &Threads,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Ending<FoldScores>> {
        let mut progress = Progress::of_fold(self.config.train.epochs, name);
        let job = FoldJob {
            config: self.config,
            dataset: self.dataset,
            fold,
            threads,
        };
        let scores = train_fold(job, |event| {
            progress.observe(&event);
            match interrupt.exit_code() {
                Some(_) => Flow::Stop,
                None => Flow::Continue,
            }
        });
        progress.finish();
        let code = scores.as_ref().err().map_or(ExitCode::Bug, crate::code_of);
        Ok(match scores.exit_code(code)? {
            Some(scores) => Ending::Finished(scores),
            None => Ending::Stopped(interrupt.exit_code().unwrap_or(ExitCode::Terminated)),
        })
    }

    fn record(
        &self,
        predictions: FileEntry,
        folds: Vec<trainyard_core::folds::FoldRecord>,
    ) -> anyhow::Result<CrossValidation> {
        let n_rows = self.dataset.n_rows();
        let record =
            cross_validation::record(self.config, self.subject, n_rows, predictions, folds);
        let record = record.exit_code(ExitCode::Usage)?;
        Ok(record.expect("folds were drawn, so the configuration asks for them"))
    }

    const fn metric(&self) -> &'static str {
        match self.config.model.task {
            Task::Classification => "accuracy",
            Task::Regression => "rmse",
        }
    }
}

/// The deviation is over n − 1.
fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0)).sqrt())
}
