//! Activation functions, by which many layers end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
