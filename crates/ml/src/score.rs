//! A stored model in, scores of raw rows out. Shared by `evaluate` and the server.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use trainyard_core::model::{ModelError, ModelFolder};

use crate::data::Dataset;
use crate::network::{Network, NetworkError, Workspace, load};
use crate::threads::Threads;

/// Rows scored at a time, which bounds memory.
const BATCH_ROWS: usize = 128;

/// Scores raw rows by a model. Shared between threads: each call takes buffers of its own.
#[derive(Debug)]
pub struct Scorer {
    network: Network,
    threads: Threads,
    /// Buffers that no call uses at the moment.
    idle: Mutex<Vec<Workspace>>,
}

/// Why rows cannot be scored.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// The model folder cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The weights cannot be used.
    #[error("cannot load the weights")]
    Weights(#[from] NetworkError),
    /// The weights' file cannot be read.
    #[error("cannot read the weights")]
    Read(#[from] candle_core::Error),
    /// The values do not make up the rows.
    #[error(
        "{n_rows} rows of {row_len} values each were announced, but there are {n_values} values"
    )]
    Length {
        /// Rows announced.
        n_rows: usize,
        /// Values of a row.
        row_len: usize,
        /// Values given.
        n_values: usize,
    },
}

/// A probability for each class: `scores[n, n_outputs]` themselves, or `1 - p` and `p` of a single output's `p`.
pub fn by_class(scores: &[f32], n_outputs: usize) -> Cow<'_, [f32]> {
    if n_outputs == 1 {
        scores.iter().flat_map(|&p| [1.0 - p, p]).collect()
    } else {
        Cow::Borrowed(scores)
    }
}

/// For programs that compute with candle: raw rows `[n, …]` in, scores `[n, n_outputs]` out.
impl candle_nn::Module for Scorer {
    fn forward(&self, rows: &candle_core::Tensor) -> candle_core::Result<candle_core::Tensor> {
        let n_rows = rows.dim(0)?;
        let values = rows
            .to_dtype(candle_core::DType::F32)?
            .flatten_all()?
            .to_vec1()?;
        let scores = self
            .score(&values, n_rows)
            .map_err(candle_core::Error::wrap)?;
        candle_core::Tensor::from_vec(scores, (n_rows, self.n_outputs()), rows.device())
    }
}

impl Scorer {
    /// Loads the model in `folder`, to be computed on all cores.
    pub fn open(folder: &ModelFolder) -> Result<Self, ScoreError> {
        Self::open_with(folder, Threads::new(None))
    }

    /// Loads the model in `folder`.
    pub fn open_with(folder: &ModelFolder, threads: Threads) -> Result<Self, ScoreError> {
        let manifest = &folder.manifest;
        let weights = folder.path.join(&manifest.weights.path);
        let tensors = candle_core::safetensors::load(weights, &candle_core::Device::Cpu)?;
        let network = Network::with_tensors(
            &manifest.architecture,
            &manifest.input.shape,
            &manifest.preprocessing,
            &tensors,
        )?;
        Ok(Self {
            network,
            threads,
            idle: Mutex::new(Vec::new()),
        })
    }

    /// Values of one raw row.
    pub const fn n_inputs(&self) -> usize {
        self.network.n_inputs()
    }

    /// Values of one row of scores.
    pub const fn n_outputs(&self) -> usize {
        self.network.n_outputs()
    }

    /// The scores `[n_rows, n_outputs]` of the raw rows `[n_rows, n_inputs]`, both row-major.
    pub fn score(&self, raw: &[f32], n_rows: usize) -> Result<Vec<f32>, ScoreError> {
        let row_len = self.n_inputs();
        if raw.len() != n_rows * row_len {
            return Err(ScoreError::Length {
                n_rows,
                row_len,
                n_values: raw.len(),
            });
        }
        let mut workspace = self.take_workspace(n_rows);
        let mut scores = Vec::with_capacity(n_rows * self.n_outputs());
        for rows in raw.chunks(BATCH_ROWS * row_len.max(1)) {
            let n_rows = rows.len() / row_len.max(1);
            let input = workspace.input_mut(n_rows);
            input.copy_from_slice(rows);
            self.network.preprocess(input);
            // A thread pool costs more than it brings for a few rows.
            let alone = Threads::single();
            let threads = if n_rows < 16 { &alone } else { &self.threads };
            self.network.score(&mut workspace, n_rows, threads);
            scores.extend_from_slice(workspace.output(&self.network, n_rows));
        }
        self.give_back(workspace);
        Ok(scores)
    }

    /// The scores of all rows of `dataset`.
    pub fn score_dataset(&self, dataset: &Dataset) -> Vec<f32> {
        self.threads.within(|| self.score_rows(dataset))
    }

    fn score_rows(&self, dataset: &Dataset) -> Vec<f32> {
        let mut workspace = self.take_workspace(BATCH_ROWS);
        let mut scores = Vec::with_capacity(dataset.n_rows() * self.n_outputs());
        let rows: Vec<u32> = (0..dataset.n_rows() as u32).collect();
        for batch in rows.chunks(BATCH_ROWS) {
            load(&self.network, &mut workspace, dataset, batch, &self.threads);
            self.network
                .score(&mut workspace, batch.len(), &self.threads);
            scores.extend_from_slice(workspace.output(&self.network, batch.len()));
        }
        self.give_back(workspace);
        scores
    }

    fn take_workspace(&self, n_rows: usize) -> Workspace {
        let capacity = if n_rows <= 1 { 1 } else { BATCH_ROWS };
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        match idle
            .iter()
            .position(|workspace| workspace.capacity() >= capacity)
        {
            Some(idx) => idle.swap_remove(idx),
            None => Workspace::for_scoring(&self.network, capacity),
        }
    }

    fn give_back(&self, workspace: Workspace) {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(workspace);
    }
}
