//! What the steps of a plan compute: one file an operation, with its sizes and the places of its tensors in its type.
//!
//! An operation is made from a layer and the shapes around it once, so that nothing in a batch's work can be missing.

mod activate;
mod batch_norm;
mod convolution;
mod dense;
mod depthwise;
mod drop_out;
mod embedding;
mod layer_norm;
mod leaky_relu;
mod normalize;
mod pad;
mod pool;
mod rescale;
mod up_sample;

use trainyard_core::model::architecture::Activation;

use super::buffers::{Marks, Needs, ShardBuffers};
use super::mode::Mode;
use crate::kernels::Buffer;
pub(super) use activate::Activate;
pub(super) use batch_norm::BatchNorm;
pub(super) use convolution::Convolution;
pub(super) use dense::{Dense, Placed};
pub(super) use depthwise::Depthwise;
pub(super) use drop_out::DropOut;
pub(super) use embedding::Embedding;
pub(super) use layer_norm::LayerNorm;
pub(super) use leaky_relu::LeakyRelu;
pub(super) use normalize::Normalize;
pub(super) use pad::Pad;
pub(super) use pool::{AveragePool, MaxPool, Pooled};
pub(super) use rescale::Rescale;
pub(super) use up_sample::UpSample;

/// What the workspace and the search for bad values need to know of any operation.
pub(super) trait Operation {
    /// The places of its tensors among the network's.
    fn parameters(&self) -> Vec<usize> {
        Vec::new()
    }

    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Whether a zero that comes out was cut off by a ReLU, so that its gradient is zero too; `input` says so of what
    /// comes in.
    fn keeps_relu_zeros(&self, _input: bool) -> bool {
        false
    }
}

/// An operation that treats each row on its own.
pub(super) trait RowOperation: Operation {
    fn forward(&self, at: Row<'_>, input: &[f32], output: Output<'_>, buffers: &mut ShardBuffers);

    /// Adds to the shard's gradients by parameters and sets the one by the input, where it is wanted. `gradient` is that
    /// by the output, and is used up.
    fn backward(
        &self,
        at: Row<'_>,
        passed: Passed<'_>,
        gradient: &mut [f32],
        input_gradient: Option<&mut [f32]>,
        buffers: &mut ShardBuffers,
    );
}

/// One row at one step.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) parameters: &'a [Buffer],
    pub(super) layer_idx: usize,
    /// Its place in the batch.
    pub(super) row_idx: usize,
    pub(super) mode: Mode,
}

impl<'a> Row<'a> {
    fn optional(self, idx: Option<usize>) -> Option<&'a [f32]> {
        idx.map(|idx| &*self.parameters[idx])
    }
}

/// What a step writes of one row; the marks are empty where there are none.
pub(super) struct Output<'a> {
    pub(super) values: &'a mut [f32],
    pub(super) places: &'a mut [u32],
    pub(super) cells: &'a mut [u8],
}

/// What the forward pass left of one row.
#[derive(Clone, Copy)]
pub(super) struct Passed<'a> {
    pub(super) input: &'a [f32],
    pub(super) output: &'a [f32],
    pub(super) places: &'a [u32],
    pub(super) cells: &'a [u8],
}

/// Declares [`Op`], and where it becomes one of the traits above.
macro_rules! operations {
    (rows: $($row:ident,)* ; batches: $($batch:ident,)*) => {
        /// An operation.
        #[derive(Debug, Clone)]
        pub(super) enum Op {
            Row(RowOp),
            $($batch($batch),)*
        }

        /// An operation that treats each row on its own.
        #[derive(Debug, Clone)]
        pub(super) enum RowOp {
            $($row($row),)*
        }

        impl Op {
            pub(super) fn operation(&self) -> &dyn Operation {
                match self {
                    $(Self::Row(RowOp::$row(op)) => op,)*
                    $(Self::$batch(op) => op,)*
                }
            }
        }

        impl RowOp {
            pub(super) fn operation(&self) -> &dyn RowOperation {
                match self {
                    $(Self::$row(op) => op,)*
                }
            }
        }

        $(impl From<$row> for Op {
            fn from(op: $row) -> Self {
                Self::Row(RowOp::$row(op))
            }
        })*

        $(impl From<$batch> for Op {
            fn from(op: $batch) -> Self {
                Self::$batch(op)
            }
        })*
    };
}

operations! {
    rows: Convolution, Depthwise, MaxPool, AveragePool, LayerNorm, LeakyRelu, Normalize, Rescale, DropOut, Activate, Pad, UpSample,;
    batches: Dense, BatchNorm, Embedding,
}

/// Hands out the places of a layer's tensors, in the order of its parameters.
#[derive(Debug)]
pub(super) struct Places {
    next: usize,
}

impl Places {
    pub(super) const fn from(next: usize) -> Self {
        Self { next }
    }

    pub(super) const fn next(&self) -> usize {
        self.next
    }

    fn take(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    fn take_if(&mut self, is_there: bool) -> Option<usize> {
        is_there.then(|| self.take())
    }
}

/// The last axis of a shape that a layer took for one with channels.
fn n_channels(shape: &[usize]) -> usize {
    *shape
        .last()
        .expect("`Layer::output_shape` refuses an input without axes")
}

/// A shape that a layer took for an image's.
fn image_axes(shape: &[usize]) -> [usize; 3] {
    shape
        .try_into()
        .expect("`Layer::output_shape` refuses an input that is not [height, width, channels]")
}

/// A sequence as an image of one row.
fn steps_axes(shape: &[usize]) -> [usize; 3] {
    let [steps, channels] = shape
        .try_into()
        .expect("`Layer::output_shape` refuses an input that is not [steps, channels]");
    [1, steps, channels]
}

/// The gradients by two tensors at once, those of a layer that has both or one of them.
fn two_of(gradients: &mut [Vec<f32>], places: [Option<usize>; 2]) -> [Option<&mut [f32]>; 2] {
    match places {
        [None, None] => [None, None],
        [Some(first), None] => [Some(&mut gradients[first]), None],
        [None, Some(second)] => [None, Some(&mut gradients[second])],
        [Some(first), Some(second)] => gradients
            .get_disjoint_mut([first, second])
            .expect("two tensors of the network have two places in it")
            .map(|gradient| Some(gradient.as_mut_slice())),
    }
}

/// The gradient by a kernel, which every layer with a bias has, and by its bias.
fn kernel_and_bias(
    gradients: &mut [Vec<f32>],
    kernel: usize,
    bias: Option<usize>,
) -> (&mut [f32], Option<&mut [f32]>) {
    match bias {
        None => (&mut gradients[kernel], None),
        Some(bias) => {
            let [kernel, bias] = gradients
                .get_disjoint_mut([kernel, bias])
                .expect("two tensors of the network have two places in it");
            (kernel, Some(bias))
        }
    }
}

const fn is_relu(activation: Activation) -> bool {
    matches!(activation, Activation::Relu)
}
