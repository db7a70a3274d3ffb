//! Validation rows with scores in, the threshold that reaches the configured aim on them out.

use trainyard_core::config::Config;
use trainyard_core::model::Task;
use trainyard_core::scored_rows::{self, ScoreTable};
use trainyard_core::threshold::{ChosenThreshold, ThresholdAim, ThresholdError};

use crate::data::{DataError, Dataset, Labels};
use crate::network::Network;
use crate::predictions::{Predictions, ThresholdError as PositiveClassError, positive_idx};
use crate::predictor::by_class;
use crate::threads::Threads;
use crate::train::cross_validation::scores;

/// Why no threshold can be chosen.
#[derive(Debug, thiserror::Error)]
pub enum ChooseError {
    /// There is nothing to choose on.
    #[error(
        "`[evaluate] threshold` is chosen on validation rows, and there are none: set `[data] validation_fraction`, such as 0.2"
    )]
    NoValidation,
    /// The rows are of one class.
    #[error("`[evaluate] threshold` cannot be chosen: {0}; hold out more rows")]
    OneClass(#[from] ThresholdError),
    /// Not two classes, or without scores.
    #[error(transparent)]
    PositiveClass(#[from] PositiveClassError),
    /// The rows cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// Chooses on `predictions`, which are of rows that are not tested.
pub fn choose(
    predictions: &Predictions,
    aim: ThresholdAim,
    positive_class: &str,
) -> Result<ChosenThreshold, ChooseError> {
    let rows = &predictions.rows;
    let scored_rows::Labels::Class(labels) = &rows.labels else {
        return Err(PositiveClassError::Regression.into());
    };
    let positive = positive_idx(Some(positive_class), true, &rows.classes)?
        .expect("there is an index where a class is named");
    let scores = rows.scores.as_ref().ok_or(PositiveClassError::NoScores)?;
    let scores = scores.as_scores();
    let of_row = |(row, &label): (usize, &u32)| {
        let weight = rows.weights.as_ref().map_or(1.0, |weights| weights[row]);
        (
            label as usize == positive,
            scores.at(2 * row + positive),
            weight,
        )
    };
    let choice = aim.choose(labels.iter().enumerate().map(of_row))?;
    Ok(ChosenThreshold {
        by: aim,
        positive_class: positive_class.to_owned(),
        threshold: choice.ok().map(|(threshold, _)| threshold),
        value: choice.map_or_else(|best| best, |(_, value)| value),
        rows: predictions.row_set().0.digest,
        n_rows: labels.len() as u64,
    })
}

/// The aim and the positive class of `config`, where it states an aim.
fn asked(config: &Config) -> Option<(ThresholdAim, &str)> {
    let evaluate = &config.evaluate;
    evaluate
        .threshold_aim()
        .zip(evaluate.positive_class.as_deref())
}

/// What can be found out before training: that there are validation rows of both classes.
pub fn check(config: &Config, validation: Option<&Dataset>) -> Result<(), ChooseError> {
    let Some((_, positive_class)) = asked(config) else {
        return Ok(());
    };
    if config.model.task == Task::Regression {
        return Err(PositiveClassError::Regression.into());
    }
    let classes = config.data.classes.as_deref().unwrap_or_default();
    let positive = positive_idx(Some(positive_class), true, classes)?;
    let validation = validation.ok_or(ChooseError::NoValidation)?;
    let Labels::Class(labels) = &validation.labels else {
        return Err(PositiveClassError::Regression.into());
    };
    let is_positive = |label: &u32| Some(*label as usize) == positive;
    if !labels.iter().any(is_positive) {
        return Err(ThresholdError::NoPositives.into());
    }
    if labels.iter().all(is_positive) {
        return Err(ThresholdError::NoNegatives.into());
    }
    Ok(())
}

/// The threshold that `config` asks for, of a trained `network` on its `validation` rows.
pub fn of_network(
    config: &Config,
    network: &Network,
    validation: Option<&Dataset>,
    threads: &Threads,
) -> Result<Option<ChosenThreshold>, ChooseError> {
    let Some((aim, positive_class)) = asked(config) else {
        return Ok(None);
    };
    let validation = validation.ok_or(ChooseError::NoValidation)?;
    let scores = threads.within(|| scores(network, validation, threads))?;
    let scores = by_class(&scores, network.n_outputs()).into_owned();
    let classes = config.data.classes.clone().unwrap_or_default();
    let (labels, scores) = (validation.labels.clone(), ScoreTable::F32(scores));
    let mut predictions = Predictions::of_scores(labels, scores, classes, validation.digest());
    predictions.rows.row_ids.clone_from(&validation.row_ids);
    predictions.raw_columns = validation.column_digests()?;
    choose(&predictions, aim, positive_class).map(Some)
}
