//! Optimiser steps in place over parameter buffers; rules and defaults are Keras 3's.

use trainyard_core::config::{self, Clip, UpdateRule};
use trainyard_core::model::architecture::ParameterSpec;

use crate::kernels::Buffer;
use crate::kernels::isa::with_avx2;
use crate::threads::Threads;

/// Values that one thread updates at a time. Norms are summed chunk by chunk, so it decides results and never changes.
const CHUNK: usize = 1 << 14;

/// An optimiser and its state.
#[derive(Debug, Clone)]
pub struct Optimizer {
    config: config::Optimizer,
    pub(crate) n_steps: u32,
    /// sgd, rmsprop: the velocity. adam, adamw: the mean of gradients. Empty for what is not trained.
    pub(crate) first: Vec<Buffer>,
    /// adam, adamw, rmsprop: the mean of squared gradients. Empty for what is not trained.
    pub(crate) second: Vec<Buffer>,
}

impl Optimizer {
    /// An optimiser for a network's parameters, its state all zero.
    pub fn new(config: &config::Optimizer, parameters: &[ParameterSpec]) -> Self {
        let (has_first, has_second) = match config.rule {
            UpdateRule::Adam(_) | UpdateRule::Adamw(_) => (true, true),
            UpdateRule::Sgd { momentum, .. } => (momentum > 0.0, false),
            UpdateRule::Rmsprop { momentum, .. } => (momentum > 0.0, true),
        };
        let zeros = |is_needed: bool| {
            parameters
                .iter()
                .map(|spec| {
                    let len = spec.shape.iter().product();
                    Buffer::zeros(if is_needed && spec.is_trainable {
                        len
                    } else {
                        0
                    })
                })
                .collect()
        };
        Self {
            config: config.clone(),
            n_steps: 0,
            first: zeros(has_first),
            second: zeros(has_second),
        }
    }

    /// Steps taken so far.
    pub const fn n_steps(&self) -> u32 {
        self.n_steps
    }

    /// Begins the next step; what it returns moves parameters, piece by piece or all at once.
    pub(crate) fn begin(&mut self, learning_rate: f64) -> Step {
        self.n_steps += 1;
        let config = &self.config;
        let rate = learning_rate as f32;
        let update = match config.rule {
            UpdateRule::Adam(adam) | UpdateRule::Adamw(adam) => {
                let steps = f64::from(self.n_steps);
                let correction =
                    (1.0 - adam.beta_2.powf(steps)).sqrt() / (1.0 - adam.beta_1.powf(steps));
                Update::Adam {
                    corrected_rate: (learning_rate * correction) as f32,
                    shares: [(1.0 - adam.beta_1) as f32, (1.0 - adam.beta_2) as f32],
                    epsilon: adam.epsilon as f32,
                }
            }
            UpdateRule::Sgd { momentum, nesterov } => Update::Sgd {
                rate,
                momentum: momentum as f32,
                nesterov,
            },
            UpdateRule::Rmsprop {
                rho,
                momentum,
                epsilon,
            } => Update::Rmsprop {
                rate,
                settings: [rho as f32, momentum as f32, epsilon as f32],
            },
        };
        Step {
            decay: (learning_rate * config.weight_decay) as f32,
            update,
        }
    }

    /// Whether a part of a gradient can be used before the whole is known.
    pub(crate) const fn is_local(&self) -> bool {
        self.config.clip.is_none()
    }

    /// The state that belongs to a parameter.
    pub(crate) fn state_mut(&mut self, idx: usize) -> [&mut [f32]; 2] {
        [&mut self.first[idx], &mut self.second[idx]]
    }

    /// Moves `parameters` by one step along `gradients`, which are clipped in place. Parameters without a gradient, and
    /// those that `is_done` names, are left as they are.
    pub(crate) fn finish(
        &mut self,
        step: &Step,
        parameters: &mut [Buffer],
        gradients: &mut [Buffer],
        is_done: &[bool],
        threads: &Threads,
    ) {
        self.clip(gradients);
        let mut work = Vec::new();
        let states = self.first.iter_mut().zip(&mut self.second);
        let all = parameters
            .iter_mut()
            .zip(&*gradients)
            .zip(states)
            .zip(is_done);
        for (((parameter, gradient), (first, second)), _) in all.filter(|(_, is_done)| !**is_done) {
            // What is not trained has no gradient.
            let pieces = pieces(parameter, [first, second], CHUNK).zip(gradient.chunks(CHUNK));
            work.extend(pieces.map(|((parameter, state), gradient)| (parameter, gradient, state)));
        }
        threads.for_each(work, |(parameter, gradient, state)| {
            step.apply(parameter, gradient, state);
        });
    }

    /// One whole step.
    pub fn step(
        &mut self,
        parameters: &mut [Buffer],
        gradients: &mut [Buffer],
        learning_rate: f64,
        threads: &Threads,
    ) {
        let step = self.begin(learning_rate);
        let is_done = vec![false; parameters.len()];
        self.finish(&step, parameters, gradients, &is_done, threads);
    }

    fn clip(&self, gradients: &mut [Buffer]) {
        let scale = |gradient: &mut [f32], norm: f64, limit: f64| {
            if norm > limit {
                let factor = (limit / norm) as f32;
                gradient.iter_mut().for_each(|value| *value *= factor);
            }
        };
        match self.config.clip {
            None => {}
            Some(Clip::Norm(limit)) => {
                for gradient in gradients {
                    let norm = squares(gradient).sqrt();
                    scale(gradient, norm, limit);
                }
            }
            Some(Clip::GlobalNorm(limit)) => {
                let squares = gradients.iter().map(|gradient| squares(gradient));
                let norm = squares.sum::<f64>().sqrt();
                gradients
                    .iter_mut()
                    .for_each(|gradient| scale(gradient, norm, limit));
            }
            Some(Clip::Value(limit)) => {
                let limit = limit as f32;
                let values = gradients.iter_mut().flatten();
                values.for_each(|value| {
                    *value = if value.is_nan() {
                        *value
                    } else {
                        value.clamp(-limit, limit)
                    }
                });
            }
        }
    }
}

/// Pieces of `len` values of a parameter, each with its state; a rule that keeps none has empty state.
pub(crate) fn pieces<'a>(
    parameter: &'a mut [f32],
    state: [&'a mut [f32]; 2],
    len: usize,
) -> impl Iterator<Item = (&'a mut [f32], [&'a mut [f32]; 2])> {
    let mut state = state;
    parameter.chunks_mut(len).map(move |piece| {
        let state = state.each_mut().map(|rest| {
            let len = if rest.is_empty() { 0 } else { piece.len() };
            rest.split_off_mut(..len)
                .expect("a rule keeps state of all values or of none")
        });
        (piece, state)
    })
}

/// One step of an optimiser, value by value.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// What it takes away of each value before anything else.
    decay: f32,
    update: Update,
}

#[derive(Debug, Clone)]
enum Update {
    Adam {
        /// The rate with the bias corrections in it.
        corrected_rate: f32,
        /// What new gradients count in the means.
        shares: [f32; 2],
        epsilon: f32,
    },
    Sgd {
        rate: f32,
        momentum: f32,
        nesterov: bool,
    },
    Rmsprop {
        rate: f32,
        /// `rho`, momentum and epsilon.
        settings: [f32; 3],
    },
}

impl Step {
    /// Moves a piece of a parameter; `state` holds the same piece of what belongs to it.
    pub(crate) fn apply(&self, parameter: &mut [f32], gradient: &[f32], state: [&mut [f32]; 2]) {
        if self.decay > 0.0 {
            parameter
                .iter_mut()
                .for_each(|value| *value -= *value * self.decay);
        }
        let [first, second] = state;
        match self.update {
            Update::Adam {
                corrected_rate,
                shares,
                epsilon,
            } => adam(
                parameter,
                gradient,
                first,
                second,
                corrected_rate,
                shares,
                epsilon,
            ),
            Update::Sgd {
                rate,
                momentum,
                nesterov,
            } => sgd(parameter, gradient, first, rate, momentum, nesterov),
            Update::Rmsprop { rate, settings } => {
                rmsprop(parameter, gradient, first, second, rate, settings);
            }
        }
    }
}

fn squares(values: &[f32]) -> f64 {
    let chunks = values.chunks(CHUNK);
    chunks
        .map(|chunk| {
            chunk
                .iter()
                .map(|&value| f64::from(value) * f64::from(value))
                .sum::<f64>()
        })
        .sum()
}

with_avx2! {
    /// D. Kingma, J. Ba (2015), ICLR, in Keras's form: the bias corrections are folded into the learning rate, and
    /// epsilon is added after the root.
    fn adam(parameter: &mut [f32], gradient: &[f32], mean: &mut [f32], square: &mut [f32], rate: f32, shares: [f32; 2], epsilon: f32) {
        for (((value, &g), mean), square) in parameter.iter_mut().zip(gradient).zip(mean).zip(square) {
            *mean += (g - *mean) * shares[0];
            *square += (g * g - *square) * shares[1];
            *value -= *mean * rate / (square.sqrt() + epsilon);
        }
    }
}

with_avx2! {
    /// Gradient descent, with Keras's momentum: `velocity = momentum * velocity - rate * gradient`.
    fn sgd(parameter: &mut [f32], gradient: &[f32], velocity: &mut [f32], rate: f32, momentum: f32, nesterov: bool) {
        if velocity.is_empty() {
            parameter.iter_mut().zip(gradient).for_each(|(value, g)| *value -= rate * g);
            return;
        }
        for ((value, &g), velocity) in parameter.iter_mut().zip(gradient).zip(velocity) {
            *velocity = momentum * *velocity - rate * g;
            *value += if nesterov { momentum * *velocity - rate * g } else { *velocity };
        }
    }
}

with_avx2! {
    /// G. Hinton (2012), lecture 6e of "Neural Networks for Machine Learning", in Keras's form: epsilon under the root.
    fn rmsprop(parameter: &mut [f32], gradient: &[f32], velocity: &mut [f32], square: &mut [f32], rate: f32, settings: [f32; 3]) {
        let [rho, momentum, epsilon] = settings;
        for (square, &g) in square.iter_mut().zip(gradient) {
            *square = rho * *square + (1.0 - rho) * (g * g);
        }
        let steps = parameter.iter_mut().zip(gradient).zip(&*square);
        if velocity.is_empty() {
            steps.for_each(|((value, &g), square)| *value -= rate * g / (square + epsilon).sqrt());
            return;
        }
        for (((value, &g), square), velocity) in steps.zip(velocity) {
            *velocity = momentum * *velocity + rate * g / (square + epsilon).sqrt();
            *value -= *velocity;
        }
    }
}

#[cfg(test)]
mod tests {
    use trainyard_core::model::architecture::Initializer;

    use super::*;

    /// The one parameter of a network of two weights.
    fn weights() -> [ParameterSpec; 1] {
        [ParameterSpec {
            name: "dense/kernel".to_owned(),
            shape: vec![2, 1],
            initializer: Initializer::Zeros,
            is_trainable: true,
            regularizer: None,
        }]
    }

    fn run(config: &config::Optimizer) -> Vec<f32> {
        let mut parameters = [Buffer::from(&[1.0, -2.0][..])];
        let mut optimizer = Optimizer::new(config, &weights());
        for gradient in [[0.5, -0.25], [0.1, 4.0], [-1.0, 0.0]] {
            let rate = config.learning_rate;
            optimizer.step(
                &mut parameters,
                &mut [Buffer::from(&gradient[..])],
                rate,
                &Threads::single(),
            );
        }
        parameters[0].to_vec()
    }

    /// Worked out in f64 from the formulas of Keras's documentation.
    fn expected_adam(gradients: [f64; 3], start: f64) -> f64 {
        let (mut m, mut v, mut x) = (0.0, 0.0, start);
        for (step, g) in gradients.into_iter().enumerate() {
            let t = (step + 1) as f64;
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let rate = 0.001 * (1.0 - 0.999_f64.powf(t)).sqrt() / (1.0 - 0.9_f64.powf(t));
            x -= rate * m / (v.sqrt() + 1e-7);
        }
        x
    }

    #[test]
    fn adam_follows_kerass_formula() {
        let found = run(&config::Optimizer::default());
        for (found, expected) in found.iter().zip([
            expected_adam([0.5, 0.1, -1.0], 1.0),
            expected_adam([-0.25, 4.0, 0.0], -2.0),
        ]) {
            assert!(
                (f64::from(*found) - expected).abs() < 1e-6,
                "{found} is not {expected}"
            );
        }
    }

    #[test]
    fn sgd_follows_kerass_formula() {
        let config = |momentum, nesterov| config::Optimizer {
            rule: UpdateRule::Sgd { momentum, nesterov },
            learning_rate: 0.1,
            ..config::Optimizer::default()
        };
        let close = |found: f32, expected: f32| {
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        };
        // Plain: 1 - 0.1 * (0.5 + 0.1 - 1.0).
        close(run(&config(0.0, false))[0], 1.04);
        // Velocities: -0.05, -0.055, 0.0505.
        close(run(&config(0.9, false))[0], 1.0 - 0.05 - 0.055 + 0.0505);
        close(
            run(&config(0.9, true))[0],
            1.0 + (-0.045 - 0.05) + (-0.0495 - 0.01) + (0.04545 + 0.1),
        );
    }

    /// Worked out by hand from Keras's formulas, one step from 1.0 with the gradient 0.5.
    #[test]
    fn decay_clipping_and_rmsprop_follow_kerass_formulas() {
        let one_step = |config: &config::Optimizer| {
            let mut parameters = [Buffer::from(&[1.0, 0.0][..])];
            let mut optimizer = Optimizer::new(config, &weights());
            let rate = config.learning_rate;
            optimizer.step(
                &mut parameters,
                &mut [Buffer::from(&[0.5, 0.0][..])],
                rate,
                &Threads::single(),
            );
            parameters[0][0]
        };
        let close = |found: f32, expected: f32| {
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        };
        let sgd = config::Optimizer {
            rule: UpdateRule::Sgd {
                momentum: 0.0,
                nesterov: false,
            },
            learning_rate: 0.1,
            ..config::Optimizer::default()
        };
        close(
            one_step(&config::Optimizer {
                weight_decay: 0.5,
                ..sgd.clone()
            }),
            0.95 - 0.05,
        );
        close(
            one_step(&config::Optimizer {
                clip: Some(Clip::Value(0.2)),
                ..sgd.clone()
            }),
            1.0 - 0.02,
        );
        close(
            one_step(&config::Optimizer {
                clip: Some(Clip::Norm(0.25)),
                ..sgd.clone()
            }),
            1.0 - 0.025,
        );
        close(
            one_step(&config::Optimizer {
                clip: Some(Clip::GlobalNorm(1.0)),
                ..sgd
            }),
            1.0 - 0.05,
        );
        let rmsprop = config::Optimizer {
            rule: UpdateRule::Rmsprop {
                rho: 0.9,
                momentum: 0.0,
                epsilon: 1e-7,
            },
            ..config::Optimizer::default()
        };
        close(
            one_step(&rmsprop),
            1.0 - 0.001 * 0.5 / (0.1_f32 * 0.25 + 1e-7).sqrt(),
        );
        let UpdateRule::Adam(adam) = config::Optimizer::default().rule else {
            panic!("adam is the default")
        };
        let adamw = config::Optimizer {
            rule: UpdateRule::Adamw(adam),
            weight_decay: 0.004,
            ..config::Optimizer::default()
        };
        close(one_step(&adamw), 1.0 - 0.001 * 0.004 - 0.001);
    }
}
