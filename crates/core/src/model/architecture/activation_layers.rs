//! Activation functions as layers of their own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::activation::Activation;
use super::argument::ArgumentError;
use super::layer_type::LayerType;
use super::shape::Misfit;

/// An activation function on its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivationLayer {
    /// Activation function.
    pub activation: Activation,
}

impl LayerType for ActivationLayer {
    const EXAMPLE: &'static [&'static str] = &["activation = \"relu\""];

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, Misfit> {
        Ok(input.to_vec())
    }

    fn activation(&self) -> Activation {
        self.activation
    }
}

/// `x`, or `negative_slope * x` where that is negative.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeakyReLU {
    /// Slope for negative values.
    #[serde(default = "negative_slope")]
    pub negative_slope: f64,
}

const fn negative_slope() -> f64 {
    0.3
}

impl LayerType for LeakyReLU {
    fn check(&self) -> Result<(), ArgumentError> {
        if self.negative_slope >= 0.0 && self.negative_slope.is_finite() {
            Ok(())
        } else {
            let problem = "must be finite and not negative";
            Err(ArgumentError::new("negative_slope", problem))
        }
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, Misfit> {
        Ok(input.to_vec())
    }
}
