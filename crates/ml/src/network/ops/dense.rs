//! Dense layers with their activation: matrix products over the whole batch, cut into blocks. No result depends on how
//! they are cut.

use trainyard_core::model::architecture::{self, Activation};

use super::{Needs, Operation, Places, is_relu, n_channels};
use crate::kernels::gemm::{Left, Out, Right, Then, matmul};
use crate::kernels::{Buffer, activation, conv, sparse, with_scratch};
use crate::network::buffers::{Workspace, received};
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

#[derive(Debug, Clone, Copy)]
pub(in crate::network) struct Dense {
    n_inputs: usize,
    n_units: usize,
    /// Vectors of one row.
    n_outer: usize,
    activation: Activation,
    /// Whether its input comes from a ReLU, and its size allows to pass over the zeros: where the input is zero, the
    /// gradient by it is not needed.
    is_sparse: bool,
    kernel: usize,
    bias: Option<usize>,
}

/// Where a batch stands: the segment and step of a dense layer, and the number of rows.
#[derive(Debug, Clone, Copy)]
pub(in crate::network) struct Placed {
    pub(in crate::network) segment_idx: usize,
    pub(in crate::network) step_idx: usize,
    pub(in crate::network) n_rows: usize,
}

impl Dense {
    pub(in crate::network) fn new(
        layer: &architecture::Dense,
        input: &[usize],
        activation: Activation,
        places: &mut Places,
    ) -> Self {
        Self {
            n_inputs: n_channels(input),
            n_units: layer.units,
            n_outer: input.iter().rev().skip(1).product(),
            activation,
            is_sparse: false,
            kernel: places.take(),
            bias: places.take_if(layer.use_bias),
        }
    }

    /// Whether the input comes from a ReLU.
    pub(in crate::network) const fn set_from_relu(&mut self, is_from_relu: bool) {
        self.is_sparse = is_from_relu && sparse::serves(self.n_inputs, self.n_units);
    }

    #[cfg(test)]
    pub(in crate::network) const fn is_sparse(&self) -> bool {
        self.is_sparse
    }

    /// Place of the kernel among the network's tensors.
    pub(in crate::network) const fn kernel(&self) -> usize {
        self.kernel
    }

    pub(in crate::network) fn forward(
        &self,
        parameters: &[Buffer],
        workspace: &mut Workspace,
        step_idx: usize,
        n_rows: usize,
        threads: &Threads,
    ) {
        let Self {
            n_inputs,
            n_units,
            n_outer,
            activation: function,
            is_sparse,
            kernel,
            bias,
        } = *self;
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
        let kernel = &*parameters[kernel];
        let bias = bias.map(|idx| &*parameters[idx]);
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

    pub(in crate::network) fn backward(
        &self,
        parameters: &[Buffer],
        workspace: &mut Workspace,
        at: Placed,
        threads: &Threads,
    ) {
        let mut by_kernel = std::mem::take(&mut workspace.gradients[self.kernel]);
        let len = self.block_inputs() * self.n_units;
        let kernel = parameters[self.kernel].chunks(len);
        let blocks = by_kernel.chunks_mut(len).zip(kernel).collect();
        self.run(
            workspace,
            at,
            threads,
            blocks,
            |work, (by_kernel, kernel)| {
                with_scratch(work.input_len(kernel), |columns| {
                    work.run(kernel, by_kernel, columns);
                });
            },
        );
        workspace.gradients[self.kernel] = by_kernel;
    }

    /// [`Dense::backward`], and at once a step of the optimiser for the kernel, whose gradient is not kept.
    pub(in crate::network) fn backward_and_update(
        &self,
        parameters: &mut [Buffer],
        workspace: &mut Workspace,
        at: Placed,
        update: &optimizer::Step,
        state: [&mut [f32]; 2],
        threads: &Threads,
    ) {
        let len = self.block_inputs() * self.n_units;
        let blocks = optimizer::pieces(&mut parameters[self.kernel], state, len).collect();
        self.run(workspace, at, threads, blocks, |work, (kernel, state)| {
            let n_columns = work.input_len(kernel);
            with_scratch(kernel.len() + n_columns, |room| {
                let (by_kernel, columns) = room.split_at_mut(kernel.len());
                work.run(kernel, by_kernel, columns);
                update.apply(kernel, by_kernel, state);
            });
        });
    }

    const fn block_inputs(&self) -> usize {
        if self.is_sparse {
            BLOCK_SPARSE_INPUTS
        } else {
            BLOCK_INPUTS
        }
    }

    /// Works on every block; `blocks` holds what belongs to each.
    fn run<T: Send>(
        &self,
        workspace: &mut Workspace,
        at: Placed,
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
            kernel: _,
            bias,
        } = *self;
        let Placed {
            segment_idx,
            step_idx,
            n_rows,
        } = at;
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

impl Operation for Dense {
    fn parameters(&self) -> Vec<usize> {
        [self.kernel].into_iter().chain(self.bias).collect()
    }

    fn needs(&self) -> Needs {
        let n_stretches = match self.n_inputs.div_ceil(STRETCH) {
            1 => 0,
            several => several,
        };
        Needs {
            stretches: n_stretches * self.n_units * self.n_outer,
            ..Needs::default()
        }
    }

    fn keeps_relu_zeros(&self, _input: bool) -> bool {
        is_relu(self.activation)
    }
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

fn worthwhile(threads: &Threads, n_products: usize) -> &Threads {
    static ALONE: Threads = Threads::single();
    if n_products < MIN_PARALLEL {
        &ALONE
    } else {
        threads
    }
}
