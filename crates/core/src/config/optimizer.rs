//! `[train.optimizer]`: as it is written, and the rule that it comes to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checks::{first_problem, is_not_negative, is_positive, is_share, refuse_foreign};
use super::error::Problem;

/// `[train.optimizer]`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Optimiser.
    #[serde(rename = "type")]
    pub kind: OptimizerKind,
    /// Learning rate; if not given, 0.01 for sgd and 0.001 for the others.
    pub learning_rate: Option<f64>,
    /// sgd, rmsprop: momentum; 0 if not given.
    pub momentum: Option<f64>,
    /// sgd: Nesterov momentum; false if not given.
    pub nesterov: Option<bool>,
    /// adam, adamw: exponential decay rate of the first moment; 0.9 if not given.
    pub beta_1: Option<f64>,
    /// adam, adamw: exponential decay rate of the second moment; 0.999 if not given.
    pub beta_2: Option<f64>,
    /// rmsprop: decay rate of the mean of squared gradients; 0.9 if not given.
    pub rho: Option<f64>,
    /// adam, adamw, rmsprop: constant added to the denominator for numerical stability; 1e-7 if not given.
    pub epsilon: Option<f64>,
    /// Weight decay, multiplied by the learning rate at each step; if not given, 0.004 for adamw and none for the others.
    pub weight_decay: Option<f64>,
    /// Clip the gradient of each tensor to this norm.
    pub clipnorm: Option<f64>,
    /// Clip the gradients of all tensors to this global norm.
    pub global_clipnorm: Option<f64>,
    /// Clip each value of a gradient to this magnitude.
    pub clipvalue: Option<f64>,
}

/// An optimiser, by Keras's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
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

/// An optimiser with every setting that has an effect.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Optimizer {
    /// Update rule.
    #[serde(flatten)]
    pub rule: UpdateRule,
    /// Learning rate.
    pub learning_rate: f64,
    /// Weight decay, multiplied by the learning rate at each step.
    pub weight_decay: f64,
    /// Gradient clipping, if any.
    #[serde(flatten)]
    pub clip: Option<Clip>,
}

/// An update rule and its settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum UpdateRule {
    /// Kingma and Ba, 2015, in Keras's form.
    Adam(AdamSettings),
    /// adam with decoupled weight decay.
    Adamw(AdamSettings),
    /// Gradient descent.
    Sgd {
        /// Momentum.
        momentum: f64,
        /// Nesterov momentum.
        nesterov: bool,
    },
    /// Hinton, 2012.
    Rmsprop {
        /// Exponential decay rate of the second moment.
        rho: f64,
        /// Momentum.
        momentum: f64,
        /// Constant added to the denominator for numerical stability.
        epsilon: f64,
    },
}

/// Settings of adam and adamw.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AdamSettings {
    /// Exponential decay rate of the first moment.
    pub beta_1: f64,
    /// Exponential decay rate of the second moment.
    pub beta_2: f64,
    /// Constant added to the denominator for numerical stability.
    pub epsilon: f64,
}

/// Gradient clipping.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum Clip {
    /// Each tensor's gradient to this norm.
    #[serde(rename = "clipnorm")]
    Norm(f64),
    /// All gradients to this global norm.
    #[serde(rename = "global_clipnorm")]
    GlobalNorm(f64),
    /// Each value to this magnitude.
    #[serde(rename = "clipvalue")]
    Value(f64),
}

impl OptimizerConfig {
    /// What it comes to.
    pub(super) fn resolve(&self) -> Result<Optimizer, Problem> {
        let Self {
            kind,
            learning_rate,
            momentum,
            nesterov,
            beta_1,
            beta_2,
            rho,
            epsilon,
            weight_decay,
            clipnorm,
            global_clipnorm,
            clipvalue,
        } = *self;
        let place = |key| ["train", "optimizer", key];
        first_problem(&[
            (
                &place("learning_rate"),
                learning_rate.is_none_or(is_positive),
                "must be above 0",
            ),
            (
                &place("momentum"),
                momentum.is_none_or(|momentum| (0.0..=1.0).contains(&momentum)),
                "must be in [0, 1]",
            ),
            (
                &place("beta_1"),
                beta_1.is_none_or(is_share),
                "must be in [0, 1)",
            ),
            (
                &place("beta_2"),
                beta_2.is_none_or(is_share),
                "must be in [0, 1)",
            ),
            (&place("rho"), rho.is_none_or(is_share), "must be in [0, 1)"),
            (
                &place("epsilon"),
                epsilon.is_none_or(is_positive),
                "must be above 0",
            ),
            (
                &place("weight_decay"),
                weight_decay.is_none_or(is_not_negative),
                "must not be negative",
            ),
            (
                &place("clipnorm"),
                clipnorm.is_none_or(is_positive),
                "must be above 0",
            ),
            (
                &place("global_clipnorm"),
                global_clipnorm.is_none_or(is_positive),
                "must be above 0",
            ),
            (
                &place("clipvalue"),
                clipvalue.is_none_or(is_positive),
                "must be above 0",
            ),
        ])?;
        let given = [
            ("momentum", momentum.is_some()),
            ("nesterov", nesterov.is_some()),
            ("beta_1", beta_1.is_some()),
            ("beta_2", beta_2.is_some()),
            ("rho", rho.is_some()),
            ("epsilon", epsilon.is_some()),
        ];
        let refuse =
            |kind: &str, own: &[&str]| refuse_foreign(["train", "optimizer"], kind, &given, own);
        let adam = AdamSettings {
            beta_1: beta_1.unwrap_or(0.9),
            beta_2: beta_2.unwrap_or(0.999),
            epsilon: epsilon.unwrap_or(1e-7),
        };
        let momentum = momentum.unwrap_or(0.0);
        let (rule, default_rate, default_decay) = match kind {
            OptimizerKind::Adam => {
                refuse("adam", &["beta_1", "beta_2", "epsilon"])?;
                (UpdateRule::Adam(adam), 0.001, 0.0)
            }
            OptimizerKind::Adamw => {
                refuse("adamw", &["beta_1", "beta_2", "epsilon"])?;
                (UpdateRule::Adamw(adam), 0.001, 0.004)
            }
            OptimizerKind::Sgd => {
                refuse("sgd", &["momentum", "nesterov"])?;
                let nesterov = nesterov.unwrap_or(false);
                (UpdateRule::Sgd { momentum, nesterov }, 0.01, 0.0)
            }
            OptimizerKind::Rmsprop => {
                refuse("rmsprop", &["rho", "momentum", "epsilon"])?;
                let rule = UpdateRule::Rmsprop {
                    rho: rho.unwrap_or(0.9),
                    momentum,
                    epsilon: epsilon.unwrap_or(1e-7),
                };
                (rule, 0.001, 0.0)
            }
        };
        let clip = match (clipnorm, global_clipnorm, clipvalue) {
            (None, None, None) => None,
            (Some(norm), None, None) => Some(Clip::Norm(norm)),
            (None, Some(norm), None) => Some(Clip::GlobalNorm(norm)),
            (None, None, Some(value)) => Some(Clip::Value(value)),
            _ => {
                return Err(Problem::at(
                    &place("clipvalue"),
                    "only one of `clipnorm`, `global_clipnorm` and `clipvalue` can be set",
                ));
            }
        };
        Ok(Optimizer {
            rule,
            learning_rate: learning_rate.unwrap_or(default_rate),
            weight_decay: weight_decay.unwrap_or(default_decay),
            clip,
        })
    }
}

/// adam with Keras's settings.
impl Default for Optimizer {
    fn default() -> Self {
        let adam = AdamSettings {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
        };
        Self {
            rule: UpdateRule::Adam(adam),
            learning_rate: 0.001,
            weight_decay: 0.0,
            clip: None,
        }
    }
}

impl Optimizer {
    /// The rule and its settings, as text: `adam (learning_rate 0.001, …)`.
    pub fn describe(&self) -> String {
        let mut settings = vec![("learning_rate", self.learning_rate)];
        let name = match self.rule {
            UpdateRule::Adam(adam) | UpdateRule::Adamw(adam) => {
                settings.extend([("beta_1", adam.beta_1), ("beta_2", adam.beta_2)]);
                settings.push(("epsilon", adam.epsilon));
                match self.rule {
                    UpdateRule::Adam(_) => "adam",
                    _ => "adamw",
                }
            }
            UpdateRule::Sgd { momentum, nesterov } => {
                settings.push(("momentum", momentum));
                if nesterov { "sgd with nesterov" } else { "sgd" }
            }
            UpdateRule::Rmsprop {
                rho,
                momentum,
                epsilon,
            } => {
                settings.extend([("rho", rho), ("momentum", momentum), ("epsilon", epsilon)]);
                "rmsprop"
            }
        };
        if self.weight_decay > 0.0 {
            settings.push(("weight_decay", self.weight_decay));
        }
        settings.extend(self.clip.map(|clip| match clip {
            Clip::Norm(norm) => ("clipnorm", norm),
            Clip::GlobalNorm(norm) => ("global_clipnorm", norm),
            Clip::Value(value) => ("clipvalue", value),
        }));
        let settings: Vec<String> = settings
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        format!("{name} ({})", settings.join(", "))
    }
}
