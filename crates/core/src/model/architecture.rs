//! The layers of a Sequential network: names, arguments and defaults are Keras's.
//!
//! Comes in: a list of layers and the shape of one input. Goes out: each layer's output shape and parameter shapes.
//! Shapes exclude the batch axis; images are `[height, width, channels]`, sequences `[steps, channels]`, as in Keras.

mod parameter;
mod shape;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use parameter::{Initializer, ParameterSpec, Regularizer};
pub use shape::{ShapeError, effective_window, same_padding, shapes};

/// A layer and the name under which its tensors are stored (`<name>/kernel`, `<name>/bias`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedLayer {
    /// Unique within the model, Keras-style (`conv2d`, `dense_1`) when not given.
    pub name: String,
    /// What the layer computes.
    pub layer: Layer,
}

/// One layer of a Sequential network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Layer {
    /// Convolution (cross-correlation) over `[steps, channels]`.
    Conv1D(Conv<1>),
    /// Convolution (cross-correlation) over `[height, width, channels]`.
    Conv2D(Conv<2>),
    /// Convolution of each channel on its own, over `[height, width, channels]`.
    DepthwiseConv2D(DepthwiseConv2D),
    /// The largest value of each window over `[steps, channels]`.
    MaxPooling1D(Pooling<1>),
    /// The largest value of each window over `[height, width, channels]`.
    MaxPooling2D(Pooling<2>),
    /// The mean of each window over `[steps, channels]`; padded cells do not count.
    AveragePooling1D(Pooling<1>),
    /// The mean of each window over `[height, width, channels]`; padded cells do not count.
    AveragePooling2D(Pooling<2>),
    /// The largest value of each channel over all steps.
    GlobalMaxPooling1D,
    /// The largest value of each channel over the whole image.
    GlobalMaxPooling2D,
    /// The mean of each channel over all steps.
    GlobalAveragePooling1D,
    /// The mean of each channel over the whole image.
    GlobalAveragePooling2D,
    /// `activation(x · kernel + bias)` over the last axis.
    Dense(Dense),
    /// A vector for each index in `[0, input_dim)`; the first layer only.
    Embedding {
        /// Number of indices.
        input_dim: usize,
        /// Length of a vector.
        output_dim: usize,
    },
    /// Each channel of the last axis to mean 0 and variance 1 over the batch, then scaled and moved.
    BatchNormalization {
        /// Share of the moving averages that a step keeps.
        momentum: f64,
        /// Added to the variance.
        epsilon: f64,
        /// Whether a learnt offset is added.
        center: bool,
        /// Whether a learnt factor is applied.
        scale: bool,
    },
    /// The last axis to mean 0 and variance 1, then scaled and moved.
    LayerNormalization {
        /// Added to the variance.
        epsilon: f64,
        /// Whether a learnt offset is added.
        center: bool,
        /// Whether a learnt factor is applied.
        scale: bool,
    },
    /// Each value of the last axis to mean 0 and variance 1, by figures taken from the training data before training.
    Normalization,
    /// `x * scale + offset`.
    Rescaling {
        /// The factor.
        scale: f64,
        /// The offset.
        offset: f64,
    },
    /// In training, zeroes a share of the values and scales the rest by `1 / (1 - rate)`; otherwise the identity.
    Dropout {
        /// Share of values set to zero, in `[0, 1)`.
        rate: f64,
    },
    /// An activation function on its own.
    Activation {
        /// The function.
        activation: Activation,
    },
    /// All axes joined into one, in row-major (NHWC) order.
    Flatten,
    /// Another shape for the same values in row-major order.
    Reshape {
        /// The new axes; one of them may be -1, for what is left.
        target_shape: Vec<i64>,
    },
    /// Rows and columns of zeros around an image.
    ZeroPadding2D {
        /// `[[top, bottom], [left, right]]`.
        padding: [[usize; 2]; 2],
    },
}

/// Arguments of a convolution over `N` axes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conv<const N: usize> {
    /// Number of output channels.
    pub filters: usize,
    /// Size of the window along each axis.
    #[serde(with = "axes")]
    #[schemars(with = "Vec<usize>")]
    pub kernel_size: [usize; N],
    /// Steps of the window along each axis.
    #[serde(with = "axes")]
    #[schemars(with = "Vec<usize>")]
    pub strides: [usize; N],
    /// Whether the border is padded with zeros.
    pub padding: Padding,
    /// Distance of the values under a window, along each axis.
    #[serde(with = "axes")]
    #[schemars(with = "Vec<usize>")]
    pub dilation_rate: [usize; N],
    /// Applied to the result.
    pub activation: Activation,
    /// Whether a bias is added.
    pub use_bias: bool,
    /// Penalty on the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_regularizer: Option<Regularizer>,
    /// Penalty on the bias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias_regularizer: Option<Regularizer>,
}

/// Arguments of a depthwise convolution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DepthwiseConv2D {
    /// Height and width of the window.
    pub kernel_size: [usize; 2],
    /// Steps of the window down and across.
    pub strides: [usize; 2],
    /// Whether the border is padded with zeros.
    pub padding: Padding,
    /// Distance of the values under a window, down and across.
    pub dilation_rate: [usize; 2],
    /// Output channels for each input channel.
    pub depth_multiplier: usize,
    /// Applied to the result.
    pub activation: Activation,
    /// Whether a bias is added.
    pub use_bias: bool,
    /// Penalty on the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_regularizer: Option<Regularizer>,
    /// Penalty on the bias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias_regularizer: Option<Regularizer>,
}

/// Arguments of a pooling over `N` axes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pooling<const N: usize> {
    /// Size of the window along each axis.
    #[serde(with = "axes")]
    #[schemars(with = "Vec<usize>")]
    pub pool_size: [usize; N],
    /// Steps of the window along each axis.
    #[serde(with = "axes")]
    #[schemars(with = "Vec<usize>")]
    pub strides: [usize; N],
    /// Whether windows may hang over the border.
    pub padding: Padding,
}

/// Arguments of a fully connected layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dense {
    /// Number of outputs.
    pub units: usize,
    /// Applied to the result.
    pub activation: Activation,
    /// Whether a bias is added.
    pub use_bias: bool,
    /// Penalty on the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_regularizer: Option<Regularizer>,
    /// Penalty on the bias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias_regularizer: Option<Regularizer>,
}

/// serde knows arrays of a fixed length only one by one; as lists they are the same JSON.
mod axes {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer, const N: usize>(
        axes: &[usize; N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        axes.as_slice().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        deserializer: D,
    ) -> Result<[usize; N], D::Error> {
        let axes = Vec::<usize>::deserialize(deserializer)?;
        let len = axes.len();
        axes.try_into()
            .map_err(|_| D::Error::custom(format!("{len} axes instead of {N}")))
    }
}

/// How a window meets the border, as in Keras.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// Windows lie wholly inside the input.
    #[default]
    Valid,
    /// Output size is input size divided by the stride, rounded up; an odd pad goes below and to the right.
    Same,
}

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

impl Layer {
    /// Keras's name of the layer type, and the name that it gives the first such layer, before it counts.
    const fn names(&self) -> (&'static str, &'static str) {
        match self {
            Self::Conv1D(_) => ("Conv1D", "conv1d"),
            Self::Conv2D(_) => ("Conv2D", "conv2d"),
            Self::DepthwiseConv2D(_) => ("DepthwiseConv2D", "depthwise_conv2d"),
            Self::MaxPooling1D(_) => ("MaxPooling1D", "max_pooling1d"),
            Self::MaxPooling2D(_) => ("MaxPooling2D", "max_pooling2d"),
            Self::AveragePooling1D(_) => ("AveragePooling1D", "average_pooling1d"),
            Self::AveragePooling2D(_) => ("AveragePooling2D", "average_pooling2d"),
            Self::GlobalMaxPooling1D => ("GlobalMaxPooling1D", "global_max_pooling1d"),
            Self::GlobalMaxPooling2D => ("GlobalMaxPooling2D", "global_max_pooling2d"),
            Self::GlobalAveragePooling1D => ("GlobalAveragePooling1D", "global_average_pooling1d"),
            Self::GlobalAveragePooling2D => ("GlobalAveragePooling2D", "global_average_pooling2d"),
            Self::Dense(_) => ("Dense", "dense"),
            Self::Embedding { .. } => ("Embedding", "embedding"),
            Self::BatchNormalization { .. } => ("BatchNormalization", "batch_normalization"),
            Self::LayerNormalization { .. } => ("LayerNormalization", "layer_normalization"),
            Self::Normalization => ("Normalization", "normalization"),
            Self::Rescaling { .. } => ("Rescaling", "rescaling"),
            Self::Dropout { .. } => ("Dropout", "dropout"),
            Self::Activation { .. } => ("Activation", "activation"),
            Self::Flatten => ("Flatten", "flatten"),
            Self::Reshape { .. } => ("Reshape", "reshape"),
            Self::ZeroPadding2D { .. } => ("ZeroPadding2D", "zero_padding2d"),
        }
    }

    /// Keras's name of the layer type.
    pub const fn type_name(&self) -> &'static str {
        self.names().0
    }

    /// The name that Keras would give the first such layer, before it counts.
    pub const fn default_name(&self) -> &'static str {
        self.names().1
    }

    /// The activation at the layer's end.
    pub const fn activation(&self) -> Activation {
        match self {
            Self::Conv1D(conv) => conv.activation,
            Self::Conv2D(conv) => conv.activation,
            Self::DepthwiseConv2D(conv) => conv.activation,
            Self::Dense(dense) => dense.activation,
            Self::Activation { activation } => *activation,
            _ => Activation::Linear,
        }
    }
}

#[cfg(test)]
mod tests;
