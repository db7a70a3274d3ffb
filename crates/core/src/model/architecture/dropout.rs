//! Random zeroes in training.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::argument::ArgumentError;
use super::layer_type::LayerType;
use super::shape::Misfit;

/// Zeroes a fraction of the values in training and scales the rest by `1 / (1 - rate)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// Dropout rate: the fraction of values set to zero, in [0, 1).
    pub rate: f64,
}

impl LayerType for Dropout {
    const EXAMPLE: &'static [&'static str] = &["rate = 0.5"];

    fn check(&self) -> Result<(), ArgumentError> {
        if (0.0..1.0).contains(&self.rate) {
            Ok(())
        } else {
            let problem = format!("{} is not in [0, 1)", self.rate);
            Err(ArgumentError::new("rate", problem))
        }
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, Misfit> {
        Ok(input.to_vec())
    }
}
