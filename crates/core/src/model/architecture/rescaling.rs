//! A fixed factor and offset.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::argument::ArgumentError;
use super::layer_type::LayerType;
use super::shape::Misfit;

/// `x * scale + offset`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rescaling {
    /// Scale.
    pub scale: f64,
    /// Offset.
    #[serde(default)]
    pub offset: f64,
}

impl LayerType for Rescaling {
    const EXAMPLE: &'static [&'static str] = &["scale = 0.00392156862745098"];

    fn check(&self) -> Result<(), ArgumentError> {
        for (argument, value) in [("scale", self.scale), ("offset", self.offset)] {
            if !value.is_finite() {
                return Err(ArgumentError::new(argument, "must be a finite number"));
            }
        }
        Ok(())
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, Misfit> {
        Ok(input.to_vec())
    }
}
