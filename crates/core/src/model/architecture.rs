//! The layers of a Sequential network: names, arguments and defaults are Keras's.
//!
//! Comes in: a list of layers and the shape of one input. Goes out: each layer's output shape and parameter shapes.
//! Shapes exclude the batch axis; images are `[height, width, channels]`, as Keras lays them out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// Two-dimensional convolution (cross-correlation) over `[height, width, channels]`.
    Conv2D {
        /// Number of output channels.
        filters: usize,
        /// Height and width of the window.
        kernel_size: [usize; 2],
        /// Steps of the window down and across.
        strides: [usize; 2],
        /// Whether the border is padded with zeros.
        padding: Padding,
        /// Applied to the result.
        activation: Activation,
        /// Whether a bias is added.
        use_bias: bool,
    },
    /// The largest value of each window.
    MaxPooling2D {
        /// Height and width of the window.
        pool_size: [usize; 2],
        /// Steps of the window down and across.
        strides: [usize; 2],
        /// Whether windows may hang over the border.
        padding: Padding,
    },
    /// The mean of each window; padded cells do not count.
    AveragePooling2D {
        /// Height and width of the window.
        pool_size: [usize; 2],
        /// Steps of the window down and across.
        strides: [usize; 2],
        /// Whether windows may hang over the border.
        padding: Padding,
    },
    /// All axes joined into one, in row-major (NHWC) order.
    Flatten,
    /// `activation(x · kernel + bias)` over the last axis.
    Dense {
        /// Number of outputs.
        units: usize,
        /// Applied to the result.
        activation: Activation,
        /// Whether a bias is added.
        use_bias: bool,
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
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// `e^x` over its sum along the last axis.
    Softmax,
}

/// One trainable tensor of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSpec {
    /// `<layer>/kernel` or `<layer>/bias`.
    pub name: String,
    /// Keras layout: convolution kernels HWIO, dense kernels in x out.
    pub shape: Vec<usize>,
    /// Number of inputs that feed one output, for Glorot initialisation; 0 for a bias.
    pub fan_in: usize,
    /// Number of outputs that one input feeds, for Glorot initialisation; 0 for a bias.
    pub fan_out: usize,
}

/// Why layers do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// The layer wants another number of axes.
    #[error("{layer} needs an input of {wanted}, but receives {shape:?}")]
    Rank {
        /// Type of the layer.
        layer: &'static str,
        /// The axes it wants, in words.
        wanted: &'static str,
        /// What it receives, without the batch axis.
        shape: Vec<usize>,
    },
    /// The window is larger than the input.
    #[error("{layer} has a window of {window:?}, larger than its input of {shape:?}")]
    Window {
        /// Type of the layer.
        layer: &'static str,
        /// Height and width of the window.
        window: [usize; 2],
        /// What it receives, without the batch axis.
        shape: Vec<usize>,
    },
    /// A size that must be at least one is zero, or so large that it overflows.
    #[error("{layer} has a size of zero or one too large to compute with")]
    Size {
        /// Type of the layer.
        layer: &'static str,
    },
}

impl Layer {
    /// Keras's name of the layer type.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Conv2D { .. } => "Conv2D",
            Self::MaxPooling2D { .. } => "MaxPooling2D",
            Self::AveragePooling2D { .. } => "AveragePooling2D",
            Self::Flatten => "Flatten",
            Self::Dense { .. } => "Dense",
            Self::Dropout { .. } => "Dropout",
            Self::Activation { .. } => "Activation",
        }
    }

    /// The name that Keras would give the first such layer, before it counts.
    pub const fn default_name(&self) -> &'static str {
        match self {
            Self::Conv2D { .. } => "conv2d",
            Self::MaxPooling2D { .. } => "max_pooling2d",
            Self::AveragePooling2D { .. } => "average_pooling2d",
            Self::Flatten => "flatten",
            Self::Dense { .. } => "dense",
            Self::Dropout { .. } => "dropout",
            Self::Activation { .. } => "activation",
        }
    }

    /// The shape that this layer gives for one input of shape `input` (both without the batch axis).
    pub fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, ShapeError> {
        let layer = self.type_name();
        match self {
            Self::Conv2D {
                filters,
                kernel_size,
                strides,
                padding,
                ..
            } => {
                let [height, width, _] = image_axes(layer, input)?;
                let [rows, columns] =
                    windows(layer, [height, width], *kernel_size, *strides, *padding)?;
                at_least_one(layer, *filters)?;
                Ok(vec![rows, columns, *filters])
            }
            Self::MaxPooling2D {
                pool_size,
                strides,
                padding,
            }
            | Self::AveragePooling2D {
                pool_size,
                strides,
                padding,
            } => {
                let [height, width, channels] = image_axes(layer, input)?;
                let [rows, columns] =
                    windows(layer, [height, width], *pool_size, *strides, *padding)?;
                Ok(vec![rows, columns, channels])
            }
            Self::Flatten => {
                let size = input
                    .iter()
                    .try_fold(1_usize, |size, &axis| size.checked_mul(axis));
                Ok(vec![size.ok_or(ShapeError::Size { layer })?])
            }
            Self::Dense { units, .. } => {
                at_least_one(layer, *units)?;
                let Some((_, outer)) = input.split_last() else {
                    return Err(ShapeError::Rank {
                        layer,
                        wanted: "at least one axis",
                        shape: input.to_vec(),
                    });
                };
                Ok(outer.iter().copied().chain([*units]).collect())
            }
            Self::Dropout { .. } | Self::Activation { .. } => Ok(input.to_vec()),
        }
    }
}

impl NamedLayer {
    /// The trainable tensors of this layer for one input of shape `input`, kernel before bias.
    pub fn parameters(&self, input: &[usize]) -> Result<Vec<ParameterSpec>, ShapeError> {
        let layer = self.layer.type_name();
        let (kernel, outputs, use_bias, receptive) = match &self.layer {
            Layer::Conv2D {
                filters,
                kernel_size: [height, width],
                use_bias,
                ..
            } => {
                let [_, _, channels] = image_axes(layer, input)?;
                (
                    vec![*height, *width, channels, *filters],
                    *filters,
                    *use_bias,
                    height * width,
                )
            }
            Layer::Dense {
                units, use_bias, ..
            } => {
                let inputs = *input.last().ok_or_else(|| ShapeError::Rank {
                    layer,
                    wanted: "at least one axis",
                    shape: input.to_vec(),
                })?;
                (vec![inputs, *units], *units, *use_bias, 1)
            }
            _ => return Ok(Vec::new()),
        };
        let inputs = kernel[kernel.len() - 2];
        let mut parameters = vec![ParameterSpec {
            name: format!("{}/kernel", self.name),
            shape: kernel,
            fan_in: inputs * receptive,
            fan_out: outputs * receptive,
        }];
        if use_bias {
            let name = format!("{}/bias", self.name);
            parameters.push(ParameterSpec {
                name,
                shape: vec![outputs],
                fan_in: 0,
                fan_out: 0,
            });
        }
        Ok(parameters)
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
        let shape = named
            .layer
            .output_shape(&shapes[layer_idx])
            .map_err(|error| (layer_idx, error))?;
        shapes.push(shape);
    }
    Ok(shapes)
}

/// Number of zero rows or columns before and after an axis of `size` cells for Keras's `same` padding.
pub const fn same_padding(size: usize, window: usize, stride: usize) -> (usize, usize) {
    let n_windows = size.div_ceil(stride);
    let total = ((n_windows - 1) * stride + window).saturating_sub(size);
    (total / 2, total - total / 2)
}

fn image_axes(layer: &'static str, shape: &[usize]) -> Result<[usize; 3], ShapeError> {
    <[usize; 3]>::try_from(shape).map_err(|_| ShapeError::Rank {
        layer,
        wanted: "[height, width, channels]",
        shape: shape.to_vec(),
    })
}

fn at_least_one(layer: &'static str, size: usize) -> Result<(), ShapeError> {
    if size == 0 || size > 1 << 24 {
        Err(ShapeError::Size { layer })
    } else {
        Ok(())
    }
}

fn windows(
    layer: &'static str,
    size: [usize; 2],
    window: [usize; 2],
    strides: [usize; 2],
    padding: Padding,
) -> Result<[usize; 2], ShapeError> {
    for axis in window.into_iter().chain(strides).chain(size) {
        at_least_one(layer, axis)?;
    }
    let count = |axis: usize| match padding {
        Padding::Same => Some(size[axis].div_ceil(strides[axis])),
        Padding::Valid => size[axis]
            .checked_sub(window[axis])
            .map(|free| free / strides[axis] + 1),
    };
    match (count(0), count(1)) {
        (Some(rows), Some(columns)) => Ok([rows, columns]),
        _ => Err(ShapeError::Window {
            layer,
            window,
            shape: size.to_vec(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, layer: Layer) -> NamedLayer {
        NamedLayer {
            name: name.to_owned(),
            layer,
        }
    }

    /// Independent source: the shapes and parameter counts that Keras 3 prints in `model.summary()` for this network.
    #[test]
    fn the_articles_network_has_the_shapes_that_keras_prints() {
        let layers = [
            named(
                "conv2d",
                Layer::Conv2D {
                    filters: 32,
                    kernel_size: [3, 3],
                    strides: [1, 1],
                    padding: Padding::Valid,
                    activation: Activation::Relu,
                    use_bias: true,
                },
            ),
            named(
                "max_pooling2d",
                Layer::MaxPooling2D {
                    pool_size: [2, 2],
                    strides: [2, 2],
                    padding: Padding::Valid,
                },
            ),
            named("flatten", Layer::Flatten),
            named(
                "dense",
                Layer::Dense {
                    units: 128,
                    activation: Activation::Relu,
                    use_bias: true,
                },
            ),
            named(
                "dense_1",
                Layer::Dense {
                    units: 10,
                    activation: Activation::Softmax,
                    use_bias: true,
                },
            ),
        ];
        let shapes = shapes(&layers, &[28, 28, 1]).unwrap();
        let expected: [&[usize]; 6] = [
            &[28, 28, 1],
            &[26, 26, 32],
            &[13, 13, 32],
            &[5408],
            &[128],
            &[10],
        ];
        assert_eq!(shapes, expected);
        let counts: Vec<usize> = layers
            .iter()
            .zip(&shapes)
            .map(|(layer, input)| {
                layer
                    .parameters(input)
                    .unwrap()
                    .iter()
                    .map(|p| p.shape.iter().product::<usize>())
                    .sum()
            })
            .collect();
        assert_eq!(counts, [320, 0, 0, 692_352, 1_290]);
    }

    /// Independent source: TensorFlow's documented formula for `SAME`, worked by hand.
    #[test]
    fn same_padding_puts_the_odd_cell_last() {
        assert_eq!(same_padding(28, 3, 1), (1, 1));
        assert_eq!(same_padding(28, 3, 2), (0, 1));
        assert_eq!(same_padding(5, 2, 2), (0, 1));
        assert_eq!(same_padding(4, 2, 2), (0, 0));
    }

    #[test]
    fn layers_that_do_not_fit_say_what_they_need() {
        let pool = Layer::MaxPooling2D {
            pool_size: [9, 9],
            strides: [9, 9],
            padding: Padding::Valid,
        };
        assert!(
            pool.output_shape(&[4, 4, 1])
                .unwrap_err()
                .to_string()
                .contains("larger than its input")
        );
        assert!(
            pool.output_shape(&[16])
                .unwrap_err()
                .to_string()
                .contains("[height, width, channels]")
        );
    }
}
