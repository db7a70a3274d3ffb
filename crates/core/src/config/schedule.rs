//! `[train.schedule]` and `[train.early_stopping]`: as they are written, and the rule that a schedule comes to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checks::{first_problem, is_not_negative, refuse_foreign};
use super::error::Problem;
use crate::model::Task;

/// `[train.schedule]`: how the learning rate changes.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Which rule.
    #[serde(rename = "type")]
    pub kind: ScheduleKind,
    /// cosine: steps over which the rate rises from 0 before it falls; 0 when not given.
    pub warmup_steps: Option<u64>,
    /// exponential: steps for one factor of `decay_rate`. cosine: steps until the rate is lowest; all that remain when
    /// not given.
    pub decay_steps: Option<u64>,
    /// exponential: the factor; 0.96 when not given.
    pub decay_rate: Option<f64>,
    /// exponential: whether the rate changes only every `decay_steps` steps; false when not given.
    pub staircase: Option<bool>,
    /// cosine: the lowest rate as a share of the first; 0 when not given.
    pub alpha: Option<f64>,
    /// step: epochs between two changes; 10 when not given.
    pub every_epochs: Option<usize>,
    /// step, reduce_on_plateau: the factor; 0.1 when not given.
    pub factor: Option<f64>,
    /// reduce_on_plateau: epochs without improvement before a change; 10 when not given.
    pub patience: Option<usize>,
    /// reduce_on_plateau: a smaller change is not an improvement; 0.0001 when not given.
    pub min_delta: Option<f64>,
    /// reduce_on_plateau: epochs after a change in which none is counted; 0 when not given.
    pub cooldown: Option<usize>,
    /// reduce_on_plateau: the rate never gets below this; 0 when not given.
    pub min_learning_rate: Option<f64>,
    /// reduce_on_plateau: what is watched; the loss of the validation rows, or of training where there are none.
    pub monitor: Option<Monitor>,
}

/// A rule for the learning rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
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

/// How the learning rate changes, with every setting that has an effect.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Schedule {
    /// No change.
    Constant,
    /// A factor every few epochs.
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
        /// A smaller change is not an improvement.
        min_delta: f64,
        /// Epochs after a change in which none is counted.
        cooldown: usize,
        /// The rate never gets below this.
        min_learning_rate: f64,
        /// What is watched; the loss of the validation rows, or of training where there are none.
        monitor: Option<Monitor>,
    },
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
    /// A smaller change is not an improvement.
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
        return Err(Problem::at(&place, "there are no validation rows to watch")
            .hint("add `validation_fraction = 0.1` to `[data]`, or watch `\"loss\"`"));
    }
    if is_accuracy && task == Task::Regression {
        return Err(Problem::at(&place, "regression has no accuracy")
            .hint("watch `\"loss\"` or `\"val_loss\"`"));
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
                "is needed: the steps for one factor of `decay_rate`",
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
