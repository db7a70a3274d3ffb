//! The layers of a Sequential network: names, arguments and defaults are Keras's.
//!
//! Comes in: a list of layers and the shape of one input. Goes out: each layer's output shape and parameter shapes.
//! Shapes exclude the batch axis; images are `[height, width, channels]`, sequences `[steps, channels]`, as in Keras.
//!
//! A layer is a struct that implements `LayerType`, in the file of its family, and one line of [`Layer`]. The struct
//! is at once what `[[model.layers]]` and Keras's JSON say and what `model.json` keeps: serde fills Keras's defaults in
//! while it reads, so nothing after it asks whether an argument was given.

mod activation;
mod activation_layers;
mod argument;
mod axes;
mod convolution;
mod dense;
mod dropout;
mod embedding;
mod layer_type;
mod normalization;
mod parameter;
mod pooling;
mod rescaling;
mod reshaping;
mod shape;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

pub use activation::Activation;
pub use activation_layers::{ActivationLayer, LeakyReLU};
pub use argument::ArgumentError;
pub use convolution::{Conv, DepthwiseConv2D, Padding, effective_window, same_padding};
pub use dense::Dense;
pub use dropout::Dropout;
pub use embedding::Embedding;
use layer_type::LayerType;
pub use normalization::{BatchNormalization, LayerNormalization, Normalization};
use parameter::Parameter;
pub use parameter::{Initializer, ParameterSpec, Regularizer};
pub use pooling::{GlobalPooling, Pooling};
pub use rescaling::Rescaling;
pub use reshaping::{Flatten, Interpolation, Reshape, UpSampling2D, ZeroPadding2D};
use shape::n_values;
pub use shape::{Misfit, ShapeError};

/// A layer and the name under which its tensors are stored (`<name>/kernel`, `<name>/bias`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedLayer {
    /// Unique within the model, Keras-style (`conv2d`, `dense_1`) when not given.
    pub name: String,
    /// What the layer computes.
    pub layer: Layer,
}

/// Declares [`Layer`]: for each type Keras's name, the name that Keras gives the first such layer, and its struct.
macro_rules! layers {
    ($($(#[$doc:meta])* $kind:ident($default_name:literal, $layer:ty),)*) => {
        /// One layer of a Sequential network.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "type", deny_unknown_fields)]
        pub enum Layer {
            $($(#[$doc])* $kind($layer),)*
        }

        impl Layer {
            /// Keras's names of all types.
            pub const TYPES: &'static [&'static str] = &[$(stringify!($kind)),*];

            /// Reads the arguments of a layer of the type `kind`; `None` where there is no such type.
            ///
            /// The types are told apart here rather than by serde, which forgets where in the file an argument of an
            /// internally tagged enum stands.
            pub(crate) fn read<'de, D: serde::Deserializer<'de>>(
                kind: &str,
                arguments: D,
            ) -> Option<Result<Self, D::Error>> {
                match kind {
                    $(stringify!($kind) => Some(<$layer>::deserialize(arguments).map(Self::$kind)),)*
                    _ => None,
                }
            }

            /// The schema of each type's arguments.
            pub(crate) fn argument_schemas(generator: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
                vec![$((stringify!($kind), <$layer as JsonSchema>::json_schema(generator))),*]
            }

            /// How a user may write the arguments of the type `kind` that have no default.
            pub(crate) fn example(kind: &str) -> &'static [&'static str] {
                match kind {
                    $(stringify!($kind) => <$layer as LayerType>::EXAMPLE,)*
                    _ => &[],
                }
            }

            /// Keras's name of the layer type.
            pub const fn type_name(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => stringify!($kind),)*
                }
            }

            /// The name that Keras would give the first such layer, before it counts.
            pub const fn default_name(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => $default_name,)*
                }
            }

            /// Whether no layer may stand before it.
            pub const fn is_first(&self) -> bool {
                match self {
                    $(Self::$kind(_) => <$layer as LayerType>::IS_FIRST,)*
                }
            }

            /// Whether the arguments make sense, as far as they alone can tell.
            pub fn check(&self) -> Result<(), ArgumentError> {
                match self {
                    $(Self::$kind(layer) => layer.check(),)*
                }
            }

            /// The activation at the layer's end.
            pub fn activation(&self) -> Activation {
                match self {
                    $(Self::$kind(layer) => layer.activation(),)*
                }
            }

            /// The shape that this layer gives for one input of shape `input` (both without the batch axis).
            pub fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, ShapeError> {
                let shape = match self {
                    $(Self::$kind(layer) => layer.output_shape(input),)*
                };
                shape.map_err(|misfit| misfit.of(self.type_name()))
            }

            fn own_parameters(&self, input: &[usize]) -> Result<Vec<Parameter>, Misfit> {
                match self {
                    $(Self::$kind(layer) => layer.parameters(input),)*
                }
            }
        }
    };
}

layers! {
    /// Convolution (cross-correlation) over `[steps, channels]`.
    Conv1D("conv1d", Conv<1>),
    /// Convolution (cross-correlation) over `[height, width, channels]`.
    Conv2D("conv2d", Conv<2>),
    /// Convolution of each channel on its own, over `[height, width, channels]`.
    DepthwiseConv2D("depthwise_conv2d", DepthwiseConv2D),
    /// The largest value of each window over `[steps, channels]`.
    MaxPooling1D("max_pooling1d", Pooling<1>),
    /// The largest value of each window over `[height, width, channels]`.
    MaxPooling2D("max_pooling2d", Pooling<2>),
    /// The mean of each window over `[steps, channels]`; padded cells do not count.
    AveragePooling1D("average_pooling1d", Pooling<1>),
    /// The mean of each window over `[height, width, channels]`; padded cells do not count.
    AveragePooling2D("average_pooling2d", Pooling<2>),
    /// The largest value of each channel over all steps.
    GlobalMaxPooling1D("global_max_pooling1d", GlobalPooling<1>),
    /// The largest value of each channel over the whole image.
    GlobalMaxPooling2D("global_max_pooling2d", GlobalPooling<2>),
    /// The mean of each channel over all steps.
    GlobalAveragePooling1D("global_average_pooling1d", GlobalPooling<1>),
    /// The mean of each channel over the whole image.
    GlobalAveragePooling2D("global_average_pooling2d", GlobalPooling<2>),
    /// `activation(x · kernel + bias)` over the last axis.
    Dense("dense", Dense),
    /// A vector for each index in `[0, input_dim)`; the first layer only.
    Embedding("embedding", Embedding),
    /// Each channel of the last axis to mean 0 and variance 1 over the batch, then scaled and shifted.
    BatchNormalization("batch_normalization", BatchNormalization),
    /// The last axis to mean 0 and variance 1, then scaled and shifted.
    LayerNormalization("layer_normalization", LayerNormalization),
    /// Each value of the last axis to mean 0 and variance 1, by statistics of the training data, fitted before training.
    Normalization("normalization", Normalization),
    /// `x * scale + offset`.
    Rescaling("rescaling", Rescaling),
    /// In training, zeroes a fraction of the values and scales the rest by `1 / (1 - rate)`; otherwise the identity.
    Dropout("dropout", Dropout),
    /// An activation function on its own.
    Activation("activation", ActivationLayer),
    /// `x`, or `negative_slope * x` where that is negative.
    LeakyReLU("leaky_re_lu", LeakyReLU),
    /// All axes joined into one, in row-major (NHWC) order.
    Flatten("flatten", Flatten),
    /// Another shape for the same values in row-major order.
    Reshape("reshape", Reshape),
    /// Rows and columns of zeros around an image.
    ZeroPadding2D("zero_padding2d", ZeroPadding2D),
    /// Rows and columns of an image, each repeated.
    UpSampling2D("up_sampling2d", UpSampling2D),
}

impl NamedLayer {
    /// The tensors of this layer for one input of shape `input`, in Keras's order.
    pub fn parameters(&self, input: &[usize]) -> Result<Vec<ParameterSpec>, ShapeError> {
        let parameters = self
            .layer
            .own_parameters(input)
            .map_err(|misfit| misfit.of(self.layer.type_name()))?;
        Ok(parameters
            .into_iter()
            .map(|parameter| parameter.named(&self.name))
            .collect())
    }
}

/// The input shape of every layer, then the shape of the output: `layers.len() + 1` shapes.
///
/// On failure the index of the layer that does not fit comes with the reason.
pub fn shapes(
    layers: &[NamedLayer],
    input: &[usize],
) -> Result<Vec<Vec<usize>>, (usize, ShapeError)> {
    let mut shapes = vec![input.to_vec()];
    for (layer_idx, named) in layers.iter().enumerate() {
        let input = &shapes[layer_idx];
        let shape = named
            .layer
            .output_shape(input)
            // Weights that are too large to hold are as bad as such values.
            .and_then(|shape| named.parameters(input).map(|_| shape))
            .and_then(|shape| match n_values(&shape) {
                Ok(_) => Ok(shape),
                Err(misfit) => Err(misfit.of(named.layer.type_name())),
            })
            .map_err(|error| (layer_idx, error))?;
        shapes.push(shape);
    }
    Ok(shapes)
}

#[cfg(test)]
mod tests;
