//! `[train.schedule]` and `[train.early_stopping]`: as they are written, and the rule that a schedule comes to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checks::{first_problem, is_not_negative, refuse_foreign};
use super::error::Problem;
use crate::model::Task;

/// `[train.schedule]`: the learning rate schedule.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Schedule.
    #[serde(rename = "type")]
    pub kind: ScheduleKind,
    /// cosine: warm-up steps, over which the rate rises from 0; 0 if not given.
    pub warmup_steps: Option<u64>,
    /// exponential: steps per factor of `decay_rate`. cosine: steps until the rate is lowest; all remaining steps if not
    /// given.
    pub decay_steps: Option<u64>,
    /// exponential: decay rate; 0.96 if not given.
    pub decay_rate: Option<f64>,
    /// exponential: decay at discrete intervals of `decay_steps`; false if not given.
    pub staircase: Option<bool>,
    /// cosine: minimum rate as a fraction of the initial rate; 0 if not given.
    pub alpha: Option<f64>,
    /// step: epochs between two decays; 10 if not given.
    pub every_epochs: Option<usize>,
    /// step, reduce_on_plateau: factor by which the rate is multiplied; 0.1 if not given.
    pub factor: Option<f64>,
    /// reduce_on_plateau: epochs without improvement before the rate is reduced; 10 if not given.
    pub patience: Option<usize>,
    /// reduce_on_plateau: minimum change that counts as an improvement; 0.0001 if not given.
    pub min_delta: Option<f64>,
    /// reduce_on_plateau: epochs to wait after a reduction before epochs are counted again; 0 if not given.
    pub cooldown: Option<usize>,
    /// reduce_on_plateau: minimum learning rate; 0 if not given.
    pub min_learning_rate: Option<f64>,
    /// reduce_on_plateau: metric to monitor; by default the validation loss, or the training loss without validation data.
    pub monitor: Option<Monitor>,
}

/// A learning rate schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// Constant rate.
    #[default]
    Constant,
    /// Multiplied by a factor every few epochs.
    Step,
    /// Keras's `ExponentialDecay`.
    Exponential,
    /// Keras's `CosineDecay`, with warm-up.
    Cosine,
    /// Reduced when a metric stops improving: Keras's `ReduceLROnPlateau`.
    ReduceOnPlateau,
}

/// A learning rate schedule with every setting that has an effect.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Schedule {
    /// Constant rate.
    Constant,
    /// Multiplied by a factor every few epochs.
    Step {
        /// Epochs between two changes.
        every_epochs: usize,
        /// The factor.
        factor: f64,
    },
    /// Keras's `ExponentialDecay`.
    Exponential {
        /// Steps for one factor of `decay_rate`.
        decay_steps: u64,
        /// The factor.
        decay_rate: f64,
        /// Whether the rate changes only every `decay_steps` steps.
        staircase: bool,
    },
    /// Keras's `CosineDecay`, with warm-up.
    Cosine {
        /// Steps over which the rate rises from 0 before it falls.
        warmup_steps: u64,
        /// Steps until the rate is lowest; all that remain when not given.
        decay_steps: Option<u64>,
        /// The lowest rate as a share of the first.
        alpha: f64,
    },
    /// Keras's `ReduceLROnPlateau`.
    ReduceOnPlateau {
        /// The factor.
        factor: f64,
        /// Epochs without improvement before a change.
        patience: usize,
        /// Minimum change that counts as an improvement.
        min_delta: f64,
        /// Epochs after a change in which none is counted.
        cooldown: usize,
        /// The rate never gets below this.
        min_learning_rate: f64,
        /// Metric to monitor; by default the validation loss, or the training loss without validation data.
        monitor: Option<Monitor>,
    },
}

/// A metric of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Monitor {
    /// Training loss.
    Loss,
    /// Training accuracy.
    Accuracy,
    /// Validation loss.
    ValLoss,
    /// Validation accuracy.
    ValAccuracy,
}

/// `[train.early_stopping]`: when to stop early.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlyStoppingConfig {
    /// Epochs without improvement before training stops.
    pub patience: usize,
    /// Minimum change that counts as an improvement.
    #[serde(default)]
    pub min_delta: f64,
    /// Metric to monitor; by default the validation loss, or the training loss without validation data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<Monitor>,
    /// Whether to restore the weights of the best epoch instead of keeping those of the last.
    #[serde(default = "yes")]
    pub restore_best_weights: bool,
}

const fn yes() -> bool {
    true
}

/// Refuses to watch what no epoch will have.
fn check_monitor(
    table: &str,
    monitor: Option<Monitor>,
    task: Task,
    has_validation: bool,
) -> Result<(), Problem> {
    let is_of_validation = matches!(monitor, Some(Monitor::ValLoss | Monitor::ValAccuracy));
    let is_accuracy = matches!(monitor, Some(Monitor::Accuracy | Monitor::ValAccuracy));
    let place = ["train", table, "monitor"];
    if is_of_validation && !has_validation {
        return Err(
            Problem::at(&place, "there are no validation data to monitor")
                .hint("add `validation_fraction = 0.1` to `[data]`, or monitor `\"loss\"`"),
        );
    }
    if is_accuracy && task == Task::Regression {
        return Err(Problem::at(&place, "regression has no accuracy")
            .hint("monitor `\"loss\"` or `\"val_loss\"`"));
    }
    Ok(())
}

impl EarlyStoppingConfig {
    pub(super) fn validate(&self, task: Task, has_validation: bool) -> Result<(), Problem> {
        first_problem(&[(
            &["train", "early_stopping", "min_delta"],
            is_not_negative(self.min_delta),
            "must not be negative",
        )])?;
        check_monitor("early_stopping", self.monitor, task, has_validation)
    }
}

impl ScheduleConfig {
    /// What it comes to.
    pub(super) fn resolve(&self, task: Task, has_validation: bool) -> Result<Schedule, Problem> {
        let Self {
            kind,
            warmup_steps,
            decay_steps,
            decay_rate,
            staircase,
            alpha,
            every_epochs,
            factor,
            patience,
            min_delta,
            cooldown,
            min_learning_rate,
            monitor,
        } = *self;
        let is_factor = |value: f64| value > 0.0 && value <= 1.0;
        let place = |key| ["train", "schedule", key];
        first_problem(&[
            (
                &place("decay_steps"),
                decay_steps != Some(0),
                "must be at least 1",
            ),
            (
                &place("decay_steps"),
                kind != ScheduleKind::Exponential || decay_steps.is_some(),
                "is missing: the number of steps per factor of `decay_rate`",
            ),
            (
                &place("decay_rate"),
                decay_rate.is_none_or(is_factor),
                "must be in (0, 1]",
            ),
            (
                &place("alpha"),
                alpha.is_none_or(|alpha| (0.0..=1.0).contains(&alpha)),
                "must be in [0, 1]",
            ),
            (
                &place("every_epochs"),
                every_epochs != Some(0),
                "must be at least 1",
            ),
            (
                &place("factor"),
                factor.is_none_or(is_factor),
                "must be in (0, 1]",
            ),
            (
                &place("min_delta"),
                min_delta.is_none_or(is_not_negative),
                "must not be negative",
            ),
            (
                &place("min_learning_rate"),
                min_learning_rate.is_none_or(is_not_negative),
                "must not be negative",
            ),
        ])?;
        check_monitor("schedule", monitor, task, has_validation)?;
        let given = [
            ("warmup_steps", warmup_steps.is_some()),
            ("decay_steps", decay_steps.is_some()),
            ("decay_rate", decay_rate.is_some()),
            ("staircase", staircase.is_some()),
            ("alpha", alpha.is_some()),
            ("every_epochs", every_epochs.is_some()),
            ("factor", factor.is_some()),
            ("patience", patience.is_some()),
            ("min_delta", min_delta.is_some()),
            ("cooldown", cooldown.is_some()),
            ("min_learning_rate", min_learning_rate.is_some()),
            ("monitor", monitor.is_some()),
        ];
        let refuse =
            |kind: &str, own: &[&str]| refuse_foreign(["train", "schedule"], kind, &given, own);
        let factor = factor.unwrap_or(0.1);
        Ok(match kind {
            ScheduleKind::Constant => {
                refuse("constant", &[])?;
                Schedule::Constant
            }
            ScheduleKind::Step => {
                refuse("step", &["every_epochs", "factor"])?;
                Schedule::Step {
                    every_epochs: every_epochs.unwrap_or(10),
                    factor,
                }
            }
            ScheduleKind::Exponential => {
                refuse("exponential", &["decay_steps", "decay_rate", "staircase"])?;
                Schedule::Exponential {
                    decay_steps: decay_steps.expect("checked above to be given"),
                    decay_rate: decay_rate.unwrap_or(0.96),
                    staircase: staircase.unwrap_or(false),
                }
            }
            ScheduleKind::Cosine => {
                refuse("cosine", &["warmup_steps", "decay_steps", "alpha"])?;
                Schedule::Cosine {
                    warmup_steps: warmup_steps.unwrap_or(0),
                    decay_steps,
                    alpha: alpha.unwrap_or(0.0),
                }
            }
            ScheduleKind::ReduceOnPlateau => {
                refuse(
                    "reduce_on_plateau",
                    &[
                        "factor",
                        "patience",
                        "min_delta",
                        "cooldown",
                        "min_learning_rate",
                        "monitor",
                    ],
                )?;
                Schedule::ReduceOnPlateau {
                    factor,
                    patience: patience.unwrap_or(10),
                    min_delta: min_delta.unwrap_or(1e-4),
                    cooldown: cooldown.unwrap_or(0),
                    min_learning_rate: min_learning_rate.unwrap_or(0.0),
                    monitor,
                }
            }
        })
    }
}
