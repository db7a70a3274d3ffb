//! Optimiser steps in place over parameter buffers; rules and defaults are Keras 3's.

use trainyard_core::config::{OptimizerConfig, OptimizerKind};

use crate::threads::Threads;

/// Values that one thread updates at a time.
const CHUNK: usize = 1 << 14;

/// An optimiser and its state.
#[derive(Debug, Clone)]
pub struct Optimizer {
    config: OptimizerConfig,
    n_steps: u32,
    /// sgd: the velocity. adam: the mean of gradients.
    first: Vec<Vec<f32>>,
    /// adam: the mean of squared gradients.
    second: Vec<Vec<f32>>,
}

impl Optimizer {
    /// An optimiser for parameters of the given sizes, its state all zero.
    pub fn new(config: &OptimizerConfig, parameters: &[Vec<f32>]) -> Self {
        let zeros = || {
            parameters
                .iter()
                .map(|values| vec![0.0; values.len()])
                .collect()
        };
        let has_first = config.kind == OptimizerKind::Adam || config.momentum > 0.0;
        let has_second = config.kind == OptimizerKind::Adam;
        Self {
            config: config.clone(),
            n_steps: 0,
            first: if has_first { zeros() } else { Vec::new() },
            second: if has_second { zeros() } else { Vec::new() },
        }
    }

    /// Steps taken so far.
    pub const fn n_steps(&self) -> u32 {
        self.n_steps
    }

    /// Moves `parameters` by one step along `gradients`.
    pub fn step(&mut self, parameters: &mut [Vec<f32>], gradients: &[Vec<f32>], threads: &Threads) {
        self.n_steps += 1;
        let mut work = Vec::new();
        let (mut firsts, mut seconds) = (self.first.iter_mut(), self.second.iter_mut());
        for (parameter, gradient) in parameters.iter_mut().zip(gradients) {
            let mut first = firsts.next().map(|state| state.chunks_mut(CHUNK));
            let mut second = seconds.next().map(|state| state.chunks_mut(CHUNK));
            for (parameter, gradient) in parameter.chunks_mut(CHUNK).zip(gradient.chunks(CHUNK)) {
                let first = first.as_mut().and_then(Iterator::next).unwrap_or_default();
                let second = second.as_mut().and_then(Iterator::next).unwrap_or_default();
                work.push((parameter, gradient, first, second));
            }
        }
        let (config, n_steps) = (&self.config, self.n_steps);
        threads.for_each(work, |(parameter, gradient, first, second)| {
            match config.kind {
                OptimizerKind::Adam => adam(config, n_steps, parameter, gradient, first, second),
                OptimizerKind::Sgd => sgd(config, parameter, gradient, first),
            }
        });
    }
}

/// D. Kingma, J. Ba (2015), ICLR, in Keras's form: the bias corrections are folded into the learning rate, and epsilon is
/// added after the root.
fn adam(
    config: &OptimizerConfig,
    n_steps: u32,
    parameter: &mut [f32],
    gradient: &[f32],
    mean: &mut [f32],
    square: &mut [f32],
) {
    let steps = f64::from(n_steps);
    let correction = (1.0 - config.beta_2.powf(steps)).sqrt() / (1.0 - config.beta_1.powf(steps));
    let rate = (config.learning_rate() * correction) as f32;
    let (one_less_beta_1, one_less_beta_2) =
        ((1.0 - config.beta_1) as f32, (1.0 - config.beta_2) as f32);
    let epsilon = config.epsilon as f32;
    for (((value, &g), mean), square) in parameter.iter_mut().zip(gradient).zip(mean).zip(square) {
        *mean += (g - *mean) * one_less_beta_1;
        *square += (g * g - *square) * one_less_beta_2;
        *value -= *mean * rate / (square.sqrt() + epsilon);
    }
}

/// Gradient descent, with Keras's momentum: `velocity = momentum * velocity - rate * gradient`.
fn sgd(config: &OptimizerConfig, parameter: &mut [f32], gradient: &[f32], velocity: &mut [f32]) {
    let (rate, momentum) = (config.learning_rate() as f32, config.momentum as f32);
    if velocity.is_empty() {
        parameter
            .iter_mut()
            .zip(gradient)
            .for_each(|(value, g)| *value -= rate * g);
        return;
    }
    for ((value, &g), velocity) in parameter.iter_mut().zip(gradient).zip(velocity) {
        *velocity = momentum * *velocity - rate * g;
        *value += if config.nesterov {
            momentum * *velocity - rate * g
        } else {
            *velocity
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(config: &OptimizerConfig) -> Vec<f32> {
        let mut parameters = vec![vec![1.0_f32, -2.0]];
        let mut optimizer = Optimizer::new(config, &parameters);
        for gradient in [[0.5, -0.25], [0.1, 4.0], [-1.0, 0.0]] {
            optimizer.step(&mut parameters, &[gradient.to_vec()], &Threads::single());
        }
        parameters.remove(0)
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
        let found = run(&OptimizerConfig::default());
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
        let config = |momentum, nesterov| OptimizerConfig {
            kind: OptimizerKind::Sgd,
            learning_rate: Some(0.1),
            momentum,
            nesterov,
            ..OptimizerConfig::default()
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
}
