//! The embedding: a vector for each index.

use trainyard_core::model::architecture;

use super::{Operation, Places};
use crate::kernels::Buffer;
use crate::network::buffers::{Workspace, received};

#[derive(Debug, Clone, Copy)]
pub(in crate::network) struct Embedding {
    n_indices: usize,
    len: usize,
    /// Indices of one row.
    n_steps: usize,
    table: usize,
}

impl Embedding {
    pub(in crate::network) fn new(
        layer: &architecture::Embedding,
        input: &[usize],
        places: &mut Places,
    ) -> Self {
        Self {
            n_indices: layer.input_dim,
            len: layer.output_dim,
            n_steps: input.iter().product(),
            table: places.take(),
        }
    }

    pub(in crate::network) fn forward(
        &self,
        parameters: &[Buffer],
        workspace: &mut Workspace,
        step_idx: usize,
        n_rows: usize,
    ) {
        let len = self.len;
        let table = &parameters[self.table];
        let (before, rest) = workspace.steps.split_at_mut(step_idx);
        let indices = &received(&workspace.input, before)[..n_rows * self.n_steps];
        for (index, out) in indices.iter().zip(rest[0].out.chunks_exact_mut(len)) {
            match self.index_of(*index) {
                Some(index) => out.copy_from_slice(&table[index * len..(index + 1) * len]),
                // Noticed like any other value that is not a number.
                None => out.fill(f32::NAN),
            }
        }
    }

    pub(in crate::network) fn backward(
        &self,
        workspace: &mut Workspace,
        segment_idx: usize,
        step_idx: usize,
        n_rows: usize,
    ) {
        let len = self.len;
        let indices = received(&workspace.input, &workspace.steps[..step_idx]);
        let table = &mut workspace.gradients[self.table];
        table.fill(0.0);
        let gradients = workspace.segment_gradients[segment_idx].chunks_exact(len);
        for (index, gradient) in indices[..n_rows * self.n_steps].iter().zip(gradients) {
            // Where there is no such index the loss is not finite, and nothing is learnt from it.
            if let Some(index) = self.index_of(*index) {
                let sums = &mut table[index * len..(index + 1) * len];
                sums.iter_mut()
                    .zip(gradient)
                    .for_each(|(sum, value)| *sum += value);
            }
        }
    }

    fn index_of(&self, value: f32) -> Option<usize> {
        let is_index = value >= 0.0 && value.fract() == 0.0 && (value as usize) < self.n_indices;
        is_index.then_some(value as usize)
    }
}

impl Operation for Embedding {
    fn parameters(&self) -> Vec<usize> {
        vec![self.table]
    }
}
