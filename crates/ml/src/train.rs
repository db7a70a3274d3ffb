//! The training loop: a configuration and rows in, a trained network and its history out.

use std::time::Instant;

use trainyard_core::config::Config;
use trainyard_core::evaluation::EpochRecord;
use trainyard_core::model::Task;

use crate::data::{Dataset, Labels};
use crate::kernels::loss::{self, BatchLoss};
use crate::network::{Mode, Network, NetworkError, Workspace};
use crate::optimizer::Optimizer;
use crate::random::{Purpose, Stream};
use crate::threads::Threads;

/// What happens while training, for progress.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event {
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
    },
}

/// A trained network and how it got there.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The network after the last epoch.
    pub network: Network,
    /// One record an epoch.
    pub history: Vec<EpochRecord>,
    /// Seconds of each epoch.
    pub epoch_s: Vec<f64>,
}

/// Why training stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The layers do not fit.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The configuration's layers are not valid.
    #[error(transparent)]
    Config(#[from] trainyard_core::config::ConfigError),
    /// The loss is no number any more.
    #[error(
        "the loss is {loss} in epoch {epoch}, batch {batch}: the weights have diverged\nhint: lower `[train.optimizer] learning_rate` (now {learning_rate}), and check that `[data] preprocessing` scales the features"
    )]
    NotFinite {
        /// Counted from 1.
        epoch: usize,
        /// Counted from 1.
        batch: usize,
        /// What it is.
        loss: f64,
        /// The rate in force.
        learning_rate: f64,
    },
}

/// Trains the network that `config` describes on `rows`, judging each epoch by `validation`.
///
/// `observe` hears of every batch and epoch. The loss of an epoch is the mean over its rows, each seen by the weights of
/// its own step, as Keras prints it.
pub fn train(
    config: &Config,
    rows: &Dataset,
    validation: Option<&Dataset>,
    threads: &Threads,
    mut observe: impl FnMut(Event),
) -> Result<Trained, TrainError> {
    let layers = config.layers()?;
    let seed = config.train.seed;
    let mut network = Network::new(
        &layers,
        &config.model.input_shape,
        &config.data.preprocessing,
        seed,
    )?;
    let batch_size = config.train.batch_size.min(rows.n_rows());
    let n_batches = rows.n_rows().div_ceil(batch_size);
    let mut workspace = Workspace::for_training(&network, batch_size);
    let mut optimizer = Optimizer::new(&config.train.optimizer, network.parameters_mut());
    let mut order: Vec<usize> = (0..rows.n_rows()).collect();
    let (mut history, mut epoch_s) = (Vec::new(), Vec::new());
    for epoch in 1..=config.train.epochs {
        let start = Instant::now();
        if config.train.shuffle {
            // From the same start each time, so that an epoch's order depends on nothing but seed and epoch.
            order.sort_unstable();
            Stream::new(seed, Purpose::Shuffle, epoch as u32).shuffle(&mut order);
        }
        let mut total = BatchLoss::default();
        let mut n_seen = 0;
        for (batch_idx, batch) in order.chunks(batch_size).enumerate() {
            load(&network, &mut workspace, rows, batch, threads);
            let labels = labels_of(rows, batch);
            let mode = Mode::Train {
                seed,
                step: optimizer.n_steps(),
            };
            let loss = network.gradients(&mut workspace, &labels, mode, threads);
            n_seen += batch.len();
            total.loss_sum += loss.loss_sum;
            total.n_right += loss.n_right;
            if !loss.loss_sum.is_finite() {
                return Err(TrainError::NotFinite {
                    epoch,
                    batch: batch_idx + 1,
                    loss: loss.loss_sum,
                    learning_rate: config.train.optimizer.learning_rate(),
                });
            }
            optimizer.step(
                network.parameters_mut(),
                workspace.parameter_gradients(),
                threads,
            );
            let loss = total.loss_sum / n_seen as f64;
            observe(Event::Batch {
                epoch,
                batch: batch_idx + 1,
                n_batches,
                loss,
            });
        }
        let accuracy = |total: BatchLoss, n: usize| {
            (config.model.task == Task::Classification).then(|| total.n_right as f64 / n as f64)
        };
        let held_out = validation.map(|rows| {
            (
                score(&network, &mut workspace, rows, batch_size, threads),
                rows.n_rows(),
            )
        });
        let record = EpochRecord {
            epoch,
            loss: total.loss_sum / n_seen as f64,
            accuracy: accuracy(total, n_seen),
            val_loss: held_out.map(|(total, n)| total.loss_sum / n as f64),
            val_accuracy: held_out.and_then(|(total, n)| accuracy(total, n)),
        };
        history.push(record);
        let seconds = start.elapsed().as_secs_f64();
        epoch_s.push(seconds);
        observe(Event::Epoch { record, seconds });
    }
    Ok(Trained {
        network,
        history,
        epoch_s,
    })
}

/// The loss of `rows` by the network as it is.
fn score(
    network: &Network,
    workspace: &mut Workspace,
    rows: &Dataset,
    batch_size: usize,
    threads: &Threads,
) -> BatchLoss {
    let mut total = BatchLoss::default();
    let all: Vec<usize> = (0..rows.n_rows()).collect();
    for batch in all.chunks(batch_size) {
        load(network, workspace, rows, batch, threads);
        network.score(workspace, batch.len(), threads);
        let output = workspace.output(network, batch.len());
        let loss = match labels_of(rows, batch) {
            Labels::Class(labels) => loss::cross_entropy(output, &labels, network.n_outputs()),
            Labels::Value(labels) => loss::squared_error(&mut output.to_vec(), &labels),
        };
        total.loss_sum += loss.loss_sum;
        total.n_right += loss.n_right;
    }
    total
}

/// Writes the preprocessed rows of a batch into the workspace.
pub(crate) fn load(
    network: &Network,
    workspace: &mut Workspace,
    rows: &Dataset,
    batch: &[usize],
    threads: &Threads,
) {
    const ROWS: usize = 16;
    let row_len = network.n_inputs();
    let input = workspace.input_mut(batch.len());
    let work = input
        .chunks_mut(ROWS * row_len)
        .zip(batch.chunks(ROWS))
        .collect();
    threads.for_each(work, |(input, batch): (&mut [f32], &[usize])| {
        rows.gather(batch, input);
        network.preprocess(input);
    });
}

fn labels_of(rows: &Dataset, batch: &[usize]) -> Labels {
    match &rows.labels {
        Labels::Class(labels) => Labels::Class(batch.iter().map(|&row| labels[row]).collect()),
        Labels::Value(labels) => Labels::Value(batch.iter().map(|&row| labels[row]).collect()),
    }
}

#[cfg(test)]
mod tests;
