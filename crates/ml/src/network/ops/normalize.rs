//! Normalisation by figures of the training rows, which are taken before training.

use super::{Operation, Output, Passed, Places, Row, RowOperation, n_channels};
use crate::data::Dataset;
use crate::kernels::norm::{self, Moments};
use crate::network::batch::load;
use crate::network::plan::Segment;
use crate::network::workspace::{ShardBuffers, Workspace, received};
use crate::network::{Mode, Network};
use crate::threads::Threads;

/// Rows looked at together. Sums are taken batch by batch, so it decides results and never changes.
const BATCH_ROWS: usize = 256;

#[derive(Debug, Clone)]
pub(in crate::network) struct Normalize {
    n_channels: usize,
    mean: usize,
    variance: usize,
}

impl Normalize {
    pub(in crate::network) fn new(input: &[usize], places: &mut Places) -> Self {
        Self {
            n_channels: n_channels(input),
            mean: places.take(),
            variance: places.take(),
        }
    }
}

impl Operation for Normalize {
    fn parameters(&self) -> Vec<usize> {
        vec![self.mean, self.variance]
    }
}

impl RowOperation for Normalize {
    fn forward(&self, at: Row<'_>, input: &[f32], output: Output<'_>, _: &mut ShardBuffers) {
        let [mean, variance] = [self.mean, self.variance].map(|idx| &*at.parameters[idx]);
        let rows = input
            .chunks_exact(self.n_channels)
            .zip(output.values.chunks_exact_mut(self.n_channels));
        for (row, out) in rows {
            for (channel, (out, value)) in out.iter_mut().zip(row).enumerate() {
                *out = (value - mean[channel]) / scale_of(variance[channel]);
            }
        }
    }

    fn backward(
        &self,
        at: Row<'_>,
        _passed: Passed<'_>,
        gradient: &mut [f32],
        input_gradient: Option<&mut [f32]>,
        _: &mut ShardBuffers,
    ) {
        let Some(input_gradient) = input_gradient else {
            return;
        };
        let variance = &at.parameters[self.variance];
        for (idx, (out, gradient)) in input_gradient.iter_mut().zip(&*gradient).enumerate() {
            *out = gradient / scale_of(variance[idx % self.n_channels]);
        }
    }
}

/// What Keras's Normalization divides by: the deviation, but never less than its epsilon.
fn scale_of(variance: f32) -> f32 {
    variance.sqrt().max(1e-7)
}

impl Network {
    /// Takes mean and variance of what each Normalization layer receives from all `rows`.
    pub(crate) fn fit_normalizations(&mut self, rows: &Dataset, threads: &Threads) {
        let mut to_fit = Vec::new();
        for stage in &self.plan.stages {
            let Segment::Rows(steps) = &stage.segment else {
                continue;
            };
            for (idx, step) in steps.iter().enumerate() {
                if let super::RowOp::Normalize(normalize) = &step.op {
                    let step_idx = stage.first_step + idx;
                    to_fit.push((step_idx, step.sizes.n_inputs, normalize.clone()));
                }
            }
        }
        if to_fit.is_empty() {
            return;
        }
        let mut workspace = Workspace::for_scoring(self, BATCH_ROWS);
        let all: Vec<u32> = (0..rows.n_rows() as u32).collect();
        // One after the other: a later one sees what an earlier one gives.
        for (step_idx, n_inputs, normalize) in to_fit {
            let mut moments = vec![Moments::default(); normalize.n_channels];
            for batch in all.chunks(BATCH_ROWS) {
                load(self, &mut workspace, rows, batch, threads);
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
    }
}
