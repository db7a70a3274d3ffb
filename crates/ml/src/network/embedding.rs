//! The embedding: a vector for each index.

use super::Network;
use super::plan::Op;
use super::workspace::{Workspace, received};

impl Network {
    pub(super) fn embedding_forward(
        &self,
        workspace: &mut Workspace,
        step_idx: usize,
        n_rows: usize,
    ) {
        let step = &self.plan.steps[step_idx];
        let Op::Embedding { n_indices, len } = step.op else {
            return;
        };
        let table = self.parameter(step.kernel);
        let (before, rest) = workspace.steps.split_at_mut(step_idx);
        let indices = &received(&workspace.input, before)[..n_rows * step.n_inputs];
        for (index, out) in indices.iter().zip(rest[0].out.chunks_exact_mut(len)) {
            match index_of(*index, n_indices) {
                Some(index) => out.copy_from_slice(&table[index * len..(index + 1) * len]),
                // Noticed like any other value that is no number.
                None => out.fill(f32::NAN),
            }
        }
    }

    pub(super) fn embedding_backward(
        &self,
        workspace: &mut Workspace,
        segment_idx: usize,
        step_idx: usize,
        n_rows: usize,
    ) {
        let step = &self.plan.steps[step_idx];
        let (Op::Embedding { n_indices, len }, Some(table_idx)) = (&step.op, step.kernel) else {
            return;
        };
        let indices = received(&workspace.input, &workspace.steps[..step_idx]);
        let table = &mut workspace.gradients[table_idx];
        table.fill(0.0);
        let gradients = workspace.segment_gradients[segment_idx].chunks_exact(*len);
        for (index, gradient) in indices[..n_rows * step.n_inputs].iter().zip(gradients) {
            if let Some(index) = index_of(*index, *n_indices) {
                let sums = &mut table[index * len..(index + 1) * len];
                sums.iter_mut()
                    .zip(gradient)
                    .for_each(|(sum, value)| *sum += value);
            }
        }
    }
}

fn index_of(value: f32, n_indices: usize) -> Option<usize> {
    let is_index = value >= 0.0 && value.fract() == 0.0 && (value as usize) < n_indices;
    is_index.then_some(value as usize)
}
