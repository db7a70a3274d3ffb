//! Buffers for a network, made once and used again from batch to batch.

use super::Network;
use super::buffers::{Marks, Needs, SHARD_ROWS, ShardBuffers, StepBuffers, Workspace};
use super::plan::Segment;
use crate::kernels::Buffer;
use crate::kernels::norm::Moments;

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
