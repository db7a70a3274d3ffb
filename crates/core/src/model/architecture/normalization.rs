//! Layers that bring values to mean 0 and variance 1.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::argument::{ArgumentError, yes};
use super::layer_type::LayerType;
use super::parameter::{Initializer, Parameter};
use super::shape::{Misfit, n_channels};

/// Each channel of the last axis over the batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchNormalization {
    /// Momentum of the moving averages.
    #[serde(default = "momentum")]
    pub momentum: f64,
    /// Constant added to the variance for numerical stability.
    #[serde(default = "epsilon")]
    pub epsilon: f64,
    /// Whether to add a learned offset (beta).
    #[serde(default = "yes")]
    pub center: bool,
    /// Whether to multiply by a learned scale (gamma).
    #[serde(default = "yes")]
    pub scale: bool,
}

const fn momentum() -> f64 {
    0.99
}

const fn epsilon() -> f64 {
    1e-3
}

impl LayerType for BatchNormalization {
    fn check(&self) -> Result<(), ArgumentError> {
        if !(0.0..1.0).contains(&self.momentum) {
            return Err(ArgumentError::new("momentum", "must be in [0, 1)"));
        }
        check_epsilon(self.epsilon)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, Misfit> {
        n_channels(input).map(|_| input.to_vec())
    }

    fn parameters(&self, input: &[usize]) -> Result<Vec<Parameter>, Misfit> {
        let shape = vec![n_channels(input)?];
        let mut parameters = scale_and_center(self.scale, self.center, &shape);
        parameters.extend([
            Parameter::new("moving_mean", shape.clone(), Initializer::Zeros).fixed(),
            Parameter::new("moving_variance", shape, Initializer::Ones).fixed(),
        ]);
        Ok(parameters)
    }
}

/// The last axis of each row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LayerNormalization {
    /// Constant added to the variance for numerical stability.
    #[serde(default = "epsilon")]
    pub epsilon: f64,
    /// Whether to add a learned offset (beta).
    #[serde(default = "yes")]
    pub center: bool,
    /// Whether to multiply by a learned scale (gamma).
    #[serde(default = "yes")]
    pub scale: bool,
}

impl LayerType for LayerNormalization {
    fn check(&self) -> Result<(), ArgumentError> {
        check_epsilon(self.epsilon)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, Misfit> {
        n_channels(input).map(|_| input.to_vec())
    }

    fn parameters(&self, input: &[usize]) -> Result<Vec<Parameter>, Misfit> {
        let shape = [n_channels(input)?];
        Ok(scale_and_center(self.scale, self.center, &shape))
    }
}

/// Each value of the last axis by statistics of the training data, fitted before training.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Normalization {}

impl LayerType for Normalization {
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, Misfit> {
        n_channels(input).map(|_| input.to_vec())
    }

    fn parameters(&self, input: &[usize]) -> Result<Vec<Parameter>, Misfit> {
        let shape = vec![n_channels(input)?];
        Ok(vec![
            Parameter::new("mean", shape.clone(), Initializer::Zeros).fixed(),
            Parameter::new("variance", shape, Initializer::Ones).fixed(),
        ])
    }
}

fn check_epsilon(epsilon: f64) -> Result<(), ArgumentError> {
    if epsilon > 0.0 && epsilon.is_finite() {
        Ok(())
    } else {
        Err(ArgumentError::new("epsilon", "must be above 0"))
    }
}

fn scale_and_center(scale: bool, center: bool, shape: &[usize]) -> Vec<Parameter> {
    let gamma = scale.then(|| Parameter::new("gamma", shape.to_vec(), Initializer::Ones));
    let beta = center.then(|| Parameter::new("beta", shape.to_vec(), Initializer::Zeros));
    gamma.into_iter().chain(beta).collect()
}
