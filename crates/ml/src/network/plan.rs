//! The order of work for a list of layers: which run row by row, which as a whole.

use std::ops::Range;

use trainyard_core::model::architecture::{
    Activation, Conv, Layer, NamedLayer, Padding, Pooling, effective_window, same_padding,
};

use crate::kernels::activation;
use crate::kernels::conv::Conv2d;
use crate::kernels::grey_conv::GreyConv;
use crate::kernels::pool::Windows;
use crate::kernels::sparse;

/// What one step of the plan computes. Flatten and Reshape are no work: rows are contiguous already.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Op {
    /// With its activation, and the maximum pooling that follows it where one does.
    Conv {
        conv: Box<Conv2d>,
        activation: Activation,
        pool: Option<Windows>,
        /// Where one kernel does all three, of a network that begins so: nobody asks for the gradient by its input.
        grey: Option<GreyConv>,
    },
    Depthwise {
        windows: Windows,
        multiplier: usize,
        activation: Activation,
    },
    MaxPool(Windows),
    AveragePool(Windows),
    Dense {
        n_inputs: usize,
        n_units: usize,
        n_outer: usize,
        activation: Activation,
        /// Whether its input comes from a ReLU, and its size allows to pass over the zeros: where the input is zero,
        /// nobody asks for the gradient by it.
        is_sparse: bool,
    },
    Embedding {
        n_indices: usize,
        len: usize,
    },
    BatchNorm {
        n_channels: usize,
        momentum: f64,
        epsilon: f64,
    },
    LayerNorm {
        n_columns: usize,
        epsilon: f64,
    },
    Normalize {
        n_channels: usize,
    },
    Rescale {
        scale: f32,
        offset: f32,
    },
    Dropout {
        rate: f32,
    },
    Activation {
        function: Activation,
        n_columns: usize,
    },
    /// Rows and columns of zeros around `[height, width, channels]`.
    Pad {
        input: [usize; 3],
        before: [usize; 2],
        width: usize,
    },
}

/// A step, the sizes of one row before and after it, and its parameters.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub(super) op: Op,
    pub(super) n_inputs: usize,
    pub(super) n_outputs: usize,
    /// Index of the layer that it came from.
    pub(super) layer_idx: usize,
    /// Index of the kernel (gamma, mean, embeddings) among the network's parameters.
    pub(super) kernel: Option<usize>,
    /// Index of the bias (beta, variance) among the network's parameters.
    pub(super) bias: Option<usize>,
    /// Indices of a batch normalisation's moving mean and variance.
    pub(super) moving: Option<[usize; 2]>,
}

/// Steps that run together.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Segment {
    /// Steps that treat each row on its own, run in shards of rows.
    Rows(Range<usize>),
    /// One dense step.
    Dense(usize),
    /// One batch normalisation.
    BatchNorm(usize),
    /// The embedding.
    Embedding(usize),
}

/// The activation at the network's end, which training joins with the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    Linear,
    Softmax,
    Sigmoid,
}

/// The order of work.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) segments: Vec<Segment>,
    pub(super) n_inputs: usize,
    pub(super) n_outputs: usize,
    pub(super) head: Head,
    /// Columns of the output, over which softmax runs.
    pub(super) n_columns: usize,
}

impl Plan {
    /// `shapes` are the input shape of every layer, then the output's; `n_parameters` how many tensors each layer has.
    pub(super) fn new(
        layers: &[NamedLayer],
        shapes: &[Vec<usize>],
        n_parameters: &[usize],
    ) -> Self {
        let mut steps: Vec<Step> = Vec::new();
        let mut head = Head::Linear;
        let mut first_parameter = 0;
        for (layer_idx, (named, pair)) in layers.iter().zip(shapes.windows(2)).enumerate() {
            let [input, output] = pair else { continue };
            let parameters = first_parameter..first_parameter + n_parameters[layer_idx];
            first_parameter = parameters.end;
            let is_last = layer_idx + 1 == layers.len();
            let function = match named.layer.activation() {
                Activation::Softmax if is_last => {
                    head = Head::Softmax;
                    Activation::Linear
                }
                Activation::Sigmoid if is_last => {
                    head = Head::Sigmoid;
                    Activation::Linear
                }
                other => other,
            };
            // A function whose gradient needs its input is a step of its own, which keeps it.
            let is_layer = matches!(named.layer, Layer::Activation { .. });
            let (joined, separate) = if activation::is_invertible(function) && !is_layer {
                (function, Activation::Linear)
            } else {
                (Activation::Linear, function)
            };
            let step = Step {
                op: Op::Activation {
                    function: separate,
                    n_columns: output.last().copied().unwrap_or(1),
                },
                n_inputs: size(output),
                n_outputs: size(output),
                layer_idx,
                kernel: None,
                bias: None,
                moving: None,
            };
            if let Some(op) = op(&named.layer, input, output, joined) {
                let before = Step {
                    op,
                    n_inputs: size(input),
                    ..step.clone()
                };
                steps.push(with_parameters(before, &named.layer, parameters));
            }
            if separate != Activation::Linear {
                steps.push(step);
            }
        }
        let steps = mark_sparse(mark_grey(join_pooling(steps)));
        let segments = segments(&steps);
        Self {
            steps,
            segments,
            n_inputs: shapes.first().map_or(0, |shape| size(shape)),
            n_outputs: shapes.last().map_or(0, |shape| size(shape)),
            head,
            n_columns: shapes
                .last()
                .and_then(|shape| shape.last().copied())
                .unwrap_or(1),
        }
    }
}

fn size(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// What the layer computes; `None` where nothing is to be done but an activation.
fn op(layer: &Layer, input: &[usize], output: &[usize], activation: Activation) -> Option<Op> {
    let last = input.last().copied().unwrap_or(1);
    Some(match layer {
        Layer::Conv1D(conv) => convolution(
            &over_steps(conv),
            &with_height(input),
            &with_height(output),
            activation,
        ),
        Layer::Conv2D(conv) => convolution(conv, input, output, activation),
        Layer::DepthwiseConv2D(conv) => Op::Depthwise {
            windows: windows(
                input,
                output,
                conv.kernel_size,
                conv.strides,
                conv.dilation_rate,
                conv.padding,
            ),
            multiplier: conv.depth_multiplier,
            activation,
        },
        Layer::MaxPooling1D(pool) => Op::MaxPool(pooling_over_steps(pool, input, output)),
        Layer::AveragePooling1D(pool) => Op::AveragePool(pooling_over_steps(pool, input, output)),
        Layer::MaxPooling2D(pool) => Op::MaxPool(pooling(pool, input, output)),
        Layer::AveragePooling2D(pool) => Op::AveragePool(pooling(pool, input, output)),
        Layer::GlobalMaxPooling1D | Layer::GlobalMaxPooling2D => Op::MaxPool(global(input)),
        Layer::GlobalAveragePooling1D | Layer::GlobalAveragePooling2D => {
            Op::AveragePool(global(input))
        }
        Layer::Dense(dense) => Op::Dense {
            n_inputs: last,
            n_units: dense.units,
            n_outer: size(input) / last.max(1),
            activation,
            is_sparse: false,
        },
        Layer::Embedding {
            input_dim,
            output_dim,
        } => Op::Embedding {
            n_indices: *input_dim,
            len: *output_dim,
        },
        Layer::BatchNormalization {
            momentum, epsilon, ..
        } => Op::BatchNorm {
            n_channels: last,
            momentum: *momentum,
            epsilon: *epsilon,
        },
        Layer::LayerNormalization { epsilon, .. } => Op::LayerNorm {
            n_columns: last,
            epsilon: *epsilon,
        },
        Layer::Normalization => Op::Normalize { n_channels: last },
        Layer::Rescaling { scale, offset } => Op::Rescale {
            scale: *scale as f32,
            offset: *offset as f32,
        },
        Layer::Dropout { rate } => Op::Dropout { rate: *rate as f32 },
        Layer::ZeroPadding2D {
            padding: [[top, _], [left, _]],
        } => Op::Pad {
            input: [0, 1, 2].map(|axis| input.get(axis).copied().unwrap_or(1)),
            before: [*top, *left],
            width: output.get(1).copied().unwrap_or(1),
        },
        Layer::Activation { .. } | Layer::Flatten | Layer::Reshape { .. } => return None,
    })
}

fn with_parameters(step: Step, layer: &Layer, parameters: Range<usize>) -> Step {
    let mut rest = parameters;
    let (has_first, has_second) = match layer {
        Layer::BatchNormalization { center, scale, .. }
        | Layer::LayerNormalization { center, scale, .. } => (*scale, *center),
        _ => (!rest.is_empty(), rest.len() > 1),
    };
    let kernel = has_first.then(|| rest.next()).flatten();
    let bias = has_second.then(|| rest.next()).flatten();
    let moving = rest
        .next()
        .zip(rest.next())
        .map(|(mean, variance)| [mean, variance]);
    Step {
        kernel,
        bias,
        moving,
        ..step
    }
}

/// Joins a maximum pooling with the convolution before it: the maximum may be taken before a monotone activation, and
/// the larger image is never kept.
fn join_pooling(steps: Vec<Step>) -> Vec<Step> {
    let mut joined: Vec<Step> = Vec::new();
    for step in steps {
        match (&step.op, joined.last_mut()) {
            (
                Op::MaxPool(windows),
                Some(Step {
                    op:
                        Op::Conv {
                            activation,
                            pool: pool @ None,
                            ..
                        },
                    n_outputs,
                    ..
                }),
            ) if activation::is_monotone(*activation) => {
                *pool = Some(*windows);
                *n_outputs = step.n_outputs;
            }
            _ => joined.push(step),
        }
    }
    joined
}

fn mark_grey(mut steps: Vec<Step>) -> Vec<Step> {
    if let Some(Step {
        op:
            Op::Conv {
                conv,
                activation: Activation::Relu,
                pool: Some(pool),
                grey,
            },
        ..
    }) = steps.first_mut()
    {
        *grey = GreyConv::new(&conv.windows, conv.filters, pool);
    }
    steps
}

/// Finds the dense steps whose input comes from a ReLU, straight or through what keeps its zeros and their gradient.
fn mark_sparse(mut steps: Vec<Step>) -> Vec<Step> {
    let mut is_from_relu = false;
    for step in &mut steps {
        if let Op::Dense {
            n_inputs,
            n_units,
            is_sparse,
            ..
        } = &mut step.op
        {
            *is_sparse = is_from_relu && sparse::serves(*n_inputs, *n_units);
        }
        is_from_relu = match &step.op {
            Op::Conv { activation, .. }
            | Op::Depthwise { activation, .. }
            | Op::Dense { activation, .. }
            | Op::Activation {
                function: activation,
                ..
            } => *activation == Activation::Relu,
            // The largest of values from a ReLU is zero only where all are.
            Op::MaxPool(_) | Op::Dropout { .. } => is_from_relu,
            _ => false,
        };
    }
    steps
}

fn segments(steps: &[Step]) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    for (idx, step) in steps.iter().enumerate() {
        match (&step.op, segments.last_mut()) {
            (Op::Dense { .. }, _) => segments.push(Segment::Dense(idx)),
            (Op::BatchNorm { .. }, _) => segments.push(Segment::BatchNorm(idx)),
            (Op::Embedding { .. }, _) => segments.push(Segment::Embedding(idx)),
            (_, Some(Segment::Rows(range))) => range.end = idx + 1,
            _ => segments.push(Segment::Rows(idx..idx + 1)),
        }
    }
    segments
}

/// A sequence as an image of one row.
fn with_height(shape: &[usize]) -> Vec<usize> {
    [&[1], shape].concat()
}

fn over_steps(conv: &Conv<1>) -> Conv<2> {
    let [kernel_size] = conv.kernel_size;
    let [strides] = conv.strides;
    let [dilation_rate] = conv.dilation_rate;
    Conv {
        filters: conv.filters,
        kernel_size: [1, kernel_size],
        strides: [1, strides],
        padding: conv.padding,
        dilation_rate: [1, dilation_rate],
        activation: conv.activation,
        use_bias: conv.use_bias,
        kernel_regularizer: conv.kernel_regularizer,
        bias_regularizer: conv.bias_regularizer,
    }
}

fn convolution(conv: &Conv<2>, input: &[usize], output: &[usize], activation: Activation) -> Op {
    let windows = windows(
        input,
        output,
        conv.kernel_size,
        conv.strides,
        conv.dilation_rate,
        conv.padding,
    );
    Op::Conv {
        conv: Box::new(Conv2d::new(windows, conv.filters)),
        activation,
        pool: None,
        grey: None,
    }
}

fn pooling(pool: &Pooling<2>, input: &[usize], output: &[usize]) -> Windows {
    windows(
        input,
        output,
        pool.pool_size,
        pool.strides,
        [1, 1],
        pool.padding,
    )
}

fn pooling_over_steps(pool: &Pooling<1>, input: &[usize], output: &[usize]) -> Windows {
    let ([window], [strides]) = (pool.pool_size, pool.strides);
    windows(
        &with_height(input),
        &with_height(output),
        [1, window],
        [1, strides],
        [1, 1],
        pool.padding,
    )
}

/// One window over everything but the channels.
fn global(input: &[usize]) -> Windows {
    let channels = input.last().copied().unwrap_or(1);
    let n_cells = size(input) / channels.max(1);
    let whole = [1, n_cells];
    windows(
        &[1, n_cells, channels],
        &[1, 1, channels],
        whole,
        whole,
        [1, 1],
        Padding::Valid,
    )
}

fn windows(
    input: &[usize],
    output: &[usize],
    window: [usize; 2],
    strides: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
) -> Windows {
    let axis = |shape: &[usize], axis: usize| shape.get(axis).copied().unwrap_or(1);
    let reach = effective_window(window, dilation);
    let before = |along: usize| match padding {
        Padding::Valid => 0,
        Padding::Same => same_padding(axis(input, along), reach[along], strides[along]).0,
    };
    Windows {
        input: [axis(input, 0), axis(input, 1)],
        channels: axis(input, 2),
        window,
        strides,
        dilation,
        padding: [before(0), before(1)],
        output: [axis(output, 0), axis(output, 1)],
    }
}
