//! The tensors of a layer: names, shapes in Keras layout, how they begin and whether they are trained.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shape::{ShapeError, image_axes, sequence_axes};
use super::{Conv, Dense, DepthwiseConv2D, Layer, NamedLayer};

/// One tensor of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterSpec {
    /// `<layer>/kernel`, `<layer>/bias`, ….
    pub name: String,
    /// Keras layout: convolution kernels HWIO, dense kernels in x out.
    pub shape: Vec<usize>,
    /// What it holds before training.
    pub initializer: Initializer,
    /// Whether an optimiser changes it.
    pub is_trainable: bool,
    /// Penalty on its size.
    pub regularizer: Option<Regularizer>,
}

/// What a tensor holds before training: Keras's defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Initializer {
    /// Uniform within `± sqrt(6 / (fan_in + fan_out))`.
    GlorotUniform {
        /// Number of inputs that feed one output.
        fan_in: usize,
        /// Number of outputs that one input feeds.
        fan_out: usize,
    },
    /// Uniform within `± 0.05`.
    Uniform,
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
}

/// A penalty `l1 * sum(|w|) + l2 * sum(w^2)` that is added to the loss.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Regularizer {
    /// Weight of the sum of magnitudes.
    pub l1: f64,
    /// Weight of the sum of squares.
    pub l2: f64,
}

/// A tensor before it belongs to a layer.
struct Part {
    name: &'static str,
    shape: Vec<usize>,
    initializer: Initializer,
    is_trainable: bool,
    regularizer: Option<Regularizer>,
}

impl Part {
    fn new(name: &'static str, shape: Vec<usize>, initializer: Initializer) -> Self {
        Self {
            name,
            shape,
            initializer,
            is_trainable: true,
            regularizer: None,
        }
    }

    fn with(mut self, regularizer: Option<Regularizer>) -> Self {
        self.regularizer = regularizer;
        self
    }

    fn fixed(mut self) -> Self {
        self.is_trainable = false;
        self
    }
}

impl NamedLayer {
    /// The tensors of this layer for one input of shape `input`, in Keras's order.
    pub fn parameters(&self, input: &[usize]) -> Result<Vec<ParameterSpec>, ShapeError> {
        let layer = self.layer.type_name();
        let n_channels = || {
            input.last().copied().ok_or_else(|| ShapeError::Rank {
                layer,
                wanted: "at least one axis",
                shape: input.to_vec(),
            })
        };
        let parts = match &self.layer {
            Layer::Conv1D(conv) => convolution(conv, sequence_axes(layer, input)?[1]),
            Layer::Conv2D(conv) => convolution(conv, image_axes(layer, input)?[2]),
            Layer::DepthwiseConv2D(conv) => depthwise(conv, image_axes(layer, input)?[2]),
            Layer::Dense(dense) => fully_connected(dense, n_channels()?),
            Layer::Embedding {
                input_dim,
                output_dim,
            } => {
                let shape = vec![*input_dim, *output_dim];
                vec![Part::new("embeddings", shape, Initializer::Uniform)]
            }
            Layer::BatchNormalization { center, scale, .. } => {
                let shape = vec![n_channels()?];
                let moving = [
                    Part::new("moving_mean", shape.clone(), Initializer::Zeros).fixed(),
                    Part::new("moving_variance", shape.clone(), Initializer::Ones).fixed(),
                ];
                scale_and_center(*scale, *center, &shape)
                    .chain(moving)
                    .collect()
            }
            Layer::LayerNormalization { center, scale, .. } => {
                scale_and_center(*scale, *center, &[n_channels()?]).collect()
            }
            Layer::Normalization => {
                let shape = vec![n_channels()?];
                vec![
                    Part::new("mean", shape.clone(), Initializer::Zeros).fixed(),
                    Part::new("variance", shape, Initializer::Ones).fixed(),
                ]
            }
            _ => Vec::new(),
        };
        Ok(parts
            .into_iter()
            .map(|part| ParameterSpec {
                name: format!("{}/{}", self.name, part.name),
                shape: part.shape,
                initializer: part.initializer,
                is_trainable: part.is_trainable,
                regularizer: part.regularizer,
            })
            .collect())
    }
}

fn kernel_and_bias(
    shape: Vec<usize>,
    n_outputs: usize,
    use_bias: bool,
    regularizers: [Option<Regularizer>; 2],
) -> Vec<Part> {
    let (outer, [fan_in, fan_out]) = match shape.as_slice() {
        [outer @ .., fan_in, fan_out] => (outer, [*fan_in, *fan_out]),
        _ => (&[][..], [1, 1]),
    };
    let receptive: usize = outer.iter().product();
    let glorot = Initializer::GlorotUniform {
        fan_in: fan_in * receptive,
        fan_out: fan_out * receptive,
    };
    let bias = use_bias
        .then(|| Part::new("bias", vec![n_outputs], Initializer::Zeros).with(regularizers[1]));
    let kernel = Part::new("kernel", shape, glorot).with(regularizers[0]);
    [kernel].into_iter().chain(bias).collect()
}

fn convolution<const N: usize>(conv: &Conv<N>, channels: usize) -> Vec<Part> {
    let shape = [conv.kernel_size.as_slice(), &[channels, conv.filters]].concat();
    let regularizers = [conv.kernel_regularizer, conv.bias_regularizer];
    kernel_and_bias(shape, conv.filters, conv.use_bias, regularizers)
}

fn depthwise(conv: &DepthwiseConv2D, channels: usize) -> Vec<Part> {
    let shape = [
        conv.kernel_size.as_slice(),
        &[channels, conv.depth_multiplier],
    ]
    .concat();
    let regularizers = [conv.kernel_regularizer, conv.bias_regularizer];
    let n_outputs = channels * conv.depth_multiplier;
    kernel_and_bias(shape, n_outputs, conv.use_bias, regularizers)
}

fn fully_connected(dense: &Dense, n_inputs: usize) -> Vec<Part> {
    let regularizers = [dense.kernel_regularizer, dense.bias_regularizer];
    let shape = vec![n_inputs, dense.units];
    kernel_and_bias(shape, dense.units, dense.use_bias, regularizers)
}

fn scale_and_center(scale: bool, center: bool, shape: &[usize]) -> impl Iterator<Item = Part> {
    let gamma = scale.then(|| Part::new("gamma", shape.to_vec(), Initializer::Ones));
    let beta = center.then(|| Part::new("beta", shape.to_vec(), Initializer::Zeros));
    gamma.into_iter().chain(beta)
}
