//! Steps that treat each row on its own: shards of rows in parallel, within a shard row by row through all steps, so
//! that a row stays in the cache.

use std::ops::Range;

use super::Network;
use super::buffers::{SHARD_ROWS, ShardBuffers, StepBuffers, Workspace, received};
use super::mode::Mode;
use super::ops::{Output, Passed, Row, RowOp};
use super::plan::Step;

use crate::threads::Threads;

/// What a shard's rows leave at one step. Marks are there where the step takes maxima, else empty.
struct ShardOutput<'a> {
    values: &'a mut [f32],
    places: &'a mut [u32],
    cells: &'a mut [u8],
}

impl ShardOutput<'_> {
    fn row(&mut self, span: Range<usize>) -> Output<'_> {
        Output {
            places: marks_mut(self.places, &span),
            cells: marks_mut(self.cells, &span),
            values: &mut self.values[span],
        }
    }
}

/// The marks of the values in `span`, or none of a step that keeps none.
fn marks<'a, T>(marks: &'a [T], span: &Range<usize>) -> &'a [T] {
    if marks.is_empty() {
        &[]
    } else {
        &marks[span.clone()]
    }
}

fn marks_mut<'a, T>(marks: &'a mut [T], span: &Range<usize>) -> &'a mut [T] {
    if marks.is_empty() {
        &mut []
    } else {
        &mut marks[span.clone()]
    }
}

/// The marks of the next `len` values and of those after them, or nothing of a step that keeps none.
fn split_marks<T>(marks: &mut [T], len: usize) -> (&mut [T], &mut [T]) {
    let len = if marks.is_empty() { 0 } else { len };
    marks.split_at_mut(len)
}

impl Network {
    pub(super) fn rows_forward(
        &self,
        workspace: &mut Workspace,
        steps: &[Step<RowOp>],
        first_step: usize,
        n_rows: usize,
        mode: Mode,
        threads: &Threads,
    ) {
        struct Shard<'a> {
            first_row: usize,
            input: &'a [f32],
            outputs: Vec<ShardOutput<'a>>,
            buffers: &'a mut ShardBuffers,
        }
        let Workspace {
            input,
            steps: buffers,
            shards,
            ..
        } = workspace;
        let (before, rest) = buffers.split_at_mut(first_step);
        let n_inputs = steps[0].sizes.n_inputs;
        let input = received(input, before);
        let mut work: Vec<Shard<'_>> = input[..n_rows * n_inputs]
            .chunks(SHARD_ROWS * n_inputs)
            .zip(shards)
            .enumerate()
            .map(|(idx, (input, buffers))| Shard {
                first_row: idx * SHARD_ROWS,
                input,
                outputs: Vec::with_capacity(steps.len()),
                buffers,
            })
            .collect();
        for (step, buffers) in steps.iter().zip(rest) {
            let StepBuffers {
                out, places, cells, ..
            } = buffers;
            let n_outputs = step.sizes.n_outputs;
            let (mut places, mut cells) = (places.as_mut_slice(), cells.as_mut_slice());
            let outs = out[..n_rows * n_outputs].chunks_mut(SHARD_ROWS * n_outputs);
            for (shard, values) in work.iter_mut().zip(outs) {
                let (own_places, other_places) =
                    split_marks(std::mem::take(&mut places), values.len());
                let (own_cells, other_cells) =
                    split_marks(std::mem::take(&mut cells), values.len());
                (places, cells) = (other_places, other_cells);
                shard.outputs.push(ShardOutput {
                    places: own_places,
                    cells: own_cells,
                    values,
                });
            }
        }
        threads.for_each(work, |mut shard| {
            for (row_idx, input) in shard.input.chunks_exact(n_inputs).enumerate() {
                for (idx, step) in steps.iter().enumerate() {
                    let span = |len: usize| row_idx * len..(row_idx + 1) * len;
                    let (done, todo) = shard.outputs.split_at_mut(idx);
                    let input = done
                        .last()
                        .map_or(input, |before| &before.values[span(step.sizes.n_inputs)]);
                    let row = Row {
                        parameters: &self.parameters,
                        layer_idx: step.sizes.layer_idx,
                        row_idx: shard.first_row + row_idx,
                        mode,
                    };
                    let output = todo[0].row(span(step.sizes.n_outputs));
                    step.op
                        .operation()
                        .forward(row, input, output, shard.buffers);
                }
            }
        });
    }

    pub(super) fn rows_backward(
        &self,
        workspace: &mut Workspace,
        steps: &[Step<RowOp>],
        [segment_idx, first_step]: [usize; 2],
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
        let n_inputs = steps[0].sizes.n_inputs;
        let n_outputs = steps[steps.len() - 1].sizes.n_outputs;
        let parameters: Vec<usize> = steps
            .iter()
            .flat_map(|step| step.op.operation().parameters())
            .collect();
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
            for idx in &parameters {
                own.partials[*idx].fill(0.0);
            }
            let (mut current, mut next) = (
                std::mem::take(&mut own.gradient),
                std::mem::take(&mut own.next_gradient),
            );
            for (row, gradient) in gradient.chunks_exact_mut(n_outputs).enumerate() {
                let mut gradient = Some(gradient);
                for (step_idx, step) in steps.iter().enumerate().rev() {
                    let idx = first_step + step_idx;
                    let at = Row {
                        parameters: &self.parameters,
                        layer_idx: step.sizes.layer_idx,
                        row_idx: first_row + row,
                        mode,
                    };
                    let output = &buffers[idx];
                    let span_of = |len: usize| at.row_idx * len..(at.row_idx + 1) * len;
                    let span = span_of(step.sizes.n_outputs);
                    let passed = Passed {
                        input: &received(input, &buffers[..idx])[span_of(step.sizes.n_inputs)],
                        places: marks(&output.places, &span),
                        cells: marks(&output.cells, &span),
                        output: &output.out[span],
                    };
                    let wanted = match (step_idx, &mut input_gradient) {
                        (0, Some(all)) => Some(&mut all[row * n_inputs..(row + 1) * n_inputs]),
                        // How the loss depends on the data is not needed.
                        (0, None) => None,
                        _ => Some(&mut next[..step.sizes.n_inputs]),
                    };
                    step.op.operation().backward(
                        at,
                        passed,
                        // The last step's lies in the batch's gradient, where it may be used up.
                        gradient
                            .take()
                            .unwrap_or(&mut current[..step.sizes.n_outputs]),
                        wanted,
                        own,
                    );
                    std::mem::swap(&mut current, &mut next);
                }
            }
            (own.gradient, own.next_gradient) = (current, next);
        });
        // In the order of the shards, whichever finished first.
        for idx in parameters {
            let gradient = &mut gradients[idx];
            // Empty for what is not trained.
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
