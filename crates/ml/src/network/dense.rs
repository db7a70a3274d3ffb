//! Dense steps: matrix products over the whole batch, cut into blocks. No result depends on how they are cut.

use super::Network;
use super::plan::{Op, Step};
use super::workspace::{Workspace, received};
use trainyard_core::model::architecture::Activation;

use crate::kernels::gemm::{Left, Out, Right, Then, matmul};
use crate::kernels::{activation, conv, sparse, with_scratch};
use crate::optimizer;
use crate::threads::Threads;

/// Inputs of one stretch of a dense layer. A thread that computes with a stretch of the kernel also updates it, so it
/// stays in that thread's cache. The output is the sum over stretches, so this decides results and never changes.
const STRETCH: usize = 512;

/// Inputs of one block of the backward pass: its kernel, gradient and optimiser state fit the L2 cache together.
const BLOCK_INPUTS: usize = 128;

/// The same where zeros are passed over: the rows of the kernel that are chosen from at a time.
const BLOCK_SPARSE_INPUTS: usize = sparse::CHOICE;

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
            is_sparse,
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
        let input = received(input, before);
        let out = &mut rest[0].out[..n_rows * n_units];
        let kernel = self.parameter(step.kernel);
        let bias = step.bias.map(|idx| &*self.parameters[idx]);
        let threads = worthwhile(threads, n_rows * n_inputs * n_units);
        let product = |start: usize, out: &mut [f32], then: Then<'_>| {
            let len = STRETCH.min(n_inputs - start);
            if is_sparse {
                let rows = sparse::Rows::new(&input[start..], n_rows, len, n_inputs);
                sparse::product(rows, &kernel[start * n_units..], n_units, out);
                if let Then::SetWithBias(bias) = then {
                    conv::add_to_rows(out, bias);
                }
                return;
            }
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
        let (Some(backward), Some(kernel_idx)) = (Backward::of(step), step.kernel) else {
            return;
        };
        let mut by_kernel = std::mem::take(&mut workspace.gradients[kernel_idx]);
        let kernel = &self.parameters[kernel_idx];
        let len = backward.block_inputs() * backward.n_units;
        let blocks = by_kernel.chunks_mut(len).zip(kernel.chunks(len)).collect();
        backward.run(
            workspace,
            segment_idx,
            step_idx,
            n_rows,
            threads,
            blocks,
            |work, (by_kernel, kernel)| {
                with_scratch(work.input_len(kernel), |columns| {
                    work.run(kernel, by_kernel, columns);
                });
            },
        );
        workspace.gradients[kernel_idx] = by_kernel;
    }

    /// [`Network::dense_backward`], and at once a step of the optimiser for the kernel, whose gradient is not kept.
    pub(super) fn dense_backward_and_update(
        &mut self,
        workspace: &mut Workspace,
        segment_idx: usize,
        step_idx: usize,
        n_rows: usize,
        update: &optimizer::Step,
        state: [&mut [f32]; 2],
        threads: &Threads,
    ) {
        let step = &self.plan.steps[step_idx];
        let (Some(backward), Some(kernel_idx)) = (Backward::of(step), step.kernel) else {
            return;
        };
        let len = backward.block_inputs() * backward.n_units;
        let [mut first, mut second] = state.map(|state| state.chunks_mut(len));
        let blocks = self.parameters[kernel_idx]
            .chunks_mut(len)
            .map(|kernel| {
                let state = [
                    first.next().unwrap_or_default(),
                    second.next().unwrap_or_default(),
                ];
                (kernel, state)
            })
            .collect();
        backward.run(
            workspace,
            segment_idx,
            step_idx,
            n_rows,
            threads,
            blocks,
            |work, (kernel, state)| {
                let n_columns = work.input_len(kernel);
                with_scratch(kernel.len() + n_columns, |room| {
                    let (by_kernel, columns) = room.split_at_mut(kernel.len());
                    work.run(kernel, by_kernel, columns);
                    update.apply(kernel, by_kernel, state);
                });
            },
        );
    }
}

/// The backward pass of a dense step.
struct Backward {
    n_inputs: usize,
    n_units: usize,
    n_outer: usize,
    activation: Activation,
    is_sparse: bool,
    bias: Option<usize>,
}

/// One block of inputs.
struct BlockWork<'a> {
    input: &'a [f32],
    n_inputs: usize,
    /// `[n_rows, n_units]`.
    gradient: &'a [f32],
    n_rows: usize,
    n_units: usize,
    /// First input of the block.
    start: usize,
    is_sparse: bool,
    by_input: Option<Out<'a>>,
}

impl Backward {
    const fn block_inputs(&self) -> usize {
        if self.is_sparse {
            BLOCK_SPARSE_INPUTS
        } else {
            BLOCK_INPUTS
        }
    }

    fn of(step: &Step) -> Option<Self> {
        match step.op {
            Op::Dense {
                n_inputs,
                n_units,
                n_outer,
                activation,
                is_sparse,
            } => Some(Self {
                n_inputs,
                n_units,
                n_outer,
                activation,
                is_sparse,
                bias: step.bias,
            }),
            _ => None,
        }
    }

    /// Works on every block; `blocks` holds what belongs to each.
    fn run<T: Send>(
        &self,
        workspace: &mut Workspace,
        segment_idx: usize,
        step_idx: usize,
        n_rows: usize,
        threads: &Threads,
        blocks: Vec<T>,
        work: impl Fn(BlockWork<'_>, T) + Send + Sync,
    ) {
        let Self {
            n_inputs,
            n_units,
            n_outer,
            activation: function,
            is_sparse,
            bias,
        } = *self;
        let Workspace {
            input,
            steps: buffers,
            segment_gradients,
            gradients,
            ..
        } = workspace;
        let input = received(input, &buffers[..step_idx]);
        let n_rows = n_rows * n_outer;
        let (before, rest) = segment_gradients.split_at_mut(segment_idx);
        let gradient = &mut rest[0][..n_rows * n_units];
        let output = &buffers[step_idx].out[..n_rows * n_units];
        activation::backward(function, &[], output, gradient, n_units);
        let gradient = &*gradient;
        if let Some(idx) = bias {
            gradients[idx].fill(0.0);
            conv::add_rows(gradient, &mut gradients[idx]);
        }
        let mut by_input = before.last_mut().map(|values| {
            let values = &mut values[..n_rows * n_inputs];
            Out::new(values, n_rows, n_inputs, n_inputs).into_blocks(n_rows, self.block_inputs())
        });
        let parts = blocks
            .into_iter()
            .enumerate()
            .map(|(idx, block)| {
                let part = BlockWork {
                    input: &input[..n_rows * n_inputs],
                    n_inputs,
                    gradient,
                    n_rows,
                    n_units,
                    start: idx * self.block_inputs(),
                    is_sparse,
                    by_input: by_input
                        .as_mut()
                        .and_then(Iterator::next)
                        .map(|block| block.out),
                };
                (part, block)
            })
            .collect();
        let threads = worthwhile(threads, n_rows * n_inputs * n_units);
        threads.for_each(parts, |(part, block)| work(part, block));
    }
}

impl BlockWork<'_> {
    /// Values of all rows' inputs to this block.
    const fn input_len(&self, kernel: &[f32]) -> usize {
        self.n_rows * (kernel.len() / self.n_units)
    }

    /// Sets the gradients by the block's kernel and, where it is wanted, by its inputs.
    fn run(self, kernel: &[f32], by_kernel: &mut [f32], columns: &mut [f32]) {
        let Self {
            input,
            n_inputs,
            gradient,
            n_rows,
            n_units,
            start,
            is_sparse,
            by_input,
        } = self;
        let len = kernel.len() / n_units;
        // Copied together: row after row of a wide input, each column would lie on as many pages as there are rows.
        for (copy, row) in columns
            .chunks_exact_mut(len)
            .zip(input.chunks_exact(n_inputs))
        {
            copy.copy_from_slice(&row[start..start + len]);
        }
        if is_sparse {
            let rows = sparse::Rows::new(columns, n_rows, len, len);
            if let Some(by_input) = by_input {
                sparse::by_input(rows, kernel, gradient, n_units, by_input);
            }
            sparse::by_kernel(rows, gradient, n_units, by_kernel);
            return;
        }
        if let Some(by_input) = by_input {
            let left = Left::rows(gradient, n_rows, n_units, n_units);
            let right = Right::transposed(kernel, n_units, len, n_units);
            matmul(left, right, by_input, Then::Set);
        }
        let left = Left::columns(columns, len, n_rows, len);
        let right = Right::rows(gradient, n_rows, n_units, n_units);
        matmul(
            left,
            right,
            Out::new(by_kernel, len, n_units, n_units),
            Then::Set,
        );
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
