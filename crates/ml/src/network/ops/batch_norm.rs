//! Batch normalisation: in training by the batch's own figures, in scoring by the moving averages.
//!
//! S. Ioffe, C. Szegedy (2015), "Batch Normalization"; Keras's form. Sums are taken shard by shard in f64.

use trainyard_core::model::architecture::BatchNormalization;

use super::{Needs, Operation, Places, n_channels};
use crate::kernels::Buffer;
use crate::kernels::norm::{self, Moments};
use crate::network::buffers::{SHARD_ROWS, ShardBuffers, StepBuffers, Workspace, received};
use crate::network::mode::Mode;
use crate::threads::Threads;

#[derive(Debug, Clone, Copy)]
pub(in crate::network) struct BatchNorm {
    n_channels: usize,
    /// Values of one row.
    row_len: usize,
    momentum: f64,
    epsilon: f64,
    gamma: Option<usize>,
    beta: Option<usize>,
    moving_mean: usize,
    moving_variance: usize,
}

impl BatchNorm {
    pub(in crate::network) fn new(
        layer: &BatchNormalization,
        input: &[usize],
        places: &mut Places,
    ) -> Self {
        Self {
            n_channels: n_channels(input),
            row_len: input.iter().product(),
            momentum: layer.momentum,
            epsilon: layer.epsilon,
            gamma: places.take_if(layer.scale),
            beta: places.take_if(layer.center),
            moving_mean: places.take(),
            moving_variance: places.take(),
        }
    }

    pub(in crate::network) fn forward(
        &self,
        parameters: &[Buffer],
        workspace: &mut Workspace,
        step_idx: usize,
        n_rows: usize,
        mode: Mode,
        threads: &Threads,
    ) {
        let Self {
            n_channels,
            row_len,
            epsilon,
            ..
        } = *self;
        let Workspace {
            input,
            steps: buffers,
            shards,
            ..
        } = workspace;
        let (before, rest) = buffers.split_at_mut(step_idx);
        let own = &mut rest[0];
        let input = &received(input, before)[..n_rows * row_len];
        let [mean, variance] = &mut own.moments;
        if mode == Mode::Score {
            mean.copy_from_slice(&parameters[self.moving_mean]);
            variance.copy_from_slice(&parameters[self.moving_variance]);
        } else {
            let work = input
                .chunks(SHARD_ROWS * row_len)
                .zip(shards.iter_mut())
                .collect();
            threads.for_each(work, |(rows, shard): (&[f32], &mut _)| {
                let moments: &mut [Moments] = &mut ShardBuffers::moments_of(shard)[..n_channels];
                moments.fill(Moments::default());
                norm::add_moments(rows, moments);
            });
            let n_shards = n_rows.div_ceil(SHARD_ROWS);
            let n_values = input.len() / n_channels;
            for channel in 0..n_channels {
                let mut total = Moments::default();
                for shard in &shards[..n_shards] {
                    total += shard.moments[channel];
                }
                let (channel_mean, channel_variance) = total.mean_and_variance(n_values);
                mean[channel] = channel_mean as f32;
                variance[channel] = channel_variance as f32;
            }
        }
        let gamma = self.gamma.map(|idx| &*parameters[idx]);
        let factor: Vec<f32> = variance
            .iter()
            .enumerate()
            .map(|(channel, variance)| {
                scale(*variance, epsilon) * gamma.map_or(1.0, |gamma| gamma[channel])
            })
            .collect();
        let offset = match self.beta {
            Some(idx) => parameters[idx].to_vec(),
            None => vec![0.0; n_channels],
        };
        let len = SHARD_ROWS * row_len;
        let mean = &*mean;
        let out = &mut own.out[..n_rows * row_len];
        let work = input.chunks(len).zip(out.chunks_mut(len)).collect();
        threads.for_each(work, |(rows, out): (&[f32], &mut [f32])| {
            norm::apply(rows, out, mean, &factor, &offset);
        });
    }

    pub(in crate::network) fn backward(
        &self,
        parameters: &[Buffer],
        workspace: &mut Workspace,
        segment_idx: usize,
        step_idx: usize,
        n_rows: usize,
        threads: &Threads,
    ) {
        let Self {
            n_channels,
            row_len,
            epsilon,
            ..
        } = *self;
        let Workspace {
            input,
            steps: buffers,
            segment_gradients,
            gradients,
            shards,
            ..
        } = workspace;
        let input = &received(input, &buffers[..step_idx])[..n_rows * row_len];
        let (before, rest) = segment_gradients.split_at_mut(segment_idx);
        let gradient = &rest[0][..n_rows * row_len];
        let [mean, variance] = &buffers[step_idx].moments;
        let scales: Vec<f32> = variance
            .iter()
            .map(|variance| scale(*variance, epsilon))
            .collect();
        // `sum` adds up the gradients, `squares` their products with the normalised values.
        let len = SHARD_ROWS * row_len;
        let work = input
            .chunks(len)
            .zip(gradient.chunks(len))
            .zip(shards.iter_mut())
            .collect();
        threads.for_each(
            work,
            |((rows, gradient), shard): ((&[f32], &[f32]), &mut _)| {
                let sums: &mut [Moments] = &mut ShardBuffers::moments_of(shard)[..n_channels];
                sums.fill(Moments::default());
                for (row, gradient) in rows
                    .chunks_exact(n_channels)
                    .zip(gradient.chunks_exact(n_channels))
                {
                    for (channel, sums) in sums.iter_mut().enumerate() {
                        let normalised = (row[channel] - mean[channel]) * scales[channel];
                        sums.sum += f64::from(gradient[channel]);
                        sums.squares += f64::from(gradient[channel] * normalised);
                    }
                }
            },
        );
        let n_shards = n_rows.div_ceil(SHARD_ROWS);
        let n_values = (input.len() / n_channels) as f64;
        let mut totals = vec![Moments::default(); n_channels];
        for shard in &shards[..n_shards] {
            for (total, part) in totals.iter_mut().zip(&shard.moments) {
                *total += *part;
            }
        }
        let by_gamma = totals.iter().map(|total| total.squares as f32);
        if let Some(idx) = self.gamma {
            gradients[idx]
                .iter_mut()
                .zip(by_gamma)
                .for_each(|(out, value)| *out = value);
        }
        if let Some(idx) = self.beta {
            let by_beta = totals.iter().map(|total| total.sum as f32);
            gradients[idx]
                .iter_mut()
                .zip(by_beta)
                .for_each(|(out, value)| *out = value);
        }
        // How the loss depends on the data is not needed.
        let Some(input_gradient) = before.last_mut() else {
            return;
        };
        let gamma = self.gamma.map(|idx| &*parameters[idx]);
        let factors: Vec<[f32; 3]> = totals
            .iter()
            .enumerate()
            .map(|(channel, total)| {
                let factor = scales[channel] * gamma.map_or(1.0, |gamma| gamma[channel]);
                [
                    factor,
                    (total.sum / n_values) as f32,
                    (total.squares / n_values) as f32,
                ]
            })
            .collect();
        let input_gradient = &mut input_gradient[..input.len()];
        let work = input
            .chunks(len)
            .zip(gradient.chunks(len))
            .zip(input_gradient.chunks_mut(len))
            .collect();
        threads.for_each(
            work,
            |((rows, gradient), out): ((&[f32], &[f32]), &mut [f32])| {
                for (idx, out) in out.iter_mut().enumerate() {
                    let channel = idx % n_channels;
                    let [factor, mean_gradient, mean_product] = factors[channel];
                    let normalised = (rows[idx] - mean[channel]) * scales[channel];
                    *out = factor * (gradient[idx] - mean_gradient - normalised * mean_product);
                }
            },
        );
    }

    /// Moves the moving averages by the batch whose moments `buffers` hold.
    pub(in crate::network) fn update_moving_averages(
        &self,
        parameters: &mut [Buffer],
        buffers: &StepBuffers,
    ) {
        let keep = self.momentum as f32;
        let moving = [self.moving_mean, self.moving_variance];
        for (idx, batch) in moving.into_iter().zip(&buffers.moments) {
            for (average, value) in parameters[idx].iter_mut().zip(batch) {
                *average = *average * keep + value * (1.0 - keep);
            }
        }
    }
}

impl Operation for BatchNorm {
    fn parameters(&self) -> Vec<usize> {
        let learnt = self.gamma.into_iter().chain(self.beta);
        learnt
            .chain([self.moving_mean, self.moving_variance])
            .collect()
    }

    fn needs(&self) -> Needs {
        Needs {
            moments: self.n_channels,
            ..Needs::default()
        }
    }
}

fn scale(variance: f32, epsilon: f64) -> f32 {
    (1.0 / (f64::from(variance) + epsilon).sqrt()) as f32
}
