//! Fitting Normalization layers to the training rows, before training.

use super::plan::Op;
use super::workspace::received;
use super::{Mode, Network, Workspace};
use crate::data::Dataset;
use crate::kernels::norm::{self, Moments};
use crate::threads::Threads;
use crate::train;

/// Rows looked at together. Sums are taken batch by batch, so it decides results and never changes.
const BATCH_ROWS: usize = 256;

impl Network {
    /// Takes mean and variance of what each Normalization layer receives from all `rows`.
    pub(crate) fn fit_normalizations(&mut self, rows: &Dataset, threads: &Threads) {
        let is_fitted = |op: &Op| matches!(op, Op::Normalize { .. });
        let to_fit: Vec<usize> = (0..self.plan.steps.len())
            .filter(|idx| is_fitted(&self.plan.steps[*idx].op))
            .collect();
        if to_fit.is_empty() {
            return;
        }
        let mut workspace = Workspace::for_scoring(self, BATCH_ROWS);
        let all: Vec<u32> = (0..rows.n_rows() as u32).collect();
        // One after the other: a later one sees what an earlier one gives.
        for step_idx in to_fit {
            let step = self.plan.steps[step_idx].clone();
            let (Op::Normalize { n_channels }, Some(mean), Some(variance)) =
                (step.op, step.kernel, step.bias)
            else {
                continue;
            };
            let mut moments = vec![Moments::default(); n_channels];
            for batch in all.chunks(BATCH_ROWS) {
                let input = workspace.input_mut(batch.len());
                train::load(self, input, rows, batch, threads);
                self.forward(&mut workspace, batch.len(), Mode::Score, threads);
                let values = received(&workspace.input, &workspace.steps[..step_idx]);
                norm::add_moments(&values[..batch.len() * step.n_inputs], &mut moments);
            }
            let n_values = all.len() * step.n_inputs / n_channels;
            for (channel, moments) in moments.into_iter().enumerate() {
                let (channel_mean, channel_variance) = moments.mean_and_variance(n_values);
                self.parameters[mean][channel] = channel_mean as f32;
                self.parameters[variance][channel] = channel_variance as f32;
            }
        }
    }
}
