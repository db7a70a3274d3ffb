//! Fitting Normalization layers to the training rows, before training.

use super::batch::load;
use super::buffers::received;
use super::ops::RowOp;
use super::plan::Segment;
use super::{Mode, Network, Workspace};
use crate::data::{DataError, Dataset};
use crate::kernels::norm::{self, Moments};
use crate::threads::Threads;

/// Rows looked at together. Sums are taken batch by batch, so it decides results and never changes.
const BATCH_ROWS: usize = 256;

impl Network {
    /// Takes mean and variance of what each Normalization layer receives from all `rows`.
    pub(crate) fn fit_normalizations(
        &mut self,
        rows: &Dataset,
        threads: &Threads,
    ) -> Result<(), DataError> {
        let mut to_fit = Vec::new();
        for stage in &self.plan.stages {
            let Segment::Rows(steps) = &stage.segment else {
                continue;
            };
            for (idx, step) in steps.iter().enumerate() {
                if let RowOp::Normalize(normalize) = &step.op {
                    let step_idx = stage.first_step + idx;
                    to_fit.push((step_idx, step.sizes.n_inputs, normalize.clone()));
                }
            }
        }
        if to_fit.is_empty() {
            return Ok(());
        }
        let mut workspace = Workspace::for_scoring(self, BATCH_ROWS);
        let all: Vec<u32> = (0..rows.n_rows() as u32).collect();
        // One after the other: a later one sees what an earlier one gives.
        for (step_idx, n_inputs, normalize) in to_fit {
            let mut moments = vec![Moments::default(); normalize.n_channels];
            for batch in all.chunks(BATCH_ROWS) {
                let input = workspace.input_mut(batch.len());
                load(self, input, rows, batch, threads)?;
                self.forward(&mut workspace, batch.len(), Mode::Score, threads);
                let values = received(&workspace.input, &workspace.steps[..step_idx]);
                norm::add_moments(&values[..batch.len() * n_inputs], &mut moments);
            }
            let n_values = all.len() * n_inputs / normalize.n_channels;
            for (channel, moments) in moments.into_iter().enumerate() {
                let (mean, variance) = moments.mean_and_variance(n_values);
                self.parameters[normalize.mean][channel] = mean as f32;
                self.parameters[normalize.variance][channel] = variance as f32;
            }
        }
        Ok(())
    }
}
