//! Dense steps: matrix products over the whole batch, cut into blocks. No result depends on how they are cut.

use super::Network;
use super::plan::{Op, Step};
use super::workspace::Workspace;
use crate::kernels::gemm::{Block, Left, Out, Right, Then, matmul};
use crate::kernels::{activation, conv};
use crate::threads::Threads;

/// Inputs of one stretch of a dense layer. A thread that computes with a stretch of the kernel also updates it, so it
/// stays in that thread's cache. The output is the sum over stretches, so this decides results and never changes.
const STRETCH: usize = 512;

/// Products with fewer multiplications run where they are: waking a thread costs as much.
const MIN_PARALLEL: usize = 1 << 20;

impl Network {
    pub(super) fn dense_forward(
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
        let n_rows = n_rows * n_outer;
        let Workspace {
            input,
            steps,
            stretches,
            ..
        } = workspace;
        let (before, rest) = steps.split_at_mut(step_idx);
        let input = before.last().map_or(input.as_slice(), |step| &step.out);
        let out = &mut rest[0].out[..n_rows * n_units];
        let kernel = self.parameter(step.kernel);
        let bias = step.bias.map(|idx| self.parameters[idx].as_slice());
        let threads = worthwhile(threads, n_rows * n_inputs * n_units);
        let product = |start: usize, out: &mut [f32], then: Then<'_>| {
            let len = STRETCH.min(n_inputs - start);
            let left = Left::rows(&input[start..], n_rows, len, n_inputs);
            let right = Right::rows(&kernel[start * n_units..], len, n_units, n_units);
            matmul(left, right, Out::new(out, n_rows, n_units, n_units), then);
        };
        if n_inputs <= STRETCH {
            product(0, out, bias.map_or(Then::Set, Then::SetWithBias));
        } else {
            let sums = &mut stretches[..n_inputs.div_ceil(STRETCH) * out.len()];
            let work = sums.chunks_mut(out.len()).enumerate().collect();
            threads.for_each(work, |(idx, sum): (usize, &mut [f32])| {
                product(idx * STRETCH, sum, Then::Set);
            });
            for (idx, sum) in sums.chunks_exact(out.len()).enumerate() {
                match (idx, bias) {
                    (0, None) => out.copy_from_slice(sum),
                    (0, Some(bias)) => {
                        out.copy_from_slice(sum);
                        conv::add_to_rows(out, bias);
                    }
                    _ => conv::add_rows(sum, out),
                }
            }
        }
        activation::forward(function, &mut rest[0].out[..n_rows * n_units], n_units);
    }

    pub(super) fn dense_backward(
        &self,
        workspace: &mut Workspace,
        segment_idx: usize,
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
        let Some(kernel_idx) = step.kernel else {
            return;
        };
        let Workspace {
            input,
            steps: buffers,
            segment_gradients,
            gradients,
            ..
        } = workspace;
        let input = match step_idx {
            0 => input.as_slice(),
            idx => buffers[idx - 1].out.as_slice(),
        };
        let n_rows = n_rows * n_outer;
        let (before, rest) = segment_gradients.split_at_mut(segment_idx);
        let gradient = &mut rest[0][..n_rows * n_units];
        let output = &buffers[step_idx].out[..n_rows * n_units];
        activation::backward(function, &[], output, gradient, n_units);
        let gradient = &*gradient;
        if let Some(idx) = step.bias {
            gradients[idx].fill(0.0);
            conv::add_rows(gradient, &mut gradients[idx]);
        }
        let kernel = &self.parameters[kernel_idx];
        let mut by_input = before.last_mut().map(|values| {
            let values = &mut values[..n_rows * n_inputs];
            Out::new(values, n_rows, n_inputs, n_inputs).into_blocks(n_rows, STRETCH)
        });
        let work: Vec<(Block<'_>, Option<Block<'_>>)> =
            Out::new(&mut gradients[kernel_idx], n_inputs, n_units, n_units)
                .into_blocks(STRETCH, n_units)
                .map(|block| (block, by_input.as_mut().and_then(Iterator::next)))
                .collect();
        let threads = worthwhile(threads, n_rows * n_inputs * n_units);
        threads.for_each(work, |(by_kernel, by_input)| {
            let (start, len) = (by_kernel.row, by_kernel.out.n_rows());
            // Copied together: row after row of a wide input, each column would lie on as many pages as there are rows.
            let mut columns = Vec::with_capacity(n_rows * len);
            for row in input[..n_rows * n_inputs].chunks_exact(n_inputs) {
                columns.extend_from_slice(&row[start..start + len]);
            }
            let left = Left::columns(&columns, len, n_rows, len);
            let right = Right::rows(gradient, n_rows, n_units, n_units);
            matmul(left, right, by_kernel.out, Then::Set);
            if let Some(by_input) = by_input {
                let left = Left::rows(gradient, n_rows, n_units, n_units);
                let right = Right::transposed(&kernel[start * n_units..], n_units, len, n_units);
                matmul(left, right, by_input.out, Then::Set);
            }
        });
    }
}

/// Values that one row needs for the parts of its output.
pub(super) fn stretches_len(step: &Step) -> usize {
    match step.op {
        Op::Dense {
            n_inputs,
            n_units,
            n_outer,
            ..
        } if n_inputs > STRETCH => n_inputs.div_ceil(STRETCH) * n_units * n_outer,
        _ => 0,
    }
}

fn worthwhile(threads: &Threads, n_products: usize) -> &Threads {
    static ALONE: Threads = Threads::single();
    if n_products < MIN_PARALLEL {
        &ALONE
    } else {
        threads
    }
}
