//! What computes losses and gradients: the kernels, or candle. Everything else of training is the same for both.
//!
//! A network's parameters, a batch and its targets come in; the loss goes out, and the optimiser has moved the
//! parameters. Which rows, in which order, from which initial weights and at which rate is decided above.
//! `docs/adr/003-two-engines.md` says why there are two, and what is promised for each.

#[cfg(any(test, feature = "candle"))]
mod candle;

use trainyard_core::config::{Config, ConfigError};
use trainyard_core::model::Engine as Kind;
use trainyard_core::model::architecture::NamedLayer;

use crate::kernels::loss::{BatchLoss, Objective};
use crate::network::{Mode, Network, NetworkError, Targets, Workspace};
use crate::optimizer::Optimizer;
use crate::threads::Threads;

/// An engine with its buffers, for batches of up to a fixed number of rows.
#[derive(Debug)]
pub(crate) enum Engine {
    /// `ml::kernels`.
    Kernels(Box<Workspace>),
    /// candle's operations and autograd.
    #[cfg(any(test, feature = "candle"))]
    Candle(Box<candle::Candle>),
}

/// Why an engine cannot train a network.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// It does not have a layer, or not with these arguments.
    #[error(
        "`[train] engine = \"candle\"` cannot train the layer `{layer}`: {what}\nhint: write `engine = \"kernels\"` in `[train]`, which trains every layer, or leave the key out; candle trains Conv2D, MaxPooling2D, Flatten and Dense with the activations linear, relu and softmax"
    )]
    Unsupported {
        /// The layer's name.
        layer: String,
        /// What it does not have, in words.
        what: String,
    },
    /// This program was built without it.
    #[error(
        "`[train] engine = \"candle\"` needs a program that was built with candle, and this one was not\nhint: write `engine = \"kernels\"` in `[train]`, or build with `--features candle`"
    )]
    Absent,
    /// The configuration's layers are not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The layers do not fit.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// candle failed at a step.
    #[cfg(any(test, feature = "candle"))]
    #[error("candle failed")]
    Candle(#[from] candle_core::Error),
}

/// Whether the engine that a configuration names can train its network.
pub fn check(config: &Config) -> Result<(), EngineError> {
    match config.train.engine {
        Kind::Kernels => Ok(()),
        #[cfg(any(test, feature = "candle"))]
        Kind::Candle => candle::check(&config.model.layers),
        #[cfg(not(any(test, feature = "candle")))]
        Kind::Candle => Err(EngineError::Absent),
    }
}

/// One batch: what it should have given, and what is minimised.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batch<'a> {
    pub(crate) targets: &'a Targets,
    pub(crate) objective: &'a Objective,
    pub(crate) threads: &'a Threads,
}

#[cfg_attr(
    not(any(test, feature = "candle")),
    expect(
        clippy::unnecessary_wraps,
        reason = "a step of candle can fail, and this build is without it"
    )
)]
impl Engine {
    /// An engine for the network of these layers.
    pub(crate) fn new(
        kind: Kind,
        network: &Network,
        layers: &[NamedLayer],
        input_shape: &[usize],
        capacity: usize,
    ) -> Result<Self, EngineError> {
        match kind {
            Kind::Kernels => Ok(Self::Kernels(Box::new(Workspace::for_training(
                network, capacity,
            )))),
            #[cfg(any(test, feature = "candle"))]
            Kind::Candle => Ok(Self::Candle(Box::new(candle::Candle::new(
                network,
                layers,
                input_shape,
                capacity,
            )?))),
            #[cfg(not(any(test, feature = "candle")))]
            Kind::Candle => {
                let _ = (layers, input_shape);
                Err(EngineError::Absent)
            }
        }
    }

    /// Where the preprocessed rows of a batch are written: `[n_rows, n_inputs]`.
    pub(crate) fn input_mut(&mut self, n_rows: usize) -> &mut [f32] {
        match self {
            Self::Kernels(workspace) => workspace.input_mut(n_rows),
            #[cfg(any(test, feature = "candle"))]
            Self::Candle(candle) => candle.input_mut(n_rows),
        }
    }

    /// One step of training. Where the loss is not finite, no parameter is changed.
    pub(crate) fn train_step(
        &mut self,
        network: &mut Network,
        batch: Batch<'_>,
        mode: Mode,
        optimizer: &mut Optimizer,
        learning_rate: f64,
    ) -> Result<BatchLoss, EngineError> {
        let Batch {
            targets,
            objective,
            threads,
        } = batch;
        match self {
            Self::Kernels(workspace) => Ok(network.train_step(
                workspace,
                targets,
                objective,
                mode,
                optimizer,
                learning_rate,
                threads,
            )),
            #[cfg(any(test, feature = "candle"))]
            Self::Candle(candle) => {
                let loss = candle.gradients(network, targets, objective)?;
                if loss.loss_sum.is_finite() {
                    optimizer.step(
                        network.parameters_mut(),
                        candle.parameter_gradients_mut(),
                        learning_rate,
                        threads,
                    );
                }
                Ok(loss)
            }
        }
    }

    /// The loss of a batch by the network as it is.
    pub(crate) fn loss(
        &mut self,
        network: &Network,
        batch: Batch<'_>,
    ) -> Result<BatchLoss, EngineError> {
        let Batch {
            targets,
            objective,
            threads,
        } = batch;
        match self {
            Self::Kernels(workspace) => Ok(network.loss(workspace, targets, objective, threads)),
            #[cfg(any(test, feature = "candle"))]
            Self::Candle(candle) => candle.loss(network, targets, objective),
        }
    }

    /// Index of the first layer whose weights (true), or else whose values for the last batch, are not finite.
    pub(crate) fn first_not_finite(
        &self,
        network: &Network,
        n_rows: usize,
    ) -> Result<Option<(usize, bool)>, EngineError> {
        match self {
            Self::Kernels(workspace) => Ok(network.first_not_finite(workspace, n_rows)),
            #[cfg(any(test, feature = "candle"))]
            Self::Candle(candle) => candle.first_not_finite(network, n_rows),
        }
    }
}

#[cfg(test)]
mod tests;
