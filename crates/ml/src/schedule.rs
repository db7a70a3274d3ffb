//! What changes from epoch to epoch beside the weights: the learning rate, and whether to go on.

use serde::{Deserialize, Serialize};
use trainyard_core::config::{self, EarlyStoppingConfig, Monitor};
use trainyard_core::evaluation::EpochRecord;

/// The learning rate over time.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    rule: config::Schedule,
    learning_rate: f64,
    n_steps_per_epoch: u64,
    n_steps: u64,
    pub(crate) plateau: Plateau,
}

/// Where `reduce_on_plateau` stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plateau {
    watch: Watch,
    n_cooling: usize,
    n_reductions: i32,
}

/// The best value so far of a watched figure.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watch {
    best: Option<f64>,
    n_waiting: usize,
}

/// The learning rate of the first step of each epoch in `history`, of a training on `n_rows` rows.
pub fn learning_rates(
    training: &config::Training,
    n_rows: usize,
    history: &[EpochRecord],
) -> Vec<f64> {
    let n_batches = n_rows.div_ceil(training.batch_size.clamp(1, n_rows.max(1)));
    let mut schedule = Schedule::new(
        &training.schedule,
        training.optimizer.learning_rate,
        n_batches,
        training.epochs,
    );
    let epochs = history.iter().enumerate();
    epochs
        .map(|(epoch_idx, record)| {
            let rate = schedule.rate((epoch_idx * n_batches) as u32);
            schedule.observe(record);
            rate
        })
        .collect()
}

impl Schedule {
    pub(crate) fn new(
        rule: &config::Schedule,
        learning_rate: f64,
        n_steps_per_epoch: usize,
        n_epochs: usize,
    ) -> Self {
        Self {
            rule: rule.clone(),
            learning_rate,
            n_steps_per_epoch: n_steps_per_epoch as u64,
            n_steps: (n_steps_per_epoch * n_epochs) as u64,
            plateau: Plateau::default(),
        }
    }

    /// The rate of the step that comes after `step` others.
    pub(crate) fn rate(&self, step: u32) -> f64 {
        let step = u64::from(step);
        let rate = self.learning_rate;
        match self.rule {
            config::Schedule::Constant => rate,
            config::Schedule::Step {
                every_epochs,
                factor,
            } => {
                let epoch = step / self.n_steps_per_epoch.max(1);
                rate * factor.powi((epoch / every_epochs as u64) as i32)
            }
            config::Schedule::Exponential {
                decay_steps,
                decay_rate,
                staircase,
            } => {
                let periods = step as f64 / decay_steps as f64;
                let periods = if staircase { periods.floor() } else { periods };
                rate * decay_rate.powf(periods)
            }
            config::Schedule::Cosine { warmup_steps, .. } if step < warmup_steps => {
                rate * step as f64 / warmup_steps as f64
            }
            config::Schedule::Cosine {
                warmup_steps,
                decay_steps,
                alpha,
            } => {
                let remaining = self.n_steps.saturating_sub(warmup_steps).max(1);
                let decay_steps = decay_steps.unwrap_or(remaining);
                let share = ((step - warmup_steps) as f64 / decay_steps as f64).min(1.0);
                let cosine = f64::midpoint(1.0, (std::f64::consts::PI * share).cos());
                rate * ((1.0 - alpha) * cosine + alpha)
            }
            config::Schedule::ReduceOnPlateau {
                factor,
                min_learning_rate,
                ..
            } => (rate * factor.powi(self.plateau.n_reductions)).max(min_learning_rate),
        }
    }

    /// Hears of a finished epoch. Keras's `ReduceLROnPlateau`.
    pub(crate) fn observe(&mut self, record: &EpochRecord) {
        let config::Schedule::ReduceOnPlateau {
            patience,
            min_delta,
            cooldown,
            monitor,
            ..
        } = self.rule
        else {
            // The other rules go by the number of steps alone.
            return;
        };
        let plateau = &mut self.plateau;
        let (value, is_higher_better) = watched(monitor, record);
        let is_cooling = plateau.n_cooling > 0;
        let is_better = plateau.watch.observe(value, is_higher_better, min_delta);
        if is_cooling {
            plateau.n_cooling -= 1;
            plateau.watch.n_waiting = 0;
        } else if !is_better && plateau.watch.n_waiting >= patience {
            plateau.n_reductions += 1;
            plateau.n_cooling = cooldown;
            plateau.watch.n_waiting = 0;
        }
    }
}

impl Watch {
    /// Whether the value is the best so far; counts the epochs since.
    fn observe(&mut self, value: f64, is_higher_better: bool, min_delta: f64) -> bool {
        let is_better = self.best.is_none_or(|best| {
            if is_higher_better {
                value > best + min_delta
            } else {
                value < best - min_delta
            }
        });
        if is_better {
            self.best = Some(value);
            self.n_waiting = 0;
        } else {
            self.n_waiting += 1;
        }
        is_better
    }

    /// Hears of a finished epoch; whether it is the best so far, and whether training should stop.
    pub(crate) fn stop(
        &mut self,
        config: &EarlyStoppingConfig,
        record: &EpochRecord,
    ) -> (bool, bool) {
        let (value, is_higher_better) = watched(config.monitor, record);
        let is_best = self.observe(value, is_higher_better, config.min_delta);
        (
            is_best,
            self.n_waiting > 0 && self.n_waiting >= config.patience,
        )
    }
}

/// The watched figure, and whether more of it is better. A figure that the epoch lacks gives way to the training loss.
fn watched(monitor: Option<Monitor>, record: &EpochRecord) -> (f64, bool) {
    let default = if record.val_loss.is_some() {
        Monitor::ValLoss
    } else {
        Monitor::Loss
    };
    let monitor = monitor.unwrap_or(default);
    let value = match monitor {
        Monitor::Loss => Some(record.loss),
        Monitor::Accuracy => record.accuracy,
        Monitor::ValLoss => record.val_loss,
        Monitor::ValAccuracy => record.val_accuracy,
    };
    let is_accuracy = matches!(monitor, Monitor::Accuracy | Monitor::ValAccuracy);
    match value {
        Some(value) => (value, is_accuracy),
        None => (record.loss, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 rows in batches of 30 are 4 steps an epoch.
    #[test]
    fn an_epochs_rate_is_that_of_its_first_step() {
        let of = |rule, losses: &[f64]| {
            let mut training = training();
            training.schedule = rule;
            let history: Vec<_> = losses
                .iter()
                .enumerate()
                .map(|(idx, loss)| record(idx + 1, *loss))
                .collect();
            learning_rates(&training, 100, &history)
        };
        let halved = config::Schedule::Exponential {
            decay_steps: 4,
            decay_rate: 0.5,
            staircase: false,
        };
        assert_eq!(of(halved, &[1.0, 1.0, 1.0]), [0.1, 0.05, 0.025]);
        assert_eq!(of(config::Schedule::Constant, &[1.0]), [0.1]);
        let plateau = config::Schedule::ReduceOnPlateau {
            factor: 0.5,
            patience: 1,
            min_delta: 0.0,
            min_learning_rate: 0.0,
            cooldown: 0,
            monitor: None,
        };
        assert_eq!(of(plateau, &[1.0, 2.0, 2.0]), [0.1, 0.1, 0.05]);
    }

    /// A training with batches of 30 rows at the rate 0.1.
    fn training() -> config::Training {
        let text = "[model]\nname = 'm'\ninput_shape = [1]\n\
            [[model.layers]]\ntype = 'Dense'\nunits = 2\nactivation = 'softmax'\n\
            [data]\nclasses = ['a', 'b']\ntrain = { features = 'a', labels = 'b' }\n\
            test = { features = 'c', labels = 'd' }\n\
            [train]\nepochs = 3\nbatch_size = 30\n\
            [train.optimizer]\ntype = 'sgd'\nlearning_rate = 0.1\n";
        let config = config::Config::parse(text, std::path::Path::new("trainyard.toml"));
        config.unwrap_or_else(|error| panic!("{error}")).train
    }

    fn record(epoch: usize, loss: f64) -> EpochRecord {
        EpochRecord {
            epoch,
            loss,
            accuracy: None,
            val_loss: Some(loss),
            val_accuracy: None,
        }
    }

    /// Independent source: Keras 3.15's `ExponentialDecay(0.1, 10, 0.5)` and
    /// `CosineDecay(0.0, 20, alpha=0.1, warmup_target=0.1, warmup_steps=5)` at these steps.
    #[test]
    fn rates_are_kerass() {
        let schedule = |rule| Schedule::new(&rule, 0.1, 10, 10);
        let close = |found: f64, expected: f64| {
            assert!((found - expected).abs() < 1e-7, "{found} is not {expected}");
        };
        let exponential = |staircase| {
            schedule(config::Schedule::Exponential {
                decay_steps: 10,
                decay_rate: 0.5,
                staircase,
            })
        };
        close(exponential(false).rate(15), 0.035_355_339);
        close(exponential(true).rate(15), 0.05);
        let cosine = schedule(config::Schedule::Cosine {
            decay_steps: Some(20),
            alpha: 0.1,
            warmup_steps: 5,
        });
        for (step, expected) in [(0, 0.0), (3, 0.06), (5, 0.1), (15, 0.055), (40, 0.01)] {
            close(cosine.rate(step), expected);
        }
        let step = schedule(config::Schedule::Step {
            every_epochs: 2,
            factor: 0.5,
        });
        assert_eq!(
            [step.rate(19), step.rate(20), step.rate(45)],
            [0.1, 0.05, 0.025]
        );
    }

    #[test]
    fn a_plateau_halves_the_rate_and_then_cools_down() {
        let mut schedule = Schedule::new(
            &config::Schedule::ReduceOnPlateau {
                factor: 0.5,
                patience: 2,
                min_delta: 1e-4,
                cooldown: 1,
                min_learning_rate: 0.0,
                monitor: None,
            },
            0.1,
            1,
            10,
        );
        let rates: Vec<f64> = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5]
            .iter()
            .enumerate()
            .map(|(epoch, loss)| {
                schedule.observe(&record(epoch, *loss));
                schedule.rate(0)
            })
            .collect();
        assert_eq!(rates, [0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025]);
    }

    #[test]
    fn stopping_waits_for_its_patience() {
        let config = EarlyStoppingConfig {
            patience: 2,
            min_delta: 0.0,
            monitor: None,
            restore_best_weights: true,
        };
        let mut watch = Watch::default();
        let losses = [1.0, 0.9, 0.95, 0.91];
        let found: Vec<(bool, bool)> = losses
            .iter()
            .enumerate()
            .map(|(epoch, loss)| watch.stop(&config, &record(epoch, *loss)))
            .collect();
        assert_eq!(
            found,
            [(true, false), (true, false), (false, false), (false, true)]
        );
    }
}
