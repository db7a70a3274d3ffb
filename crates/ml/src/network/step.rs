//! Forward and backward over one batch, in buffers that are used again for the next.

use super::Network;
use super::plan::{Op, Segment, Step};
use crate::data::Labels;
use crate::kernels::loss::{self, BatchLoss};
use crate::kernels::matmul::{Matrix, matmul};
use crate::kernels::{activation, pool};
use crate::random::{Purpose, Stream};
use crate::threads::Threads;

/// Rows that one shard works on: small enough that its images stay in the L2 cache from layer to layer.
const SHARD_ROWS: usize = 16;

/// Inputs of a dense layer that one block works on.
const BLOCK_INPUTS: usize = 512;

/// What a forward pass is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Dropout is the identity.
    Score,
    /// Dropout draws by the seed and the number of the optimiser step.
    Train {
        /// The run's seed.
        seed: u64,
        /// Optimiser steps before this one.
        step: u32,
    },
}

/// Buffers for batches of up to a fixed number of rows.
#[derive(Debug, Clone)]
pub struct Workspace {
    capacity: usize,
    input: Vec<f32>,
    pub(super) steps: Vec<StepBuffers>,
    /// By each segment's output; empty for scoring.
    segment_gradients: Vec<Vec<f32>>,
    /// By each parameter; empty for scoring.
    gradients: Vec<Vec<f32>>,
    shards: Vec<ShardBuffers>,
    blocks: Vec<f32>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct StepBuffers {
    pub(super) out: Vec<f32>,
    argmax: Vec<u32>,
}

/// What each shard needs for itself.
#[derive(Debug, Clone, Default)]
struct ShardBuffers {
    unrolled: Vec<f32>,
    gradient: Vec<f32>,
    next_gradient: Vec<f32>,
    /// This shard's part of each parameter's gradient; empty where the parameter belongs to a dense layer.
    partials: Vec<Vec<f32>>,
}

impl Workspace {
    /// Buffers for scoring up to `capacity` rows at a time.
    pub fn for_scoring(network: &Network, capacity: usize) -> Self {
        let steps = &network.plan.steps;
        let unrolled = |step: &Step| {
            if let Op::Conv(conv) = &step.op {
                conv.scratch_len()
            } else {
                0
            }
        };
        let unrolled = steps.iter().map(unrolled).max().unwrap_or(0);
        let blocks = steps.iter().map(|step| match step.op {
            Op::Dense {
                n_inputs,
                n_units,
                n_outer,
                ..
            } => {
                let n_rows = capacity * n_outer;
                (n_inputs.div_ceil(BLOCK_INPUTS) * n_rows * n_units).max(n_rows * n_inputs)
            }
            _ => 0,
        });
        let shard = ShardBuffers {
            unrolled: vec![0.0; unrolled],
            ..ShardBuffers::default()
        };
        Self {
            capacity,
            input: vec![0.0; capacity * network.plan.n_inputs],
            steps: steps
                .iter()
                .map(|step| StepBuffers {
                    out: vec![0.0; capacity * step.n_outputs],
                    argmax: match step.op {
                        Op::MaxPool(_) => vec![0; capacity * step.n_outputs],
                        _ => Vec::new(),
                    },
                })
                .collect(),
            segment_gradients: Vec::new(),
            gradients: Vec::new(),
            shards: vec![shard; capacity.div_ceil(SHARD_ROWS)],
            blocks: vec![0.0; blocks.max().unwrap_or(0)],
        }
    }

    /// Buffers for training on up to `capacity` rows at a time.
    pub fn for_training(network: &Network, capacity: usize) -> Self {
        let mut workspace = Self::for_scoring(network, capacity);
        let plan = &network.plan;
        workspace.gradients = network
            .parameters
            .iter()
            .map(|values| vec![0.0; values.len()])
            .collect();
        let last_step = |segment: &Segment| match segment {
            Segment::Rows(range) => range.end - 1,
            Segment::Dense(idx) => *idx,
        };
        workspace.segment_gradients = plan
            .segments
            .iter()
            .map(|segment| vec![0.0; capacity * plan.steps[last_step(segment)].n_outputs])
            .collect();
        let widest = plan
            .steps
            .iter()
            .map(|step| step.n_inputs.max(step.n_outputs))
            .max()
            .unwrap_or(0);
        let mut partials = vec![Vec::new(); network.parameters.len()];
        for step in plan
            .steps
            .iter()
            .filter(|step| matches!(step.op, Op::Conv(_)))
        {
            for idx in step.kernel.into_iter().chain(step.bias) {
                partials[idx] = vec![0.0; network.parameters[idx].len()];
            }
        }
        for shard in &mut workspace.shards {
            shard.gradient = vec![0.0; SHARD_ROWS * widest];
            shard.next_gradient = vec![0.0; SHARD_ROWS * widest];
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
        match self.steps.last() {
            Some(last) => &last.out[..n_rows * network.plan.n_outputs],
            None => &self.input[..n_rows * network.plan.n_inputs],
        }
    }

    /// The gradients that [`Network::gradients`] left, one buffer per parameter.
    pub fn parameter_gradients(&self) -> &[Vec<f32>] {
        &self.gradients
    }
}

impl Network {
    /// Scores the preprocessed rows in `workspace`; read them with [`Workspace::output`].
    pub fn score(&self, workspace: &mut Workspace, n_rows: usize, threads: &Threads) {
        self.forward(workspace, n_rows, Mode::Score, threads);
        if let (true, Some(last)) = (self.plan.has_softmax, workspace.steps.last_mut()) {
            let output = &mut last.out[..n_rows * self.plan.n_outputs];
            activation::forward(
                trainyard_core::model::architecture::Activation::Softmax,
                output,
                self.plan.n_columns,
            );
        }
    }

    /// The loss of the preprocessed rows in `workspace`, and the gradient of its mean by every parameter.
    ///
    /// # Panics
    /// If `labels` are fewer than `n_rows`, or the workspace is one for scoring.
    pub fn gradients(
        &self,
        workspace: &mut Workspace,
        labels: &Labels,
        mode: Mode,
        threads: &Threads,
    ) -> BatchLoss {
        let n_rows = labels.len();
        self.forward(workspace, n_rows, mode, threads);
        let (Some(last), Some(gradient)) = (
            workspace.steps.last(),
            workspace.segment_gradients.last_mut(),
        ) else {
            return BatchLoss::default();
        };
        let len = n_rows * self.plan.n_outputs;
        gradient[..len].copy_from_slice(&last.out[..len]);
        let loss = match labels {
            Labels::Class(labels) => {
                loss::softmax_cross_entropy(&mut gradient[..len], labels, self.plan.n_columns)
            }
            Labels::Value(labels) => loss::squared_error(&mut gradient[..len], labels),
        };
        for segment_idx in (0..self.plan.segments.len()).rev() {
            match &self.plan.segments[segment_idx] {
                Segment::Rows(range) => {
                    self.rows_backward(
                        workspace,
                        segment_idx,
                        range.clone(),
                        n_rows,
                        mode,
                        threads,
                    );
                }
                Segment::Dense(idx) => {
                    self.dense_backward(workspace, segment_idx, *idx, n_rows, threads);
                }
            }
        }
        loss
    }

    pub(super) fn forward(
        &self,
        workspace: &mut Workspace,
        n_rows: usize,
        mode: Mode,
        threads: &Threads,
    ) {
        for segment in &self.plan.segments {
            match segment {
                Segment::Rows(range) => {
                    self.rows_forward(workspace, range.clone(), n_rows, mode, threads);
                }
                Segment::Dense(idx) => self.dense_forward(workspace, *idx, n_rows, threads),
            }
        }
    }

    fn rows_forward(
        &self,
        workspace: &mut Workspace,
        range: std::ops::Range<usize>,
        n_rows: usize,
        mode: Mode,
        threads: &Threads,
    ) {
        struct Shard<'a> {
            first_row: usize,
            input: &'a [f32],
            outputs: Vec<(&'a mut [f32], &'a mut [u32])>,
            buffers: &'a mut ShardBuffers,
        }
        let Workspace {
            input,
            steps: buffers,
            shards,
            ..
        } = workspace;
        let (before, rest) = buffers.split_at_mut(range.start);
        let plan_steps = &self.plan.steps[range.clone()];
        let n_inputs = plan_steps[0].n_inputs;
        let input = before
            .last()
            .map_or(input.as_slice(), |step| step.out.as_slice());
        let mut work: Vec<Shard<'_>> = input[..n_rows * n_inputs]
            .chunks(SHARD_ROWS * n_inputs)
            .zip(shards)
            .enumerate()
            .map(|(idx, (input, buffers))| Shard {
                first_row: idx * SHARD_ROWS,
                input,
                outputs: Vec::new(),
                buffers,
            })
            .collect();
        for (step, StepBuffers { out, argmax }) in plan_steps.iter().zip(rest) {
            let len = SHARD_ROWS * step.n_outputs;
            let mut places = argmax.chunks_mut(len);
            for (shard, out) in work
                .iter_mut()
                .zip(out[..n_rows * step.n_outputs].chunks_mut(len))
            {
                let n_places = out.len();
                let places = places
                    .next()
                    .map_or_else(Default::default, |places| &mut places[..n_places]);
                shard.outputs.push((out, places));
            }
        }
        threads.for_each(work, |mut shard| {
            for (idx, step) in plan_steps.iter().enumerate() {
                let (done, todo) = shard.outputs.split_at_mut(idx);
                let Some((out, argmax)) = todo.first_mut() else {
                    return;
                };
                let input: &[f32] = done.last().map_or(shard.input, |(out, _)| out);
                match &step.op {
                    Op::Conv(conv) => {
                        let kernel = self.parameter(step.kernel);
                        let bias = step.bias.map(|idx| self.parameters[idx].as_slice());
                        conv.forward(
                            input,
                            kernel,
                            bias,
                            out,
                            &mut shard.buffers.unrolled[..conv.scratch_len()],
                        );
                    }
                    Op::MaxPool(windows) => pool::max_forward(windows, input, out, argmax),
                    Op::AveragePool(windows) => pool::average_forward(windows, input, out),
                    Op::Dropout { rate } => {
                        out.copy_from_slice(input);
                        drop_out(
                            *rate,
                            out,
                            step.n_outputs,
                            shard.first_row,
                            range.start + idx,
                            mode,
                        );
                    }
                    Op::Activation(function) => {
                        out.copy_from_slice(input);
                        activation::forward(*function, out, 1);
                    }
                    Op::Dense { .. } => {}
                }
            }
        });
    }

    fn rows_backward(
        &self,
        workspace: &mut Workspace,
        segment_idx: usize,
        range: std::ops::Range<usize>,
        n_rows: usize,
        mode: Mode,
        threads: &Threads,
    ) {
        struct Shard<'a> {
            idx: usize,
            gradient: &'a mut [f32],
            input_gradient: Option<&'a mut [f32]>,
            buffers: &'a mut ShardBuffers,
        }
        let Workspace {
            input,
            steps: buffers,
            segment_gradients,
            gradients,
            shards,
            ..
        } = workspace;
        let plan_steps = &self.plan.steps[range.clone()];
        let (n_inputs, n_outputs) = (
            plan_steps[0].n_inputs,
            plan_steps[plan_steps.len() - 1].n_outputs,
        );
        let input = match range.start {
            0 => input.as_slice(),
            start => buffers[start - 1].out.as_slice(),
        };
        let (before, rest) = segment_gradients.split_at_mut(segment_idx);
        let mut input_gradients = before
            .last_mut()
            .map(|gradient| gradient[..n_rows * n_inputs].chunks_mut(SHARD_ROWS * n_inputs));
        let gradient = &mut rest[0][..n_rows * n_outputs];
        let work: Vec<Shard<'_>> = gradient
            .chunks_mut(SHARD_ROWS * n_outputs)
            .zip(shards.iter_mut())
            .enumerate()
            .map(|(idx, (gradient, buffers))| {
                let input_gradient = input_gradients.as_mut().and_then(Iterator::next);
                Shard {
                    idx,
                    gradient,
                    input_gradient,
                    buffers,
                }
            })
            .collect();
        let n_shards = work.len();
        threads.for_each(work, |shard| {
            let Shard {
                idx: shard_idx,
                gradient,
                input_gradient,
                buffers: own,
            } = shard;
            let ShardBuffers {
                unrolled,
                gradient: current,
                next_gradient: next,
                partials,
            } = own;
            let rows = gradient.len() / n_outputs;
            current[..gradient.len()].copy_from_slice(gradient);
            let is_first_segment = input_gradient.is_none();
            let part = |values: &'_ [f32], len: usize| -> std::ops::Range<usize> {
                let start = shard_idx * SHARD_ROWS * len;
                start..(start + rows * len).min(values.len())
            };
            for (step_idx, step) in plan_steps.iter().enumerate().rev() {
                let layer_idx = range.start + step_idx;
                let output = &buffers[layer_idx];
                let from = if step_idx == 0 {
                    input
                } else {
                    &buffers[layer_idx - 1].out
                };
                let is_wanted = step_idx > 0 || !is_first_segment;
                let (n_in, n_out) = (rows * step.n_inputs, rows * step.n_outputs);
                match &step.op {
                    Op::Conv(conv) => {
                        let out = &output.out[part(&output.out, step.n_outputs)];
                        activation::backward(conv.activation, out, &mut current[..n_out]);
                        let mut kernel_partial =
                            step.kernel.map(|idx| std::mem::take(&mut partials[idx]));
                        let mut bias_partial =
                            step.bias.map(|idx| std::mem::take(&mut partials[idx]));
                        for partial in kernel_partial.iter_mut().chain(bias_partial.iter_mut()) {
                            partial.fill(0.0);
                        }
                        conv.backward(
                            &from[part(from, step.n_inputs)],
                            self.parameter(step.kernel),
                            &current[..n_out],
                            kernel_partial.as_deref_mut().unwrap_or_default(),
                            bias_partial.as_deref_mut(),
                            is_wanted.then_some(&mut next[..n_in]),
                            &mut unrolled[..conv.scratch_len()],
                        );
                        for (idx, partial) in step
                            .kernel
                            .zip(kernel_partial)
                            .into_iter()
                            .chain(step.bias.zip(bias_partial))
                        {
                            partials[idx] = partial;
                        }
                        std::mem::swap(current, next);
                    }
                    Op::MaxPool(windows) => {
                        let argmax = &output.argmax[part(&output.out, step.n_outputs)];
                        pool::max_backward(windows, argmax, &current[..n_out], &mut next[..n_in]);
                        std::mem::swap(current, next);
                    }
                    Op::AveragePool(windows) => {
                        pool::average_backward(windows, &current[..n_out], &mut next[..n_in]);
                        std::mem::swap(current, next);
                    }
                    Op::Dropout { rate } => {
                        let first_row = shard_idx * SHARD_ROWS;
                        drop_out(
                            *rate,
                            &mut current[..n_out],
                            step.n_outputs,
                            first_row,
                            layer_idx,
                            mode,
                        );
                    }
                    Op::Activation(function) => {
                        let out = &output.out[part(&output.out, step.n_outputs)];
                        activation::backward(*function, out, &mut current[..n_out]);
                    }
                    Op::Dense { .. } => {}
                }
            }
            if let Some(input_gradient) = input_gradient {
                let len = input_gradient.len();
                input_gradient.copy_from_slice(&current[..len]);
            }
        });
        // The shards' parts are summed in their order, on one thread: they are small.
        for idx in plan_steps
            .iter()
            .flat_map(|step| step.kernel.into_iter().chain(step.bias))
        {
            gradients[idx].fill(0.0);
            for shard in &shards[..n_shards] {
                gradients[idx]
                    .iter_mut()
                    .zip(&shard.partials[idx])
                    .for_each(|(sum, part)| *sum += part);
            }
        }
    }

    fn dense_forward(
        &self,
        workspace: &mut Workspace,
        step_idx: usize,
        n_rows: usize,
        threads: &Threads,
    ) {
        let step = &self.plan.steps[step_idx];
        let Op::Dense {
            n_inputs,
            n_units,
            n_outer,
            activation: function,
        } = step.op
        else {
            return;
        };
        let Workspace {
            input,
            steps: buffers,
            blocks,
            ..
        } = workspace;
        let (before, rest) = buffers.split_at_mut(step_idx);
        let input = before
            .last()
            .map_or(input.as_slice(), |step| step.out.as_slice());
        let n_rows = n_rows * n_outer;
        let out = &mut rest[0].out[..n_rows * n_units];
        let kernel = self.parameter(step.kernel);
        let n_blocks = n_inputs.div_ceil(BLOCK_INPUTS);
        let parts = blocks[..n_blocks * n_rows * n_units]
            .chunks_mut(n_rows * n_units)
            .enumerate()
            .collect();
        threads.for_each(parts, |(block_idx, part): (usize, &mut [f32])| {
            let start = block_idx * BLOCK_INPUTS;
            let len = BLOCK_INPUTS.min(n_inputs - start);
            let (left, right) = (
                Matrix::rows(&input[start..], n_inputs),
                Matrix::rows(&kernel[start * n_units..], n_units),
            );
            matmul([n_rows, len, n_units], left, right, part, n_units, false);
        });
        let parts: Vec<&[f32]> = blocks[..n_blocks * n_rows * n_units]
            .chunks(n_rows * n_units)
            .collect();
        let bias = step.bias.map(|idx| self.parameters[idx].as_slice());
        let work = out.chunks_mut(SHARD_ROWS * n_units).enumerate().collect();
        threads.for_each(work, |(shard_idx, out): (usize, &mut [f32])| {
            let start = shard_idx * SHARD_ROWS * n_units;
            match bias {
                Some(bias) => out
                    .chunks_exact_mut(n_units)
                    .for_each(|row| row.copy_from_slice(bias)),
                None => out.fill(0.0),
            }
            for part in &parts {
                out.iter_mut()
                    .zip(&part[start..])
                    .for_each(|(sum, part)| *sum += part);
            }
            activation::forward(function, out, n_units);
        });
    }

    fn dense_backward(
        &self,
        workspace: &mut Workspace,
        segment_idx: usize,
        step_idx: usize,
        n_rows: usize,
        threads: &Threads,
    ) {
        struct Block<'a> {
            start: usize,
            kernel_gradient: &'a mut [f32],
            input_gradient: Option<&'a mut [f32]>,
        }
        let step = &self.plan.steps[step_idx];
        let Op::Dense {
            n_inputs,
            n_units,
            n_outer,
            activation: function,
        } = step.op
        else {
            return;
        };
        let Workspace {
            input,
            steps: buffers,
            segment_gradients,
            gradients,
            blocks,
            ..
        } = workspace;
        let input = match step_idx {
            0 => input.as_slice(),
            idx => buffers[idx - 1].out.as_slice(),
        };
        let n_rows = n_rows * n_outer;
        let (before, rest) = segment_gradients.split_at_mut(segment_idx);
        let gradient = &mut rest[0][..n_rows * n_units];
        activation::backward(
            function,
            &buffers[step_idx].out[..n_rows * n_units],
            gradient,
        );
        let gradient = &*gradient;
        if let Some(idx) = step.bias {
            gradients[idx].fill(0.0);
            for row in gradient.chunks_exact(n_units) {
                gradients[idx]
                    .iter_mut()
                    .zip(row)
                    .for_each(|(sum, value)| *sum += value);
            }
        }
        let Some(kernel_idx) = step.kernel else {
            return;
        };
        let kernel = self.parameter(step.kernel);
        let input_gradient = before
            .last_mut()
            .map(|gradient| &mut gradient[..n_rows * n_inputs]);
        // Block by block, each block's columns together, since threads cannot share the rows of one slice.
        let mut parts = input_gradient
            .is_some()
            .then(|| blocks[..n_rows * n_inputs].chunks_mut(n_rows * BLOCK_INPUTS));
        let work = gradients[kernel_idx]
            .chunks_mut(BLOCK_INPUTS * n_units)
            .enumerate()
            .map(|(idx, kernel_gradient)| Block {
                start: idx * BLOCK_INPUTS,
                kernel_gradient,
                input_gradient: parts.as_mut().and_then(Iterator::next),
            })
            .collect();
        threads.for_each(work, |block: Block<'_>| {
            let len = block.kernel_gradient.len() / n_units;
            let left = Matrix::rows(&input[block.start..], n_inputs).transposed();
            let right = Matrix::rows(gradient, n_units);
            matmul(
                [len, n_rows, n_units],
                left,
                right,
                block.kernel_gradient,
                n_units,
                false,
            );
            if let Some(input_gradient) = block.input_gradient {
                let right = Matrix::rows(&kernel[block.start * n_units..], n_units).transposed();
                matmul(
                    [n_rows, n_units, len],
                    Matrix::rows(gradient, n_units),
                    right,
                    input_gradient,
                    len,
                    false,
                );
            }
        });
        if let Some(input_gradient) = input_gradient {
            let blocks = &blocks[..n_rows * n_inputs];
            let work = input_gradient
                .chunks_mut(SHARD_ROWS * n_inputs)
                .enumerate()
                .collect();
            threads.for_each(work, |(shard_idx, rows): (usize, &mut [f32])| {
                for (row_idx, row) in rows.chunks_exact_mut(n_inputs).enumerate() {
                    let row_idx = shard_idx * SHARD_ROWS + row_idx;
                    for (block, columns) in blocks
                        .chunks(n_rows * BLOCK_INPUTS)
                        .zip(row.chunks_mut(BLOCK_INPUTS))
                    {
                        let len = columns.len();
                        columns.copy_from_slice(&block[row_idx * len..(row_idx + 1) * len]);
                    }
                }
            });
        }
    }

    fn parameter(&self, idx: Option<usize>) -> &[f32] {
        idx.map_or(&[], |idx| &self.parameters[idx])
    }
}

/// Zeroes a share `rate` of the values and scales the others; forward and backward are the same.
fn drop_out(
    rate: f32,
    values: &mut [f32],
    row_len: usize,
    first_row: usize,
    layer_idx: usize,
    mode: Mode,
) {
    let Mode::Train { seed, step } = mode else {
        return;
    };
    let scale = 1.0 / (1.0 - rate);
    for (row_idx, row) in values.chunks_exact_mut(row_len).enumerate() {
        let part = (layer_idx as u32) << 20 | (first_row + row_idx) as u32;
        let mut stream = Stream::part(seed, Purpose::Dropout, step, part);
        row.iter_mut()
            .for_each(|value| *value *= if stream.uniform() < rate { 0.0 } else { scale });
    }
}
