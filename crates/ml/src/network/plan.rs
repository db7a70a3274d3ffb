//! The order of work for a list of layers: which run row by row, which as a whole.

use trainyard_core::model::architecture::{Activation, Layer, NamedLayer};

use super::ops::{
    Activate, AveragePool, BatchNorm, Convolution, Dense, Depthwise, DropOut, Embedding, LayerNorm,
    LeakyRelu, MaxPool, Normalize, Op, Operation, Pad, Places, Pooled, Rescale, RowOp, UpSample,
};
use crate::kernels::activation;

/// An operation, and what is around it.
#[derive(Debug, Clone)]
pub(super) struct Step<O> {
    pub(super) op: O,
    pub(super) sizes: Sizes,
}

/// Values of one row before and after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) n_inputs: usize,
    pub(super) n_outputs: usize,
    /// Index of the layer that the step came from.
    pub(super) layer_idx: usize,
}

/// Steps that run together.
#[derive(Debug, Clone)]
pub(super) enum Segment {
    /// Steps that treat each row on its own, run in shards of rows; there is at least one.
    Rows(Vec<Step<RowOp>>),
    Dense(Step<Dense>),
    BatchNorm(Step<BatchNorm>),
    Embedding(Step<Embedding>),
}

/// A segment and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    pub(super) segment: Segment,
    /// Index of its first step among all.
    pub(super) first_step: usize,
}

/// The activation at the network's end, which training joins with the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    Linear,
    Softmax,
    Sigmoid,
}

/// The order of work.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) stages: Vec<Stage>,
    pub(super) n_inputs: usize,
    pub(super) n_outputs: usize,
    pub(super) head: Head,
    /// Columns of the output, over which softmax runs.
    pub(super) n_columns: usize,
}

impl Plan {
    /// `shapes` are the input shape of every layer, then the output's, as `architecture::shapes` gives them;
    /// `n_parameters` how many tensors each layer has.
    pub(super) fn new(
        layers: &[NamedLayer],
        shapes: &[Vec<usize>],
        n_parameters: &[usize],
    ) -> Self {
        let mut steps: Vec<Step<Op>> = Vec::new();
        let mut head = Head::Linear;
        let mut first_parameter = 0;
        for (layer_idx, named) in layers.iter().enumerate() {
            let (input, output) = (&shapes[layer_idx], &shapes[layer_idx + 1]);
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
            let is_layer = matches!(named.layer, Layer::Activation(_));
            let (joined, separate) = if activation::is_invertible(function) && !is_layer {
                (function, Activation::Linear)
            } else {
                (Activation::Linear, function)
            };
            let mut places = Places::from(first_parameter);
            let sizes = Sizes {
                n_inputs: size(input),
                n_outputs: size(output),
                layer_idx,
            };
            if let Some(op) = operation(&named.layer, input, output, joined, &mut places) {
                steps.push(Step { op, sizes });
            }
            first_parameter += n_parameters[layer_idx];
            assert_eq!(
                places.next(),
                first_parameter,
                "the operation of {} takes every tensor of its layer",
                named.layer.type_name()
            );
            if separate != Activation::Linear {
                let sizes = Sizes {
                    n_inputs: sizes.n_outputs,
                    ..sizes
                };
                let op = Activate::new(separate, output).into();
                steps.push(Step { op, sizes });
            }
        }
        let mut steps = join_pooling(steps);
        mark_sparse(&mut steps);
        let output = &shapes[layers.len()];
        Self {
            stages: stages(steps),
            n_inputs: size(&shapes[0]),
            n_outputs: size(output),
            head,
            // A row of one value has no axes.
            n_columns: output.last().copied().unwrap_or(1),
        }
    }

    /// All steps in order.
    pub(super) fn steps(&self) -> impl Iterator<Item = (Sizes, &dyn Operation)> {
        self.stages.iter().flat_map(|stage| stage.segment.steps())
    }
}

impl Segment {
    /// Its steps in order.
    pub(super) fn steps(&self) -> Vec<(Sizes, &dyn Operation)> {
        match self {
            Self::Rows(steps) => steps
                .iter()
                .map(|step| (step.sizes, step.op.operation() as &dyn Operation))
                .collect(),
            Self::Dense(step) => vec![(step.sizes, &step.op)],
            Self::BatchNorm(step) => vec![(step.sizes, &step.op)],
            Self::Embedding(step) => vec![(step.sizes, &step.op)],
        }
    }

    /// Values of one row that come out.
    pub(super) fn n_outputs(&self) -> usize {
        match self {
            Self::Rows(steps) => {
                let last = steps.last().expect("a segment of rows has a step");
                last.sizes.n_outputs
            }
            Self::Dense(step) => step.sizes.n_outputs,
            Self::BatchNorm(step) => step.sizes.n_outputs,
            Self::Embedding(step) => step.sizes.n_outputs,
        }
    }
}

fn size(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// What the layer computes; `None` where rows, which are contiguous already, stay as they are but for an activation.
fn operation(
    layer: &Layer,
    input: &[usize],
    output: &[usize],
    function: Activation,
    places: &mut Places,
) -> Option<Op> {
    Some(match layer {
        Layer::Conv1D(layer) => {
            Convolution::over_steps(layer, input, output, function, places).into()
        }
        Layer::Conv2D(layer) => {
            Convolution::over_images(layer, input, output, function, places).into()
        }
        Layer::DepthwiseConv2D(layer) => {
            Depthwise::new(layer, input, output, function, places).into()
        }
        Layer::MaxPooling1D(layer) => MaxPool::new(Pooled::over_steps(layer, input, output)).into(),
        Layer::MaxPooling2D(layer) => {
            MaxPool::new(Pooled::over_images(layer, input, output)).into()
        }
        Layer::AveragePooling1D(layer) => {
            AveragePool::new(Pooled::over_steps(layer, input, output)).into()
        }
        Layer::AveragePooling2D(layer) => {
            AveragePool::new(Pooled::over_images(layer, input, output)).into()
        }
        Layer::GlobalMaxPooling1D(_) | Layer::GlobalMaxPooling2D(_) => {
            MaxPool::new(Pooled::over_all(input)).into()
        }
        Layer::GlobalAveragePooling1D(_) | Layer::GlobalAveragePooling2D(_) => {
            AveragePool::new(Pooled::over_all(input)).into()
        }
        Layer::Dense(layer) => Dense::new(layer, input, function, places).into(),
        Layer::Embedding(layer) => Embedding::new(layer, input, places).into(),
        Layer::BatchNormalization(layer) => BatchNorm::new(layer, input, places).into(),
        Layer::LayerNormalization(layer) => LayerNorm::new(layer, input, places).into(),
        Layer::Normalization(_) => Normalize::new(input, places).into(),
        Layer::Rescaling(layer) => Rescale::new(layer).into(),
        Layer::Dropout(layer) => DropOut::new(layer).into(),
        Layer::LeakyReLU(layer) => LeakyRelu::new(layer).into(),
        Layer::ZeroPadding2D(layer) => Pad::new(layer, input).into(),
        Layer::UpSampling2D(layer) => UpSample::new(layer, input).into(),
        Layer::Activation(_) | Layer::Flatten(_) | Layer::Reshape(_) => return None,
    })
}

/// Joins maximum poolings with the convolutions before them, and uses the kernel for such first layers.
fn join_pooling(steps: Vec<Step<Op>>) -> Vec<Step<Op>> {
    let mut joined: Vec<Step<Op>> = Vec::new();
    for step in steps {
        if let (
            Op::Row(RowOp::MaxPool(pool)),
            Some(Step {
                op: Op::Row(RowOp::Convolution(convolution)),
                sizes,
            }),
        ) = (&step.op, joined.last_mut())
            && convolution.join(pool.windows())
        {
            sizes.n_outputs = step.sizes.n_outputs;
        } else {
            joined.push(step);
        }
    }
    if let Some(Step {
        op: Op::Row(RowOp::Convolution(convolution)),
        ..
    }) = joined.first_mut()
    {
        convolution.begin_network();
    }
    joined
}

/// Tells the dense steps whether their input comes from a ReLU, straight or through what keeps its zeros and their
/// gradient.
fn mark_sparse(steps: &mut [Step<Op>]) {
    let mut is_from_relu = false;
    for step in steps {
        if let Op::Dense(dense) = &mut step.op {
            dense.set_from_relu(is_from_relu);
        }
        is_from_relu = step.op.operation().keeps_relu_zeros(is_from_relu);
    }
}

fn stages(steps: Vec<Step<Op>>) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    for (first_step, Step { op, sizes }) in steps.into_iter().enumerate() {
        let segment = match (op, stages.last_mut().map(|stage| &mut stage.segment)) {
            (Op::Row(op), Some(Segment::Rows(steps))) => {
                steps.push(Step { op, sizes });
                continue;
            }
            (Op::Row(op), _) => Segment::Rows(vec![Step { op, sizes }]),
            (Op::Dense(op), _) => Segment::Dense(Step { op, sizes }),
            (Op::BatchNorm(op), _) => Segment::BatchNorm(Step { op, sizes }),
            (Op::Embedding(op), _) => Segment::Embedding(Step { op, sizes }),
        };
        stages.push(Stage {
            segment,
            first_step,
        });
    }
    stages
}
