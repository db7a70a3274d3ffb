//! What a batch needs while a network works on it, and how much of it each operation asks for.

use crate::kernels::Buffer;
use crate::kernels::norm::Moments;

/// Rows that one shard works on. Sums over rows are taken shard by shard, so it decides results and never changes.
pub(super) const SHARD_ROWS: usize = 16;

/// Buffers for batches of up to a fixed number of rows.
#[derive(Debug, Clone)]
pub struct Workspace {
    pub(super) capacity: usize,
    pub(super) input: Buffer,
    pub(super) steps: Vec<StepBuffers>,
    /// By each segment's output; empty for scoring.
    pub(super) segment_gradients: Vec<Buffer>,
    /// By each parameter; empty for scoring and for what is not trained.
    pub(super) gradients: Vec<Buffer>,
    pub(super) shards: Vec<ShardBuffers>,
    /// Parts of a dense layer's output, one for each stretch of its inputs.
    pub(super) stretches: Buffer,
}

#[derive(Debug, Clone, Default)]
pub(super) struct StepBuffers {
    pub(super) out: Buffer,
    /// Where each maximum lies in its image.
    pub(super) places: Vec<u32>,
    /// Which cell of its window each maximum came from, where one kernel convolves and pools.
    pub(super) cells: Vec<u8>,
    /// Mean and variance of each channel of the last batch.
    pub(super) moments: [Vec<f32>; 2],
}

/// What a step receives: the output of the last of the steps `before` it, or the batch where it is the first.
pub(super) fn received<'a>(input: &'a [f32], before: &'a [StepBuffers]) -> &'a [f32] {
    before.last().map_or(input, |step| &step.out)
}

/// What each shard needs for itself.
#[derive(Debug, Clone, Default)]
pub(super) struct ShardBuffers {
    pub(super) scratch: Vec<f32>,
    /// A convolution's output before it is pooled, and the gradient by it.
    pub(super) image: Vec<f32>,
    pub(super) gradient: Vec<f32>,
    pub(super) next_gradient: Vec<f32>,
    /// This shard's part of the gradient of each parameter of a step that works row by row.
    pub(super) partials: Vec<Vec<f32>>,
    /// This shard's part of a batch normalisation's sums.
    pub(super) moments: Vec<Moments>,
}

impl ShardBuffers {
    /// The sums of a batch normalisation; names the type where closures cannot.
    pub(super) fn moments_of(shard: &mut Self) -> &mut [Moments] {
        &mut shard.moments
    }
}

/// What a workspace has to hold for an operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// Scratch values of a shard.
    pub(super) scratch: usize,
    /// Values of an image before it is pooled, for a shard.
    pub(super) image: usize,
    /// Channels whose moments are taken over the batch.
    pub(super) moments: usize,
    /// Values of a row's parts of an output that is summed up from parts.
    pub(super) stretches: usize,
    /// What is remembered of each maximum.
    pub(super) marks: Marks,
}

/// What is remembered of each output value that is a maximum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Marks {
    /// It is not a maximum.
    #[default]
    None,
    /// Where it lies in its image.
    Places,
    /// Which cell of its window it came from.
    Cells,
}
