//! The closed list of steps from a raw row to what the first layer receives.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A step from raw features to what the first layer receives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Preprocessing {
    /// Divide every value by this number, as in `x / 255`.
    DivideBy(f64),
    /// `(x - mean) / std` for every value.
    Normalize {
        /// Subtracted from every value.
        mean: f64,
        /// Divides every value; positive.
        std: f64,
    },
}

impl Preprocessing {
    /// Applies the step in place.
    #[inline]
    pub fn apply(&self, values: &mut [f32]) {
        match *self {
            Self::DivideBy(divisor) => {
                let divisor = divisor as f32;
                values.iter_mut().for_each(|value| *value /= divisor);
            }
            Self::Normalize { mean, std } => {
                let (mean, std) = (mean as f32, std as f32);
                values
                    .iter_mut()
                    .for_each(|value| *value = (*value - mean) / std);
            }
        }
    }
}
