//! Steps that treat each row on its own: shards of rows in parallel, within a shard row by row through all steps, so
//! that a row stays in the cache.

use std::ops::Range;

use trainyard_core::model::architecture::Activation;

use super::Network;
use super::plan::{Op, Step};
use super::step::Mode;
use super::workspace::{SHARD_ROWS, ShardBuffers, StepBuffers, Workspace, received};
use crate::kernels::{activation, conv, depthwise, grey_conv, norm, pool};
use crate::random::{Purpose, Stream};
use crate::threads::Threads;

/// What a step writes: values, and of each maximum where it came from.
struct Output<'a> {
    values: &'a mut [f32],
    places: &'a mut [u32],
    cells: &'a mut [u8],
}

impl Output<'_> {
    fn rows(&mut self, span: Range<usize>) -> Output<'_> {
        Output {
            values: &mut self.values[span.clone()],
            places: self.places.get_mut(span.clone()).unwrap_or_default(),
            cells: self.cells.get_mut(span).unwrap_or_default(),
        }
    }
}

/// Where the values of one row's output came from, for what takes maxima.
#[derive(Clone, Copy)]
struct CameFrom<'a> {
    places: &'a [u32],
    cells: &'a [u8],
}

/// One row at one step.
struct Row<'a> {
    network: &'a Network,
    step: &'a Step,
    /// Its place in the batch.
    row_idx: usize,
    mode: Mode,
}

impl Network {
    pub(super) fn rows_forward(
        &self,
        workspace: &mut Workspace,
        range: Range<usize>,
        n_rows: usize,
        mode: Mode,
        threads: &Threads,
    ) {
        struct Shard<'a> {
            first_row: usize,
            input: &'a [f32],
            outputs: Vec<Output<'a>>,
            buffers: &'a mut ShardBuffers,
        }
        let Workspace {
            input,
            steps: buffers,
            shards,
            ..
        } = workspace;
        let (before, rest) = buffers.split_at_mut(range.start);
        let steps = &self.plan.steps[range];
        let Some(n_inputs) = steps.first().map(|step| step.n_inputs) else {
            return;
        };
        let input = received(input, before);
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
        for (step, buffers) in steps.iter().zip(rest) {
            let StepBuffers {
                out, places, cells, ..
            } = buffers;
            let len = SHARD_ROWS * step.n_outputs;
            let (mut places, mut cells) = (places.chunks_mut(len), cells.chunks_mut(len));
            let outs = out[..n_rows * step.n_outputs].chunks_mut(len);
            for (shard, out) in work.iter_mut().zip(outs) {
                shard.outputs.push(Output {
                    values: out,
                    places: places.next().unwrap_or_default(),
                    cells: cells.next().unwrap_or_default(),
                });
            }
        }
        threads.for_each(work, |mut shard| {
            for (row, input) in shard.input.chunks_exact(n_inputs).enumerate() {
                for (idx, step) in steps.iter().enumerate() {
                    let (done, todo) = shard.outputs.split_at_mut(idx);
                    let Some(output) = todo.first_mut() else {
                        return;
                    };
                    let from = |len: usize| row * len..(row + 1) * len;
                    let input = done
                        .last()
                        .map_or(input, |before| &before.values[from(step.n_inputs)]);
                    let row = Row {
                        network: self,
                        step,
                        row_idx: shard.first_row + row,
                        mode,
                    };
                    let output = output.rows(from(step.n_outputs));
                    row.forward(input, output, shard.buffers);
                }
            }
        });
    }

    pub(super) fn rows_backward(
        &self,
        workspace: &mut Workspace,
        segment_idx: usize,
        range: Range<usize>,
        n_rows: usize,
        mode: Mode,
        threads: &Threads,
    ) {
        struct Shard<'a> {
            first_row: usize,
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
        let steps = &self.plan.steps[range.clone()];
        let (Some(n_inputs), Some(n_outputs)) = (
            steps.first().map(|step| step.n_inputs),
            steps.last().map(|step| step.n_outputs),
        ) else {
            return;
        };
        let (before, rest) = segment_gradients.split_at_mut(segment_idx);
        let mut input_gradients = before
            .last_mut()
            .map(|gradient| gradient[..n_rows * n_inputs].chunks_mut(SHARD_ROWS * n_inputs));
        let work: Vec<Shard<'_>> = rest[0][..n_rows * n_outputs]
            .chunks_mut(SHARD_ROWS * n_outputs)
            .zip(shards.iter_mut())
            .enumerate()
            .map(|(idx, (gradient, buffers))| Shard {
                first_row: idx * SHARD_ROWS,
                gradient,
                input_gradient: input_gradients.as_mut().and_then(Iterator::next),
                buffers,
            })
            .collect();
        let n_shards = work.len();
        let buffers = &*buffers;
        threads.for_each(work, |shard| {
            let Shard {
                first_row,
                gradient,
                mut input_gradient,
                buffers: own,
            } = shard;
            for step in steps {
                for idx in step.kernel.into_iter().chain(step.bias) {
                    own.partials[idx].fill(0.0);
                }
            }
            let (mut current, mut next) = (
                std::mem::take(&mut own.gradient),
                std::mem::take(&mut own.next_gradient),
            );
            for (row, gradient) in gradient.chunks_exact_mut(n_outputs).enumerate() {
                let mut gradient = Some(gradient);
                for (step_idx, step) in steps.iter().enumerate().rev() {
                    let idx = range.start + step_idx;
                    let at = Row {
                        network: self,
                        step,
                        row_idx: first_row + row,
                        mode,
                    };
                    let output = &buffers[idx];
                    let span_of = |len: usize| at.row_idx * len..(at.row_idx + 1) * len;
                    let input = &received(input, &buffers[..idx])[span_of(step.n_inputs)];
                    let span = span_of(step.n_outputs);
                    let came_from = CameFrom {
                        places: output.places.get(span.clone()).unwrap_or_default(),
                        cells: output.cells.get(span.clone()).unwrap_or_default(),
                    };
                    let wanted = match (step_idx, &mut input_gradient) {
                        (0, Some(all)) => Some(&mut all[row * n_inputs..(row + 1) * n_inputs]),
                        // Nobody asks how the loss depends on the data.
                        (0, None) => None,
                        _ => Some(&mut next[..step.n_inputs]),
                    };
                    at.backward(
                        input,
                        &output.out[span],
                        came_from,
                        // The last step's lies in the batch's gradient, where it may be used up.
                        gradient.take().unwrap_or(&mut current[..step.n_outputs]),
                        wanted,
                        own,
                    );
                    std::mem::swap(&mut current, &mut next);
                }
            }
            (own.gradient, own.next_gradient) = (current, next);
        });
        // In the order of the shards, whoever finished first.
        for step in steps {
            for idx in step.kernel.into_iter().chain(step.bias) {
                let gradient = &mut gradients[idx];
                if gradient.is_empty() {
                    continue;
                }
                gradient.fill(0.0);
                for shard in &shards[..n_shards] {
                    let partial = &shard.partials[idx];
                    gradient
                        .iter_mut()
                        .zip(partial)
                        .for_each(|(sum, value)| *sum += value);
                }
            }
        }
    }
}

impl Row<'_> {
    fn parameter(&self, idx: Option<usize>) -> Option<&[f32]> {
        idx.map(|idx| &*self.network.parameters[idx])
    }

    fn forward(&self, input: &[f32], output: Output<'_>, buffers: &mut ShardBuffers) {
        let Output {
            values: out,
            places,
            cells,
        } = output;
        let (kernel, bias) = (
            self.parameter(self.step.kernel),
            self.parameter(self.step.bias),
        );
        match &self.step.op {
            Op::Conv {
                grey: Some(sizes), ..
            } => {
                let parameters = grey_conv::Parameters {
                    kernel: kernel.unwrap_or_default(),
                    bias,
                };
                grey_conv::forward(*sizes, input, parameters, out, cells);
            }
            Op::Conv {
                conv,
                activation: function,
                pool: pooling,
                grey: None,
            } => {
                let kernel = kernel.unwrap_or_default();
                match pooling {
                    Some(windows) => {
                        let image = &mut buffers.image[..conv.output_len()];
                        conv.forward(input, kernel, bias, image, &mut buffers.scratch);
                        pool::max_forward(windows, image, out, places);
                    }
                    None => conv.forward(input, kernel, bias, out, &mut buffers.scratch),
                }
                activation::forward(*function, out, conv.filters);
            }
            Op::Depthwise {
                windows,
                multiplier,
                activation: function,
            } => {
                depthwise::forward(
                    windows,
                    *multiplier,
                    input,
                    kernel.unwrap_or_default(),
                    bias,
                    out,
                );
                activation::forward(*function, out, 1);
            }
            Op::MaxPool(windows) => pool::max_forward(windows, input, out, places),
            Op::AveragePool(windows) => pool::average_forward(windows, input, out),
            Op::LayerNorm { n_columns, epsilon } => {
                norm::layer_forward(input, out, kernel, bias, *n_columns, *epsilon);
            }
            Op::Normalize { n_channels } => {
                let (mean, variance) = (kernel.unwrap_or_default(), bias.unwrap_or_default());
                let rows = input
                    .chunks_exact(*n_channels)
                    .zip(out.chunks_exact_mut(*n_channels));
                for (row, out) in rows {
                    for (channel, (out, value)) in out.iter_mut().zip(row).enumerate() {
                        *out = (value - mean[channel]) / scale_of(variance[channel]);
                    }
                }
            }
            Op::Rescale { scale, offset } => {
                out.iter_mut()
                    .zip(input)
                    .for_each(|(out, value)| *out = value * scale + offset);
            }
            Op::Dropout { rate } => {
                out.copy_from_slice(input);
                self.drop_out(*rate, out);
            }
            Op::Activation {
                function,
                n_columns,
            } => {
                out.copy_from_slice(input);
                activation::forward(*function, out, *n_columns);
            }
            Op::Pad {
                input: image,
                before,
                width,
            } => {
                out.fill(0.0);
                pool::each_framed_row(*image, *before, *width, |inner, outer, len| {
                    out[outer..outer + len].copy_from_slice(&input[inner..inner + len]);
                });
            }
            Op::Dense { .. } | Op::BatchNorm { .. } | Op::Embedding { .. } => {}
        }
    }

    /// `gradient` is that by the output, and is used up.
    fn backward(
        &self,
        input: &[f32],
        output: &[f32],
        came_from: CameFrom<'_>,
        gradient: &mut [f32],
        input_gradient: Option<&mut [f32]>,
        buffers: &mut ShardBuffers,
    ) {
        let CameFrom { places, cells } = came_from;
        let kernel = self.parameter(self.step.kernel);
        let ShardBuffers {
            scratch,
            image,
            partials,
            ..
        } = buffers;
        let [mut by_kernel, mut by_bias] = [self.step.kernel, self.step.bias]
            .map(|idx| idx.map(|idx| std::mem::take(&mut partials[idx])));
        let backward_of = |function: Activation, gradient: &mut [f32]| {
            activation::backward(function, &[], output, gradient, 1);
        };
        match &self.step.op {
            Op::Conv {
                grey: Some(sizes), ..
            } => {
                let by_kernel = by_kernel.as_deref_mut().unwrap_or_default();
                grey_conv::backward(
                    *sizes,
                    input,
                    cells,
                    gradient,
                    by_kernel,
                    by_bias.as_deref_mut(),
                );
            }
            Op::Conv {
                conv: convolution,
                activation: function,
                pool: pooling,
                grey: None,
            } => {
                backward_of(*function, gradient);
                // The gradient by the bias is a sum over all positions, most of which pooling passed over.
                if let Some(sums) = by_bias.as_deref_mut() {
                    conv::add_rows(gradient, sums);
                }
                let gradient = match pooling {
                    Some(windows) => {
                        let image = &mut image[..convolution.output_len()];
                        pool::max_backward(windows, places, gradient, image);
                        image
                    }
                    None => gradient,
                };
                convolution.backward(
                    input,
                    kernel.unwrap_or_default(),
                    gradient,
                    by_kernel.as_deref_mut().unwrap_or_default(),
                    input_gradient,
                    scratch,
                );
            }
            Op::Depthwise {
                windows,
                multiplier,
                activation: function,
            } => {
                backward_of(*function, gradient);
                depthwise::backward(
                    windows,
                    *multiplier,
                    input,
                    kernel.unwrap_or_default(),
                    gradient,
                    by_kernel.as_deref_mut().unwrap_or_default(),
                    by_bias.as_deref_mut(),
                    input_gradient,
                );
            }
            Op::LayerNorm { n_columns, epsilon } => norm::layer_backward(
                input,
                gradient,
                input_gradient,
                kernel,
                by_kernel.as_deref_mut(),
                by_bias.as_deref_mut(),
                *n_columns,
                *epsilon,
            ),
            op => {
                if let Some(input_gradient) = input_gradient {
                    self.pass_back(op, input, output, places, gradient, input_gradient);
                }
            }
        }
        for (idx, partial) in [(self.step.kernel, by_kernel), (self.step.bias, by_bias)] {
            if let (Some(idx), Some(partial)) = (idx, partial) {
                buffers.partials[idx] = partial;
            }
        }
    }

    /// Of steps without parameters to train.
    fn pass_back(
        &self,
        op: &Op,
        input: &[f32],
        output: &[f32],
        places: &[u32],
        gradient: &mut [f32],
        input_gradient: &mut [f32],
    ) {
        match op {
            Op::MaxPool(windows) => pool::max_backward(windows, places, gradient, input_gradient),
            Op::AveragePool(windows) => pool::average_backward(windows, gradient, input_gradient),
            Op::Normalize { n_channels } => {
                let variance = self.parameter(self.step.bias).unwrap_or_default();
                for (idx, (out, gradient)) in input_gradient.iter_mut().zip(&*gradient).enumerate()
                {
                    *out = gradient / scale_of(variance[idx % n_channels]);
                }
            }
            Op::Rescale { scale, .. } => {
                input_gradient
                    .iter_mut()
                    .zip(&*gradient)
                    .for_each(|(out, value)| *out = value * scale);
            }
            Op::Dropout { rate } => {
                input_gradient.copy_from_slice(gradient);
                self.drop_out(*rate, input_gradient);
            }
            Op::Activation {
                function,
                n_columns,
            } => {
                activation::backward(*function, input, output, gradient, *n_columns);
                input_gradient.copy_from_slice(gradient);
            }
            Op::Pad {
                input: image,
                before,
                width,
            } => pool::each_framed_row(*image, *before, *width, |inner, outer, len| {
                input_gradient[inner..inner + len].copy_from_slice(&gradient[outer..outer + len]);
            }),
            _ => {}
        }
    }

    /// Zeroes a share `rate` of the values and scales the others; forward and backward are the same.
    fn drop_out(&self, rate: f32, values: &mut [f32]) {
        let Mode::Train { seed, step } = self.mode else {
            return;
        };
        let scale = 1.0 / (1.0 - rate);
        let part = (self.step.layer_idx as u32) << 20 | self.row_idx as u32;
        let mut stream = Stream::part(seed, Purpose::Dropout, step, part);
        values
            .iter_mut()
            .for_each(|value| *value *= if stream.uniform() < rate { 0.0 } else { scale });
    }
}

/// What Keras's Normalization divides by: the deviation, but never less than its epsilon.
fn scale_of(variance: f32) -> f32 {
    variance.sqrt().max(1e-7)
}
