//! The order of work for a list of layers: which run image by image, which as a whole.

use std::ops::Range;

use trainyard_core::model::architecture::{Activation, Layer, NamedLayer, Padding, same_padding};

use crate::kernels::conv::Conv2d;
use crate::kernels::pool::Windows;

/// What one step of the plan computes. Flatten is no work: rows are contiguous already.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Op {
    Conv(Conv2d),
    MaxPool(Windows),
    AveragePool(Windows),
    Dense {
        n_inputs: usize,
        n_units: usize,
        n_outer: usize,
        activation: Activation,
    },
    Dropout {
        rate: f32,
    },
    Activation(Activation),
}

/// A step, the sizes of one row before and after it, and its parameters.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub(super) op: Op,
    pub(super) n_inputs: usize,
    pub(super) n_outputs: usize,
    /// Index of the kernel among the network's parameters.
    pub(super) kernel: Option<usize>,
    /// Index of the bias among the network's parameters.
    pub(super) bias: Option<usize>,
}

/// Steps that run together.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Segment {
    /// Steps that treat each row on its own, run in shards of rows.
    Rows(Range<usize>),
    /// One dense step, run in blocks of its inputs.
    Dense(usize),
}

/// The order of work.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) segments: Vec<Segment>,
    pub(super) n_inputs: usize,
    pub(super) n_outputs: usize,
    /// Whether the last layer is a softmax, which training joins with the loss.
    pub(super) has_softmax: bool,
    /// Columns of the output, over which softmax runs.
    pub(super) n_columns: usize,
}

impl Plan {
    /// `shapes` are the input shape of every layer, then the output's.
    pub(super) fn new(layers: &[NamedLayer], shapes: &[Vec<usize>]) -> Self {
        let size = |shape: &Vec<usize>| shape.iter().product::<usize>();
        let mut steps: Vec<Step> = Vec::new();
        let mut n_parameters = 0;
        let mut has_softmax = false;
        for (named, pair) in layers.iter().zip(shapes.windows(2)) {
            let [input, output] = pair else { continue };
            let mut next_parameter = |is_there: bool| {
                n_parameters += usize::from(is_there);
                is_there.then(|| n_parameters - 1)
            };
            let (op, kernel, bias) = match &named.layer {
                Layer::Conv2D {
                    filters,
                    kernel_size,
                    strides,
                    padding,
                    activation,
                    use_bias,
                } => {
                    let windows = windows(input, output, *kernel_size, *strides, *padding);
                    let activation = without_softmax(*activation, &mut has_softmax);
                    let kernel = next_parameter(true);
                    (
                        Op::Conv(Conv2d {
                            windows,
                            filters: *filters,
                            activation,
                        }),
                        kernel,
                        next_parameter(*use_bias),
                    )
                }
                Layer::MaxPooling2D {
                    pool_size,
                    strides,
                    padding,
                } => (
                    Op::MaxPool(windows(input, output, *pool_size, *strides, *padding)),
                    None,
                    None,
                ),
                Layer::AveragePooling2D {
                    pool_size,
                    strides,
                    padding,
                } => (
                    Op::AveragePool(windows(input, output, *pool_size, *strides, *padding)),
                    None,
                    None,
                ),
                Layer::Flatten => continue,
                Layer::Dense {
                    units,
                    activation,
                    use_bias,
                } => {
                    let n_inputs = input.last().copied().unwrap_or(1);
                    let n_outer = size(input) / n_inputs;
                    let activation = without_softmax(*activation, &mut has_softmax);
                    let kernel = next_parameter(true);
                    (
                        Op::Dense {
                            n_inputs,
                            n_units: *units,
                            n_outer,
                            activation,
                        },
                        kernel,
                        next_parameter(*use_bias),
                    )
                }
                Layer::Dropout { rate } => (Op::Dropout { rate: *rate as f32 }, None, None),
                Layer::Activation { activation } => (
                    Op::Activation(without_softmax(*activation, &mut has_softmax)),
                    None,
                    None,
                ),
            };
            steps.push(Step {
                op,
                n_inputs: size(input),
                n_outputs: size(output),
                kernel,
                bias,
            });
        }
        let segments = segments(&steps);
        Self {
            steps,
            segments,
            n_inputs: shapes.first().map_or(0, size),
            n_outputs: shapes.last().map_or(0, size),
            has_softmax,
            n_columns: shapes
                .last()
                .and_then(|shape| shape.last().copied())
                .unwrap_or(1),
        }
    }
}

/// Softmax is applied to the network's output as a whole, or joined with the loss.
const fn without_softmax(activation: Activation, has_softmax: &mut bool) -> Activation {
    match activation {
        Activation::Softmax => {
            *has_softmax = true;
            Activation::Linear
        }
        other => other,
    }
}

fn segments(steps: &[Step]) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    for (idx, step) in steps.iter().enumerate() {
        match (&step.op, segments.last_mut()) {
            (Op::Dense { .. }, _) => segments.push(Segment::Dense(idx)),
            (_, Some(Segment::Rows(range))) => range.end = idx + 1,
            _ => segments.push(Segment::Rows(idx..idx + 1)),
        }
    }
    segments
}

fn windows(
    input: &[usize],
    output: &[usize],
    window: [usize; 2],
    strides: [usize; 2],
    padding: Padding,
) -> Windows {
    let axis = |shape: &[usize], axis: usize| shape.get(axis).copied().unwrap_or(1);
    let before = |along: usize| match padding {
        Padding::Valid => 0,
        Padding::Same => same_padding(axis(input, along), window[along], strides[along]).0,
    };
    Windows {
        input: [axis(input, 0), axis(input, 1)],
        channels: axis(input, 2),
        window,
        strides,
        padding: [before(0), before(1)],
        output: [axis(output, 0), axis(output, 1)],
    }
}
