//! Buffers of a network at work, used again from batch to batch.

use super::Network;
use super::ops::{Marks, Needs};
use super::plan::Segment;
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

impl Workspace {
    /// Buffers for scoring up to `capacity` rows at a time.
    pub fn for_scoring(network: &Network, capacity: usize) -> Self {
        let steps: Vec<(usize, Needs)> = network
            .plan
            .steps()
            .map(|(sizes, operation)| (sizes.n_outputs, operation.needs()))
            .collect();
        let largest = |of: fn(&Needs) -> usize| {
            let needs = steps.iter().map(|(_, needs)| of(needs));
            needs.max().unwrap_or(0)
        };
        let shard = ShardBuffers {
            scratch: vec![0.0; largest(|needs| needs.scratch)],
            image: vec![0.0; largest(|needs| needs.image)],
            moments: vec![Moments::default(); largest(|needs| needs.moments)],
            ..ShardBuffers::default()
        };
        Self {
            capacity,
            input: Buffer::zeros(capacity * network.plan.n_inputs),
            steps: steps
                .iter()
                .map(|(n_outputs, needs)| {
                    let len = capacity * n_outputs;
                    let marked = |marks: Marks| if needs.marks == marks { len } else { 0 };
                    StepBuffers {
                        out: Buffer::zeros(len),
                        places: vec![0; marked(Marks::Places)],
                        cells: vec![0; marked(Marks::Cells)],
                        moments: [(); 2].map(|()| vec![0.0; needs.moments]),
                    }
                })
                .collect(),
            segment_gradients: Vec::new(),
            gradients: Vec::new(),
            shards: vec![shard; capacity.div_ceil(SHARD_ROWS)],
            stretches: Buffer::zeros(capacity * largest(|needs| needs.stretches)),
        }
    }

    /// Buffers for training on up to `capacity` rows at a time.
    pub fn for_training(network: &Network, capacity: usize) -> Self {
        let mut workspace = Self::for_scoring(network, capacity);
        let plan = &network.plan;
        let trained = network.specs.iter().zip(&network.parameters);
        workspace.gradients = trained
            .map(|(spec, values)| Buffer::zeros(if spec.is_trainable { values.len() } else { 0 }))
            .collect();
        workspace.segment_gradients = plan
            .stages
            .iter()
            .map(|stage| Buffer::zeros(capacity * stage.segment.n_outputs()))
            .collect();
        let (mut widest, mut partials) = (0, vec![Vec::new(); network.parameters.len()]);
        for stage in &plan.stages {
            let Segment::Rows(steps) = &stage.segment else {
                continue;
            };
            for step in steps {
                widest = widest.max(step.sizes.n_inputs).max(step.sizes.n_outputs);
                for idx in step.op.operation().parameters() {
                    partials[idx] = vec![0.0; workspace.gradients[idx].len()];
                }
            }
        }
        for shard in &mut workspace.shards {
            shard.gradient = vec![0.0; widest];
            shard.next_gradient = vec![0.0; widest];
            shard.partials.clone_from(&partials);
        }
        workspace
    }

    /// The largest batch that fits.
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Where the rows of a batch are written, before preprocessing: `[n_rows, n_inputs]`.
    pub fn input_mut(&mut self, n_rows: usize) -> &mut [f32] {
        let row_len = self.input.len() / self.capacity.max(1);
        &mut self.input[..n_rows * row_len]
    }

    /// The rows that the last forward pass gave: `[n_rows, n_outputs]`.
    pub fn output(&self, network: &Network, n_rows: usize) -> &[f32] {
        let n_values = n_rows * network.plan.n_outputs;
        &self.last_output()[..n_values]
    }

    pub(super) fn last_output(&self) -> &[f32] {
        self.steps.last().map_or(&self.input, |last| &last.out)
    }

    /// The gradients that [`Network::gradients`] left, one buffer per parameter; empty for what is not trained.
    pub fn parameter_gradients(&self) -> &[Buffer] {
        &self.gradients
    }
}
