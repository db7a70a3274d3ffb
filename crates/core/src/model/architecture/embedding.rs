//! A vector for each index.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::layer_type::LayerType;
use super::parameter::{Initializer, Parameter};
use super::shape::{Misfit, at_least_one, n_values};

/// A vector for each index in `[0, input_dim)`; the first layer only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Embedding {
    /// Size of the vocabulary.
    pub input_dim: usize,
    /// Dimension of the embedding.
    pub output_dim: usize,
}

impl LayerType for Embedding {
    const EXAMPLE: &'static [&'static str] = &["input_dim = 10000", "output_dim = 64"];
    const IS_FIRST: bool = true;

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, Misfit> {
        at_least_one(self.input_dim)?;
        at_least_one(self.output_dim)?;
        Ok(input.iter().copied().chain([self.output_dim]).collect())
    }

    fn parameters(&self, _input: &[usize]) -> Result<Vec<Parameter>, Misfit> {
        let shape = vec![self.input_dim, self.output_dim];
        n_values(&shape)?;
        Ok(vec![Parameter::new(
            "embeddings",
            shape,
            Initializer::Uniform,
        )])
    }
}
