//! The training loop: a configuration and rows in, a trained network and its history out.

mod checkpoint;
pub mod cross_validation;
mod fold_store;

use std::time::Instant;

use trainyard_core::config::Config;
use trainyard_core::evaluation::EpochRecord;
use trainyard_core::model::Task;

use crate::data::{DataError, Dataset, Labels};
use crate::engine::{Batch, Engine};
pub use crate::engine::{EngineError, check as check_engine};
use crate::kernels::Buffer;
use crate::kernels::loss::{BatchLoss, Objective};
use crate::network::{Mode, Network, NetworkError, Targets, load};
use crate::optimizer::Optimizer;
use crate::random::{Purpose, Stream};
use crate::schedule::{Schedule, Watch};
use crate::threads::Threads;
pub use checkpoint::{Checkpoint, CheckpointError, Subject};
pub use fold_store::FoldStore;

/// What happens while training.
#[derive(Debug)]
pub enum Event<'a> {
    /// A batch is done.
    Batch {
        /// Counted from 1.
        epoch: usize,
        /// Counted from 1 within the epoch.
        batch: usize,
        /// Batches of an epoch.
        n_batches: usize,
        /// Mean loss of the epoch so far.
        loss: f64,
    },
    /// An epoch is done.
    Epoch {
        /// Its row in the history.
        record: EpochRecord,
        /// How long it took, with validation.
        seconds: f64,
        /// Where training stands now, to be saved.
        checkpoint: &'a Checkpoint,
    },
    /// Nothing improves any more, so that this was the last epoch.
    StoppedEarly {
        /// Counted from 1.
        epoch: usize,
        /// The epoch whose weights are kept.
        best_epoch: usize,
    },
}

/// Whether to go on after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Train on.
    Continue,
    /// Stop here, to be resumed later.
    Stop,
}

/// A trained network and how it got there.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The network after the last epoch, or with the best weights where those are restored.
    pub network: Network,
    /// One record an epoch.
    pub history: Vec<EpochRecord>,
    /// Seconds of each epoch.
    pub epoch_s: Vec<f64>,
}

/// How training ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// After the last epoch.
    Finished(Trained),
    /// Where it was told to stop.
    Stopped(Box<Checkpoint>),
}

/// Why training stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The layers do not fit.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The engine cannot train the network.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Rows cannot be read any more.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The checkpoint does not hold what this network needs.
    #[error("the checkpoint does not fit the network: {0}")]
    Checkpoint(&'static str),
    /// The loss is no longer a number.
    #[error(
        "the loss is {loss} in epoch {epoch}, batch {batch}: {place}\nhint: lower `[train.optimizer] learning_rate` (now {learning_rate}), set `global_clipnorm` beside it, and check that `[data] preprocessing` scales the features"
    )]
    NotFinite {
        /// Counted from 1.
        epoch: usize,
        /// Counted from 1.
        batch: usize,
        /// What it is.
        loss: f64,
        /// Where it arose, in words.
        place: String,
        /// The rate in force.
        learning_rate: f64,
    },
}

/// What is trained on what, and by how many threads.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The network and how its weights are found.
    pub config: &'a Config,
    /// Rows to train on.
    pub rows: &'a Dataset,
    /// Rows that judge each epoch.
    pub validation: Option<&'a Dataset>,
    /// Threads to compute with.
    pub threads: &'a Threads,
}

/// Trains from the start, or on from `checkpoint`.
///
/// `observe` hears of every batch and epoch and may stop. The loss of an epoch is the mean over its rows, each seen by
/// the weights of its own step, as Keras prints it. However often training is stopped and resumed, its end is the same.
pub fn train(
    job: Job<'_>,
    checkpoint: Option<Checkpoint>,
    observe: impl FnMut(Event<'_>) -> Flow + Send,
) -> Result<Outcome, TrainError> {
    job.threads.within(|| run(job, checkpoint, observe))
}

fn run(
    job: Job<'_>,
    checkpoint: Option<Checkpoint>,
    mut observe: impl FnMut(Event<'_>) -> Flow,
) -> Result<Outcome, TrainError> {
    let mut trainer = Trainer::new(job)?;
    if let Some(checkpoint) = checkpoint {
        trainer.restore(checkpoint)?;
    }
    while !trainer.is_done() {
        if trainer.run_epoch(&mut observe)? == Flow::Stop {
            return Ok(Outcome::Stopped(Box::new(trainer.checkpoint())));
        }
    }
    Ok(Outcome::Finished(trainer.finish()))
}

/// Where an epoch stands.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Position {
    /// Finished epochs.
    n_epochs: usize,
    /// Finished batches of the epoch in progress.
    n_batches: usize,
    /// What those came to.
    total: BatchLoss,
    n_seen: usize,
}

struct Trainer<'a> {
    job: Job<'a>,
    objective: Objective,
    layer_names: Vec<String>,
    class_weights: Option<Vec<f32>>,
    batch_size: usize,
    network: Network,
    engine: Engine,
    optimizer: Optimizer,
    schedule: Schedule,
    position: Position,
    history: Vec<EpochRecord>,
    epoch_s: Vec<f64>,
    stopping: Watch,
    has_stopped: bool,
    /// Number of the best epoch and its parameters.
    best: Option<(usize, Vec<Buffer>)>,
}

impl<'a> Trainer<'a> {
    fn new(job: Job<'a>) -> Result<Self, TrainError> {
        let Job { config, rows, .. } = job;
        let layers = &config.model.layers;
        let seed = config.train.seed;
        let preprocessing = &config.data.preprocessing;
        let mut network = Network::new(layers, &config.model.input_shape, preprocessing, seed)?;
        network.fit_normalizations(rows, job.threads)?;
        let batch_size = config.train.batch_size.min(rows.n_rows());
        let n_batches = rows.n_rows().div_ceil(batch_size);
        let optimizer = Optimizer::new(&config.train.optimizer, network.specs());
        let learning_rate = config.train.optimizer.learning_rate;
        let weight_of =
            |class: &String| config.train.class_weight.get(class).copied().unwrap_or(1.0) as f32;
        let has_weights = !config.train.class_weight.is_empty();
        let class_weights = config.data.classes.as_ref().filter(|_| has_weights);
        Ok(Self {
            objective: objective(config),
            engine: Engine::new(
                config.train.engine,
                &network,
                layers,
                &config.model.input_shape,
                batch_size,
            )?,
            layer_names: layers.iter().map(|named| named.name.clone()).collect(),
            class_weights: class_weights.map(|classes| classes.iter().map(weight_of).collect()),
            batch_size,
            optimizer,
            schedule: Schedule::new(
                &config.train.schedule,
                learning_rate,
                n_batches,
                config.train.epochs,
            ),
            network,
            job,
            position: Position::default(),
            history: Vec::new(),
            epoch_s: Vec::new(),
            stopping: Watch::default(),
            has_stopped: false,
            best: None,
        })
    }

    fn is_done(&self) -> bool {
        self.has_stopped || self.position.n_epochs >= self.job.config.train.epochs
    }

    fn run_epoch(
        &mut self,
        observe: &mut impl FnMut(Event<'_>) -> Flow,
    ) -> Result<Flow, TrainError> {
        let start = Instant::now();
        let Job { config, rows, .. } = self.job;
        let epoch = self.position.n_epochs + 1;
        let mut order: Vec<u32> = (0..rows.n_rows() as u32).collect();
        if config.train.shuffle {
            // Decided by nothing but seed and epoch.
            Stream::new(config.train.seed, Purpose::Shuffle, epoch as u32).shuffle(&mut order);
        }
        let n_batches = order.len().div_ceil(self.batch_size);
        for (batch_idx, batch) in order
            .chunks(self.batch_size)
            .enumerate()
            .skip(self.position.n_batches)
        {
            self.run_batch(epoch, batch_idx, batch)?;
            let loss = self.position.total.loss_sum / self.position.n_seen as f64;
            let event = Event::Batch {
                epoch,
                batch: batch_idx + 1,
                n_batches,
                loss,
            };
            if observe(event) == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        let record = self.close_epoch(epoch)?;
        let seconds = start.elapsed().as_secs_f64();
        self.epoch_s.push(seconds);
        let event = Event::Epoch {
            record,
            seconds,
            checkpoint: &self.checkpoint(),
        };
        let flow = observe(event);
        if self.has_stopped {
            let best_epoch = self.best.as_ref().map_or(epoch, |(epoch, _)| *epoch);
            observe(Event::StoppedEarly { epoch, best_epoch });
        }
        Ok(if self.is_done() { Flow::Continue } else { flow })
    }

    fn run_batch(
        &mut self,
        epoch: usize,
        batch_idx: usize,
        batch: &[u32],
    ) -> Result<(), TrainError> {
        let Job {
            config,
            rows,
            threads,
            ..
        } = self.job;
        let input = self.engine.input_mut(batch.len());
        load(&self.network, input, rows, batch, threads)?;
        let targets = self.targets(rows, batch);
        let mode = Mode::Train {
            seed: config.train.seed,
            step: self.optimizer.n_steps(),
        };
        let learning_rate = self.schedule.rate(self.optimizer.n_steps());
        let loss = self.engine.train_step(
            &mut self.network,
            Batch {
                targets: &targets,
                objective: &self.objective,
                threads,
            },
            mode,
            &mut self.optimizer,
            learning_rate,
        )?;
        if !loss.loss_sum.is_finite() {
            let place = match self.engine.first_not_finite(&self.network, batch.len())? {
                Some((layer_idx, is_in_weights)) => {
                    let name = self.layer_names.get(layer_idx).map_or("?", String::as_str);
                    let what = if is_in_weights {
                        "the weights of the layer"
                    } else {
                        "the values that come out of the layer"
                    };
                    format!("{what} `{name}` are not finite")
                }
                None => "the scores are too far from the labels".to_owned(),
            };
            return Err(TrainError::NotFinite {
                epoch,
                batch: batch_idx + 1,
                loss: loss.loss_sum,
                place,
                learning_rate,
            });
        }
        self.position.n_batches += 1;
        self.position.n_seen += batch.len();
        self.position.total += loss;
        Ok(())
    }

    fn targets(&self, rows: &Dataset, batch: &[u32]) -> Targets {
        let labels = rows.labels_of(batch);
        let mut weights = rows.weights_of(batch);
        if let (Labels::Class(labels), Some(of_class)) = (&labels, &self.class_weights) {
            let weights = weights.get_or_insert_with(|| vec![1.0; labels.len()]);
            for (weight, label) in weights.iter_mut().zip(labels) {
                *weight *= of_class[*label as usize];
            }
        }
        Targets { labels, weights }
    }

    /// Judges the epoch and decides what follows from it.
    fn close_epoch(&mut self, epoch: usize) -> Result<EpochRecord, TrainError> {
        let Job {
            config, validation, ..
        } = self.job;
        let accuracy = |total: BatchLoss, n: usize| {
            (config.model.task == Task::Classification).then(|| total.n_right as f64 / n as f64)
        };
        let held_out = match validation {
            Some(rows) => Some((self.judge(rows)?, rows.n_rows())),
            None => None,
        };
        let Position { total, n_seen, .. } = self.position;
        let record = EpochRecord {
            epoch,
            loss: total.loss_sum / n_seen as f64,
            accuracy: accuracy(total, n_seen),
            val_loss: held_out.map(|(total, n)| total.loss_sum / n as f64),
            val_accuracy: held_out.and_then(|(total, n)| accuracy(total, n)),
        };
        self.history.push(record);
        self.position = Position {
            n_epochs: epoch,
            ..Position::default()
        };
        self.schedule.observe(&record);
        if let Some(stopping) = &config.train.early_stopping {
            let (is_best, stops) = self.stopping.stop(stopping, &record);
            self.has_stopped = stops;
            if is_best && stopping.restore_best_weights {
                self.best = Some((epoch, self.network.parameters_mut().to_vec()));
            }
        }
        Ok(record)
    }

    /// The loss of rows by the network as it is.
    fn judge(&mut self, rows: &Dataset) -> Result<BatchLoss, TrainError> {
        let mut total = BatchLoss::default();
        let all: Vec<u32> = (0..rows.n_rows() as u32).collect();
        let threads = self.job.threads;
        for batch in all.chunks(self.batch_size) {
            let input = self.engine.input_mut(batch.len());
            load(&self.network, input, rows, batch, threads)?;
            let targets = Targets {
                labels: rows.labels_of(batch),
                weights: None,
            };
            let batch = Batch {
                targets: &targets,
                objective: &self.objective,
                threads,
            };
            total += self.engine.loss(&self.network, batch)?;
        }
        Ok(total)
    }

    fn finish(mut self) -> Trained {
        if let Some((_, parameters)) = self.best.take() {
            self.network.parameters_mut().clone_from_slice(&parameters);
        }
        Trained {
            network: self.network,
            history: self.history,
            epoch_s: self.epoch_s,
        }
    }
}

fn objective(config: &Config) -> Objective {
    Objective {
        loss: config.train.loss,
        label_smoothing: config.train.label_smoothing,
        huber_delta: config.train.huber_delta,
    }
}

#[cfg(test)]
mod engines;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
