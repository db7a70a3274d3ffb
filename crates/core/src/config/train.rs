//! `[train]`: names and defaults are Keras's.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Problem;
use crate::model::{Engine, Loss};

/// `[train]`: how the weights are found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Times all training rows are gone through.
    pub epochs: usize,
    /// Rows per optimiser step.
    pub batch_size: usize,
    /// Seed of initial weights, shuffling, dropout and the validation split.
    pub seed: u64,
    /// Whether rows are put in a new order before each epoch.
    pub shuffle: bool,
    /// What is minimised; by default cross-entropy for classification and the mean squared error for regression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// Share of a label that is spread over all classes, for the cross-entropies other than the sparse one.
    pub label_smoothing: f64,
    /// Error beyond which the Huber loss grows linearly.
    pub huber_delta: f64,
    /// Weight of the rows of a class, by the class's name; 1 for those that are not named.
    pub class_weight: BTreeMap<String, f64>,
    /// What computes losses and gradients: Trainyard's kernels, or candle, for Conv2D, MaxPooling2D, Flatten and Dense.
    pub engine: Engine,
    /// Threads to compute with; all cores when not given. The result of `kernels` does not depend on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// How steps are taken.
    pub optimizer: OptimizerConfig,
    /// How the learning rate changes.
    pub schedule: ScheduleConfig,
    /// When to stop before the last epoch; never when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
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
            label_smoothing: 0.0,
            huber_delta: 1.0,
            class_weight: BTreeMap::new(),
            engine: Engine::default(),
            threads: None,
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
            early_stopping: None,
        }
    }
}

/// `[train.optimizer]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Which rule.
    #[serde(rename = "type")]
    pub kind: OptimizerKind,
    /// Size of a step; 0.01 for sgd and 0.001 for the others when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// sgd, rmsprop: share of the last step carried on.
    pub momentum: f64,
    /// sgd: whether momentum looks ahead.
    pub nesterov: bool,
    /// adam, adamw: decay of the mean of gradients.
    pub beta_1: f64,
    /// adam, adamw: decay of the mean of squared gradients.
    pub beta_2: f64,
    /// rmsprop: decay of the mean of squared gradients.
    pub rho: f64,
    /// adam, adamw, rmsprop: keeps the division finite.
    pub epsilon: f64,
    /// Share of a weight, times the learning rate, that each step takes away; 0.004 for adamw and none for the others
    /// when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// The gradient of each tensor is scaled down to at most this norm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clipnorm: Option<f64>,
    /// The gradients of all tensors together are scaled down to at most this norm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub global_clipnorm: Option<f64>,
    /// Each value of a gradient is cut to at most this magnitude.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clipvalue: Option<f64>,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::Adam,
            learning_rate: None,
            momentum: 0.0,
            nesterov: false,
            beta_1: 0.9,
            beta_2: 0.999,
            rho: 0.9,
            epsilon: 1e-7,
            weight_decay: None,
            clipnorm: None,
            global_clipnorm: None,
            clipvalue: None,
        }
    }
}

impl OptimizerConfig {
    /// The learning rate in force.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate.unwrap_or(match self.kind {
            OptimizerKind::Sgd => 0.01,
            _ => 0.001,
        })
    }

    /// The weight decay in force.
    pub fn weight_decay(&self) -> f64 {
        self.weight_decay.unwrap_or(match self.kind {
            OptimizerKind::Adamw => 0.004,
            _ => 0.0,
        })
    }

    /// The optimiser and the settings that apply to it, as text: `adam (learning_rate 0.001, …)`.
    pub fn describe(&self) -> String {
        let mut settings = vec![("learning_rate", self.learning_rate())];
        let name = match self.kind {
            OptimizerKind::Adam | OptimizerKind::Adamw => {
                settings.extend([("beta_1", self.beta_1), ("beta_2", self.beta_2)]);
                settings.push(("epsilon", self.epsilon));
                match self.kind {
                    OptimizerKind::Adam => "adam",
                    _ => "adamw",
                }
            }
            OptimizerKind::Sgd => {
                settings.push(("momentum", self.momentum));
                if self.nesterov {
                    "sgd with nesterov"
                } else {
                    "sgd"
                }
            }
            OptimizerKind::Rmsprop => {
                settings.extend([("rho", self.rho), ("momentum", self.momentum)]);
                settings.push(("epsilon", self.epsilon));
                "rmsprop"
            }
        };
        let optional = [
            (
                "weight_decay",
                Some(self.weight_decay()).filter(|decay| *decay > 0.0),
            ),
            ("clipnorm", self.clipnorm),
            ("global_clipnorm", self.global_clipnorm),
            ("clipvalue", self.clipvalue),
        ];
        settings.extend(
            optional
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        let settings: Vec<String> = settings
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        format!("{name} ({})", settings.join(", "))
    }
}

/// An optimiser, by Keras's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Kingma and Ba, 2015, in Keras's form.
    #[default]
    Adam,
    /// adam with decoupled weight decay: Loshchilov and Hutter, 2019.
    Adamw,
    /// Gradient descent, with momentum where set.
    Sgd,
    /// Hinton, 2012.
    Rmsprop,
}

/// `[train.schedule]`: how the learning rate changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Which rule.
    #[serde(rename = "type")]
    pub kind: ScheduleKind,
    /// Steps over which the rate rises from 0 before the rule sets in; for `cosine`.
    pub warmup_steps: u64,
    /// exponential: steps for one factor of `decay_rate`. cosine: steps until the rate is lowest; all that remain when
    /// not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay_steps: Option<u64>,
    /// exponential: the factor.
    pub decay_rate: f64,
    /// exponential: whether the rate changes only every `decay_steps` steps.
    pub staircase: bool,
    /// cosine: the lowest rate as a share of the first.
    pub alpha: f64,
    /// step: epochs between two changes.
    pub every_epochs: usize,
    /// step, reduce_on_plateau: the factor.
    pub factor: f64,
    /// reduce_on_plateau: epochs without improvement before a change.
    pub patience: usize,
    /// reduce_on_plateau: a smaller change is none.
    pub min_delta: f64,
    /// reduce_on_plateau: epochs after a change in which none is counted.
    pub cooldown: usize,
    /// reduce_on_plateau: the rate never gets below this.
    pub min_learning_rate: f64,
    /// reduce_on_plateau: what is watched; the loss of the validation rows, or of training where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitor: Option<Monitor>,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            kind: ScheduleKind::Constant,
            warmup_steps: 0,
            decay_steps: None,
            decay_rate: 0.96,
            staircase: false,
            alpha: 0.0,
            every_epochs: 10,
            factor: 0.1,
            patience: 10,
            min_delta: 1e-4,
            cooldown: 0,
            min_learning_rate: 0.0,
            monitor: None,
        }
    }
}

/// A rule for the learning rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// No change.
    #[default]
    Constant,
    /// A factor every few epochs.
    Step,
    /// Keras's `ExponentialDecay`.
    Exponential,
    /// Keras's `CosineDecay`, with warm-up.
    Cosine,
    /// A factor whenever nothing improves any more: Keras's `ReduceLROnPlateau`.
    ReduceOnPlateau,
}

/// A figure of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Monitor {
    /// Loss of training.
    Loss,
    /// Accuracy of training.
    Accuracy,
    /// Loss of the validation rows.
    ValLoss,
    /// Accuracy of the validation rows.
    ValAccuracy,
}

/// `[train.early_stopping]`: when to stop before the last epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlyStoppingConfig {
    /// Epochs without improvement before training stops.
    pub patience: usize,
    /// A smaller change is no improvement.
    #[serde(default)]
    pub min_delta: f64,
    /// What is watched; the loss of the validation rows, or of training where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<Monitor>,
    /// Whether the weights of the best epoch are kept rather than those of the last.
    #[serde(default = "yes")]
    pub restore_best_weights: bool,
}

const fn yes() -> bool {
    true
}

/// A value that must hold, and what to say where it does not.
type Check<'a> = (&'a [&'a str], bool, &'static str);

fn first_problem(checks: &[Check<'_>]) -> Result<(), Problem> {
    match checks.iter().find(|(_, holds, _)| !holds) {
        Some((place, _, problem)) => Err(Problem::at(place, *problem)),
        None => Ok(()),
    }
}

fn is_share(value: f64) -> bool {
    (0.0..1.0).contains(&value)
}

const fn is_positive(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

const fn is_not_negative(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}

impl TrainConfig {
    pub(super) fn validate(&self, classes: Option<&[String]>) -> Result<(), Problem> {
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
                is_share(self.label_smoothing),
                "must be in [0, 1)",
            ),
            (
                &["train", "huber_delta"],
                is_positive(self.huber_delta),
                "must be above 0",
            ),
        ])?;
        if self.label_smoothing > 0.0 && self.loss == Some(Loss::SparseCategoricalCrossentropy) {
            return Err(Problem::at(
                &["train", "label_smoothing"],
                "the sparse cross-entropy takes no smoothing",
            )
            .hint("write `loss = \"categorical_crossentropy\"`"));
        }
        for (class, weight) in &self.class_weight {
            let place = ["train", "class_weight", class.as_str()];
            if !classes.is_some_and(|classes| classes.contains(class)) {
                return Err(Problem::at(
                    &place,
                    "there is no such class in `[data] classes`",
                ));
            }
            if !is_not_negative(*weight) {
                return Err(Problem::at(&place, "a weight is finite and not negative"));
            }
        }
        self.optimizer.validate()?;
        self.schedule.validate()?;
        let min_delta = self
            .early_stopping
            .as_ref()
            .map_or(0.0, |stopping| stopping.min_delta);
        first_problem(&[(
            &["train", "early_stopping", "min_delta"],
            is_not_negative(min_delta),
            "must not be negative",
        )])
    }
}

impl OptimizerConfig {
    fn validate(&self) -> Result<(), Problem> {
        let is_limit = |limit: Option<f64>| limit.is_none_or(is_positive);
        let place = |key| ["train", "optimizer", key];
        first_problem(&[
            (
                &place("learning_rate"),
                is_positive(self.learning_rate()),
                "must be above 0",
            ),
            (
                &place("momentum"),
                (0.0..=1.0).contains(&self.momentum),
                "must be in [0, 1]",
            ),
            (&place("beta_1"), is_share(self.beta_1), "must be in [0, 1)"),
            (&place("beta_2"), is_share(self.beta_2), "must be in [0, 1)"),
            (&place("rho"), is_share(self.rho), "must be in [0, 1)"),
            (
                &place("epsilon"),
                is_positive(self.epsilon),
                "must be above 0",
            ),
            (
                &place("weight_decay"),
                is_not_negative(self.weight_decay()),
                "must not be negative",
            ),
            (
                &place("clipnorm"),
                is_limit(self.clipnorm),
                "must be above 0",
            ),
            (
                &place("global_clipnorm"),
                is_limit(self.global_clipnorm),
                "must be above 0",
            ),
            (
                &place("clipvalue"),
                is_limit(self.clipvalue),
                "must be above 0",
            ),
            (
                &place("clipvalue"),
                [self.clipnorm, self.global_clipnorm, self.clipvalue]
                    .iter()
                    .flatten()
                    .count()
                    <= 1,
                "only one of `clipnorm`, `global_clipnorm` and `clipvalue` can be set",
            ),
        ])
    }
}

impl ScheduleConfig {
    fn validate(&self) -> Result<(), Problem> {
        let is_factor = |value: f64| value > 0.0 && value <= 1.0;
        let place = |key| ["train", "schedule", key];
        first_problem(&[
            (
                &place("decay_steps"),
                self.decay_steps != Some(0),
                "must be at least 1",
            ),
            (
                &place("decay_steps"),
                self.kind != ScheduleKind::Exponential || self.decay_steps.is_some(),
                "is needed: the steps for one factor of `decay_rate`",
            ),
            (
                &place("decay_rate"),
                is_factor(self.decay_rate),
                "must be in (0, 1]",
            ),
            (
                &place("alpha"),
                (0.0..=1.0).contains(&self.alpha),
                "must be in [0, 1]",
            ),
            (
                &place("every_epochs"),
                self.every_epochs > 0,
                "must be at least 1",
            ),
            (
                &place("factor"),
                is_factor(self.factor),
                "must be in (0, 1]",
            ),
            (
                &place("warmup_steps"),
                self.warmup_steps == 0 || self.kind == ScheduleKind::Cosine,
                "only `type = \"cosine\"` warms up",
            ),
            (
                &place("min_delta"),
                is_not_negative(self.min_delta),
                "must not be negative",
            ),
            (
                &place("min_learning_rate"),
                is_not_negative(self.min_learning_rate),
                "must not be negative",
            ),
        ])
    }
}
