//! Activation functions, inside a layer or on their own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LayerType, Misfit};

/// An activation function, by Keras's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// The identity.
    #[default]
    Linear,
    /// `max(x, 0)`.
    Relu,
    /// `x`, or `0.2 x` where that is negative.
    LeakyRelu,
    /// `x`, or `e^x - 1` where it is negative.
    Elu,
    /// `elu` with the factors of Klambauer and others, 2017.
    Selu,
    /// `x Φ(x)`, with the normal distribution's Φ, not its approximation.
    Gelu,
    /// `x / (1 + e^-x)`, also known as swish.
    Silu,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// `ln(1 + e^x)`.
    Softplus,
    /// `e^x` over its sum along the last axis.
    Softmax,
}

/// An activation function on its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivationLayer {
    /// The activation function.
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
