//! What a struct has to say to be a type of layer.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::activation::Activation;
use super::argument::ArgumentError;
use super::parameter::Parameter;
use super::shape::Misfit;

/// What every type of layer says of itself.
pub(super) trait LayerType: Serialize + DeserializeOwned + JsonSchema {
    /// The arguments that have no default, as a user may write them: `units = 128`.
    const EXAMPLE: &'static [&'static str] = &[];

    /// Whether it takes raw rows only, so that no layer may stand before it.
    const IS_FIRST: bool = false;

    /// Whether the arguments make sense, as far as they alone can tell.
    fn check(&self) -> Result<(), ArgumentError> {
        Ok(())
    }

    /// The shape that comes out for one input of shape `input`, both without the batch axis.
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, Misfit>;

    /// The tensors for an input of that shape, in Keras's order.
    fn parameters(&self, _input: &[usize]) -> Result<Vec<Parameter>, Misfit> {
        Ok(Vec::new())
    }

    /// The activation at the layer's end.
    fn activation(&self) -> Activation {
        Activation::Linear
    }
}
