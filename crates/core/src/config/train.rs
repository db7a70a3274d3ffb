//! `[train]` as it is written: names and defaults are Keras's. What it comes to is [`Training`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::checks::{first_problem, is_not_negative, is_positive, is_share};
use super::error::Problem;
use super::optimizer::OptimizerConfig;
use super::schedule::{EarlyStoppingConfig, ScheduleConfig};
use super::training::Training;
use crate::model::{Engine, Loss, Task};

/// `[train]`: how the model is trained.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Number of passes over the training data.
    pub epochs: usize,
    /// Rows per optimiser step.
    pub batch_size: usize,
    /// Seed of initial weights, shuffling, dropout and the validation split.
    pub seed: u64,
    /// Whether the training data are shuffled before each epoch.
    pub shuffle: bool,
    /// Loss function; by default cross-entropy for classification and mean squared error for regression.
    pub loss: Option<Loss>,
    /// Label smoothing, for every cross-entropy but the sparse one: the fraction of a label that is spread over all
    /// classes; 0 if not given.
    pub label_smoothing: Option<f64>,
    /// huber: delta, the error beyond which the loss is linear; 1 if not given.
    pub huber_delta: Option<f64>,
    /// Class weights, by class name; 1 for classes that are not named.
    pub class_weight: BTreeMap<String, f64>,
    /// Engine that computes losses and gradients: Trainyard's kernels, or candle, which has Conv2D, MaxPooling2D, Flatten
    /// and Dense.
    pub engine: Engine,
    /// Number of threads; one per core if not given. The result of `kernels` does not depend on it.
    pub threads: Option<usize>,
    /// Optimiser.
    pub optimizer: OptimizerConfig,
    /// Learning rate schedule.
    pub schedule: ScheduleConfig,
    /// Early stopping; off if not given.
    pub early_stopping: Option<EarlyStoppingConfig>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch_size: 32,
            seed: 42,
            shuffle: true,
            loss: None,
            label_smoothing: None,
            huber_delta: None,
            class_weight: BTreeMap::new(),
            engine: Engine::default(),
            threads: None,
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
            early_stopping: None,
        }
    }
}

impl TrainConfig {
    /// What it comes to, once every setting is sound and has an effect.
    pub(super) fn resolve(
        self,
        task: Task,
        classes: Option<&[String]>,
        has_validation: bool,
    ) -> Result<Training, Problem> {
        first_problem(&[
            (&["train", "epochs"], self.epochs > 0, "must be at least 1"),
            (
                &["train", "batch_size"],
                self.batch_size > 0,
                "must be at least 1",
            ),
            (
                &["train", "threads"],
                self.threads != Some(0),
                "must be at least 1",
            ),
            (
                &["train", "label_smoothing"],
                self.label_smoothing.is_none_or(is_share),
                "must be in [0, 1)",
            ),
            (
                &["train", "huber_delta"],
                self.huber_delta.is_none_or(is_positive),
                "must be above 0",
            ),
        ])?;
        let loss = self.loss.unwrap_or(match task {
            Task::Classification => Loss::SparseCategoricalCrossentropy,
            Task::Regression => Loss::MeanSquaredError,
        });
        let is_smoothed = self.label_smoothing.is_some_and(|share| share > 0.0);
        if is_smoothed && loss == Loss::SparseCategoricalCrossentropy {
            return Err(Problem::at(
                &["train", "label_smoothing"],
                "the sparse cross-entropy has no label smoothing",
            )
            .hint("write `loss = \"categorical_crossentropy\"`"));
        }
        let is_cross_entropy = matches!(
            loss,
            Loss::SparseCategoricalCrossentropy
                | Loss::CategoricalCrossentropy
                | Loss::BinaryCrossentropy
        );
        first_problem(&[
            (
                &["train", "label_smoothing"],
                !is_smoothed || is_cross_entropy,
                "label smoothing needs a cross-entropy",
            ),
            (
                &["train", "huber_delta"],
                self.huber_delta.is_none() || loss == Loss::Huber,
                "belongs to `loss = \"huber\"`",
            ),
        ])?;
        for (class, weight) in &self.class_weight {
            let place = ["train", "class_weight", class.as_str()];
            if !classes.is_some_and(|classes| classes.contains(class)) {
                return Err(Problem::at(
                    &place,
                    "there is no such class in `[data] classes`",
                ));
            }
            if !is_not_negative(*weight) {
                return Err(Problem::at(&place, "must be finite and not negative"));
            }
        }
        let optimizer = self.optimizer.resolve()?;
        let schedule = self.schedule.resolve(task, has_validation)?;
        if let Some(stopping) = &self.early_stopping {
            stopping.validate(task, has_validation)?;
        }
        Ok(Training {
            epochs: self.epochs,
            batch_size: self.batch_size,
            seed: self.seed,
            shuffle: self.shuffle,
            loss,
            label_smoothing: self.label_smoothing.unwrap_or(0.0),
            huber_delta: self.huber_delta.unwrap_or(1.0),
            class_weight: self.class_weight,
            engine: self.engine,
            threads: self.threads,
            optimizer,
            schedule,
            early_stopping: self.early_stopping,
        })
    }
}
