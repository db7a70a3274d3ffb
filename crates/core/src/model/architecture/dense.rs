//! Fully connected layers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::activation::Activation;
use super::argument::{ArgumentError, yes};
use super::layer_type::LayerType;
use super::parameter::{Parameter, Regularizer, check_regularizers, kernel_and_bias};
use super::shape::{Misfit, at_least_one, n_channels};

/// Arguments of a fully connected layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dense {
    /// Number of units (outputs).
    pub units: usize,
    /// Activation function.
    #[serde(default)]
    pub activation: Activation,
    /// Whether to add a bias.
    #[serde(default = "yes")]
    pub use_bias: bool,
    /// Regulariser of the kernel, such as `{ l2 = 0.0001 }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_regularizer: Option<Regularizer>,
    /// Regulariser of the bias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias_regularizer: Option<Regularizer>,
}

impl LayerType for Dense {
    const EXAMPLE: &'static [&'static str] = &["units = 128"];

    fn check(&self) -> Result<(), ArgumentError> {
        check_regularizers([self.kernel_regularizer, self.bias_regularizer])
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, Misfit> {
        at_least_one(self.units)?;
        n_channels(input)?;
        let mut shape = input.to_vec();
        shape.pop();
        shape.push(self.units);
        Ok(shape)
    }

    fn parameters(&self, input: &[usize]) -> Result<Vec<Parameter>, Misfit> {
        kernel_and_bias(
            &[],
            [n_channels(input)?, self.units],
            self.units,
            self.use_bias,
            [self.kernel_regularizer, self.bias_regularizer],
        )
    }

    fn activation(&self) -> Activation {
        self.activation
    }
}
