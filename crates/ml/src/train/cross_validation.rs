//! Cross-validation: the training rows in, what networks that were not trained on a row predict for it out.
//!
//! Each fold is the whole of training on its own rows: fresh weights, means, normalisation and validation split. Nothing of
//! a row that is tested reaches the network that is tested on it.

use trainyard_core::config::{Config, ConfigError};
use trainyard_core::folds::{CrossValidation, Fold, FoldError, FoldRecord, Folds, Rows, keys};
use trainyard_core::metrics::argmax;
use trainyard_core::model::{FileEntry, Task};

use super::{Event, Flow, Job, Outcome, Subject, TrainError, train};
use crate::data::npz::{Array, Values, write_npz};
use crate::data::{DataError, Dataset, Labels};
use crate::network::{Network, Workspace, load};
use crate::predictor::by_class;
use crate::threads::Threads;

/// The predictions' file name in the folder `cross-validation`.
pub const OUT_OF_FOLD_FILE: &str = "predictions.npz";

const SCHEMA_VERSION: u32 = 1;

/// Rows scored together.
const BATCH_ROWS: usize = 256;

/// One fold to be trained and scored.
#[derive(Debug, Clone, Copy)]
pub struct FoldJob<'a> {
    /// The network and how its weights are found.
    pub config: &'a Config,
    /// All training rows.
    pub dataset: &'a Dataset,
    /// Which of them are trained on, and which are tested.
    pub fold: &'a Fold,
    /// Threads to compute with.
    pub threads: &'a Threads,
}

/// What the network of a fold gave for its test rows.
#[derive(Debug, Clone, PartialEq)]
pub struct FoldScores {
    /// `[n_test, n_outputs]`, as the network gives them.
    pub scores: Vec<f32>,
    /// Values of one row of scores.
    pub n_outputs: usize,
    /// Epochs run.
    pub epochs: usize,
    /// Rows of the fold's training part that were held out for validation.
    pub n_validation: usize,
}

/// The folds of `dataset` that `config` asks for; `None` where it asks for none.
///
/// # Errors
///
/// Where there are too few rows, rows of each class or groups.
pub fn folds_of(config: &Config, dataset: &Dataset) -> Result<Option<Folds>, FoldError> {
    let Some(settings) = &config.evaluate.cross_validation else {
        return Ok(None);
    };
    let column = |name: &Option<String>| {
        let name = name.as_ref()?;
        Some(
            dataset
                .keys
                .get(name)
                .expect("loading keeps the columns that folds follow"),
        )
    };
    let groups = column(&settings.group).map(|names| keys::groups(names));
    let order = column(&settings.time)
        .map(|times| keys::by_time(times).expect("loading refuses what cannot be put in order"));
    let labels = match &dataset.labels {
        Labels::Class(labels) => Some(labels.as_slice()),
        Labels::Value(_) => None,
    };
    let rows = Rows {
        n_rows: dataset.n_rows(),
        labels,
        groups: groups.as_deref(),
        order: order.as_deref(),
    };
    settings.splitter(config.model.task).split(&rows).map(Some)
}

/// Trains a network on the rows of a fold and scores those that it was not trained on; `None` where `observe` stopped it.
pub fn train_fold(
    job: FoldJob<'_>,
    observe: impl FnMut(Event<'_>) -> Flow + Send,
) -> Result<Option<FoldScores>, TrainError> {
    let FoldJob {
        config,
        dataset,
        fold,
        threads,
    } = job;
    let training = dataset.subset(&fold.train);
    let test = dataset.subset(&fold.test).fill_with_means_of(&training)?;
    let filled = training.clone().fill_with_means_of(&training)?;
    let split = filled.split_validation(config.data.validation_fraction, config.train.seed);
    let (rows, validation) = match &split {
        Some((rows, validation)) => (rows, Some(validation)),
        None => (&filled, None),
    };
    let outcome = train(
        Job {
            config,
            rows,
            validation,
            threads,
        },
        None,
        observe,
    )?;
    let trained = match outcome {
        Outcome::Finished(trained) => trained,
        Outcome::Stopped(_) => return Ok(None),
    };
    Ok(Some(FoldScores {
        scores: threads.within(|| scores(&trained.network, &test, threads))?,
        n_outputs: trained.network.n_outputs(),
        epochs: trained.history.len(),
        n_validation: validation.map_or(0, Dataset::n_rows),
    }))
}

/// The scores of all rows, `[n_rows, n_outputs]`.
pub(crate) fn scores(
    network: &Network,
    rows: &Dataset,
    threads: &Threads,
) -> Result<Vec<f32>, DataError> {
    let mut workspace = Workspace::for_scoring(network, BATCH_ROWS);
    let mut scores = Vec::with_capacity(rows.n_rows() * network.n_outputs());
    let all: Vec<u32> = (0..rows.n_rows() as u32).collect();
    for batch in all.chunks(BATCH_ROWS) {
        load(
            network,
            workspace.input_mut(batch.len()),
            rows,
            batch,
            threads,
        )?;
        network.score(&mut workspace, batch.len(), threads);
        scores.extend_from_slice(workspace.output(network, batch.len()));
    }
    Ok(scores)
}

impl FoldScores {
    /// The predicted classes or numbers of the test rows.
    pub fn predicted(&self, task: Task) -> Labels {
        match task {
            Task::Classification => {
                let n_classes = self.n_outputs.max(2);
                let scores = by_class(&self.scores, self.n_outputs);
                let rows = scores.chunks_exact(n_classes);
                Labels::Class(rows.map(|row| argmax(row) as u32).collect())
            }
            Task::Regression => Labels::Value(self.scores.iter().copied().map(f64::from).collect()),
        }
    }

    /// The accuracy, or the root mean squared error, on the test rows; for the log.
    pub fn quality(&self, dataset: &Dataset, fold: &Fold) -> f64 {
        let n_test = fold.test.len() as f64;
        match (&dataset.labels, self.predicted(task_of(dataset))) {
            (Labels::Class(labels), Labels::Class(predicted)) => {
                let pairs = fold.test.iter().zip(&predicted);
                pairs
                    .filter(|(row, class)| labels[**row] == **class)
                    .count() as f64
                    / n_test
            }
            (Labels::Value(labels), Labels::Value(predicted)) => {
                let pairs = fold.test.iter().zip(&predicted);
                let squares = pairs.map(|(row, value)| (labels[*row] - value).powi(2));
                (squares.sum::<f64>() / n_test).sqrt()
            }
            _ => unreachable!("predictions are made for the task of the labels"),
        }
    }

    /// As `cross-validation.json` holds it.
    pub const fn record(&self, fold: &Fold) -> FoldRecord {
        FoldRecord {
            repeat: fold.repeat,
            fold: fold.fold,
            n_train: fold.train.len(),
            n_validation: self.n_validation,
            n_test: fold.test.len(),
            epochs: self.epochs,
        }
    }
}

const fn task_of(dataset: &Dataset) -> Task {
    match dataset.labels {
        Labels::Class(_) => Task::Classification,
        Labels::Value(_) => Task::Regression,
    }
}

/// `predictions.npz` of a cross-validation whose folds gave `scores`, one after the other: the arrays `row_id` where there
/// are ids, `label`, `predicted`, `score` for a classifier, `fold` and `row`.
pub fn out_of_fold_npz(
    dataset: &Dataset,
    folds: &Folds,
    scores: &[FoldScores],
) -> Result<Vec<u8>, DataError> {
    let mut rows: Vec<usize> = Vec::new();
    let mut fold_idxs: Vec<i64> = Vec::new();
    let mut classes: Vec<i64> = Vec::new();
    let mut values: Vec<f64> = Vec::new();
    let mut by_classes: Vec<f32> = Vec::new();
    let task = task_of(dataset);
    for (fold_idx, (fold, scores)) in folds.iter().zip(scores).enumerate() {
        fold_idxs.extend(std::iter::repeat_n(fold_idx as i64, fold.test.len()));
        rows.extend(fold.test);
        match scores.predicted(task) {
            Labels::Class(predicted) => {
                classes.extend(predicted.into_iter().map(i64::from));
                by_classes.extend_from_slice(&by_class(&scores.scores, scores.n_outputs));
            }
            Labels::Value(predicted) => values.extend(predicted),
        }
    }
    let mut arrays: Vec<(&str, Array)> = Vec::new();
    if let Some(row_ids) = &dataset.row_ids {
        arrays.push((
            "row_id",
            Array {
                shape: vec![rows.len()],
                values: Values::Text(rows.iter().map(|&row| row_ids[row].clone()).collect()),
            },
        ));
    }
    match &dataset.labels {
        Labels::Class(labels) => {
            let n_classes = by_classes.len() / rows.len().max(1);
            let labels = rows.iter().map(|&row| i64::from(labels[row]));
            arrays.push(("label", Array::integers(labels.collect())));
            arrays.push(("predicted", Array::integers(classes)));
            arrays.push(("score", Array::table(by_classes, n_classes)));
        }
        Labels::Value(labels) => {
            let labels = rows.iter().map(|&row| labels[row]);
            arrays.push(("label", Array::numbers(labels.collect())));
            arrays.push(("predicted", Array::numbers(values)));
        }
    }
    arrays.push(("fold", Array::integers(fold_idxs)));
    let rows = rows.into_iter().map(|row| row as i64);
    arrays.push(("row", Array::integers(rows.collect())));
    let arrays: Vec<(&str, &Array)> = arrays.iter().map(|(name, array)| (*name, array)).collect();
    write_npz(&arrays).map_err(|error| {
        DataError::malformed(
            std::path::Path::new(OUT_OF_FOLD_FILE),
            format!("cannot be packed ({error})"),
        )
    })
}

/// `cross-validation.json` of `n_rows` training rows; `None` where `config` asks for no cross-validation.
pub fn record(
    config: &Config,
    subject: &Subject,
    n_rows: usize,
    predictions: FileEntry,
    folds: Vec<FoldRecord>,
) -> Result<Option<CrossValidation>, ConfigError> {
    let Some(settings) = &config.evaluate.cross_validation else {
        return Ok(None);
    };
    let splitter = settings.splitter(config.model.task);
    Ok(Some(CrossValidation {
        schema_version: SCHEMA_VERSION,
        name: config.model.name.clone(),
        task: config.model.task,
        method: splitter.method,
        n_splits: splitter.n_splits,
        n_repeats: splitter.n_repeats,
        group: settings.group.clone(),
        time: settings.time.clone(),
        shuffle: settings.shuffle,
        seed: splitter.seed,
        class_names: config.data.classes.clone(),
        n_rows,
        trainyard_version: subject.trainyard_version.clone(),
        instruction_set: subject.instruction_set.clone(),
        config_digest: config.training_digest()?,
        data_digest: subject.data_digest.clone(),
        predictions,
        folds,
    }))
}

#[cfg(test)]
mod tests;
