//! Batch normalisation: in training by the batch's own figures, in scoring by the moving averages.
//!
//! S. Ioffe, C. Szegedy (2015), "Batch Normalization"; Keras's form. Sums are taken shard by shard in f64.

use super::Network;
use super::plan::Op;
use super::step::Mode;
use super::workspace::{SHARD_ROWS, ShardBuffers, Workspace, received};
use crate::kernels::norm::{self, Moments};
use crate::threads::Threads;

impl Network {
    pub(super) fn batch_norm_forward(
        &self,
        workspace: &mut Workspace,
        step_idx: usize,
        n_rows: usize,
        mode: Mode,
        threads: &Threads,
    ) {
        let step = &self.plan.steps[step_idx];
        let (
            Op::BatchNorm {
                n_channels,
                epsilon,
                ..
            },
            Some(moving),
        ) = (&step.op, step.moving)
        else {
            return;
        };
        let Workspace {
            input,
            steps: buffers,
            shards,
            ..
        } = workspace;
        let (before, rest) = buffers.split_at_mut(step_idx);
        let own = &mut rest[0];
        let input = &received(input, before)[..n_rows * step.n_inputs];
        let [mean, variance] = &mut own.moments;
        if mode == Mode::Score {
            mean.copy_from_slice(&self.parameters[moving[0]]);
            variance.copy_from_slice(&self.parameters[moving[1]]);
        } else {
            let work = input
                .chunks(SHARD_ROWS * step.n_inputs)
                .zip(shards.iter_mut())
                .collect();
            threads.for_each(work, |(rows, shard): (&[f32], &mut _)| {
                let moments: &mut [Moments] = &mut ShardBuffers::moments_of(shard)[..*n_channels];
                moments.fill(Moments::default());
                norm::add_moments(rows, moments);
            });
            let n_shards = n_rows.div_ceil(SHARD_ROWS);
            let n_values = input.len() / n_channels;
            for channel in 0..*n_channels {
                let mut total = Moments::default();
                for shard in &shards[..n_shards] {
                    total += shard.moments[channel];
                }
                let (channel_mean, channel_variance) = total.mean_and_variance(n_values);
                mean[channel] = channel_mean as f32;
                variance[channel] = channel_variance as f32;
            }
        }
        let gamma = step.kernel.map(|idx| &*self.parameters[idx]);
        let factor: Vec<f32> = variance
            .iter()
            .enumerate()
            .map(|(channel, variance)| {
                scale(*variance, *epsilon) * gamma.map_or(1.0, |gamma| gamma[channel])
            })
            .collect();
        let offset = match step.bias {
            Some(idx) => self.parameters[idx].to_vec(),
            None => vec![0.0; *n_channels],
        };
        let len = SHARD_ROWS * step.n_outputs;
        let mean = &*mean;
        let out = &mut own.out[..n_rows * step.n_outputs];
        let work = input.chunks(len).zip(out.chunks_mut(len)).collect();
        threads.for_each(work, |(rows, out): (&[f32], &mut [f32])| {
            norm::apply(rows, out, mean, &factor, &offset);
        });
    }

    pub(super) fn batch_norm_backward(
        &self,
        workspace: &mut Workspace,
        segment_idx: usize,
        step_idx: usize,
        n_rows: usize,
        threads: &Threads,
    ) {
        let step = &self.plan.steps[step_idx];
        let Op::BatchNorm {
            n_channels,
            epsilon,
            ..
        } = step.op
        else {
            return;
        };
        let Workspace {
            input,
            steps: buffers,
            segment_gradients,
            gradients,
            shards,
            ..
        } = workspace;
        let input = &received(input, &buffers[..step_idx])[..n_rows * step.n_inputs];
        let (before, rest) = segment_gradients.split_at_mut(segment_idx);
        let gradient = &rest[0][..n_rows * step.n_outputs];
        let [mean, variance] = &buffers[step_idx].moments;
        let scales: Vec<f32> = variance
            .iter()
            .map(|variance| scale(*variance, epsilon))
            .collect();
        // `sum` adds up the gradients, `squares` their products with the normalised values.
        let len = SHARD_ROWS * step.n_inputs;
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
        if let Some(idx) = step.kernel {
            gradients[idx]
                .iter_mut()
                .zip(by_gamma)
                .for_each(|(out, value)| *out = value);
        }
        if let Some(idx) = step.bias {
            let by_beta = totals.iter().map(|total| total.sum as f32);
            gradients[idx]
                .iter_mut()
                .zip(by_beta)
                .for_each(|(out, value)| *out = value);
        }
        let Some(input_gradient) = before.last_mut() else {
            return;
        };
        let gamma = step.kernel.map(|idx| &*self.parameters[idx]);
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

    /// Moves the moving averages by the batch that `workspace` holds.
    pub(super) fn update_moving_averages(&mut self, workspace: &Workspace) {
        for (step, buffers) in self.plan.steps.iter().zip(&workspace.steps) {
            let (Op::BatchNorm { momentum, .. }, Some(moving)) = (&step.op, step.moving) else {
                continue;
            };
            let keep = *momentum as f32;
            for (idx, batch) in moving.into_iter().zip(&buffers.moments) {
                for (average, value) in self.parameters[idx].iter_mut().zip(batch) {
                    *average = *average * keep + value * (1.0 - keep);
                }
            }
        }
    }
}

fn scale(variance: f32, epsilon: f64) -> f32 {
    (1.0 / (f64::from(variance) + epsilon).sqrt()) as f32
}
