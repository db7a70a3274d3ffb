//! A stored model in, scores of raw rows out. Shared by `evaluate`, `publish-image` and the server, whatever computes
//! the scores.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use trainyard_core::digest::Sha256Digest;
use trainyard_core::metrics::argmax;
use trainyard_core::model::{Artifact, FileEntry, ModelError, ModelFolder, ModelManifest};
use trainyard_core::threshold::ChosenThreshold;

use crate::data::{DataError, Dataset};
use crate::network::{Network, NetworkError, ReadTensorsError, Workspace, load};
use crate::threads::Threads;
use crate::weights::Tensors;

/// Rows scored at a time, which bounds memory.
const BATCH_ROWS: usize = 128;

/// Scores raw rows by a stored model. Shared between threads: each call takes buffers of its own.
#[derive(Debug)]
pub struct Predictor {
    folder: ModelFolder,
    network: Network,
    threads: Threads,
    /// Buffers that no call uses at the moment.
    idle: Mutex<Vec<Workspace>>,
}

/// Why rows cannot be scored.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// The model folder cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The weights cannot be used.
    #[error("cannot load the weights of `{folder}`")]
    Weights {
        /// The model's folder.
        folder: String,
        /// What is wrong with them.
        source: NetworkError,
    },
    /// The artifact is of a kind that cannot be computed with.
    #[error(
        "the model in `{folder}` is an ONNX graph (`{graph}`), which this version of Trainyard cannot open\nhint: score it with its own tool and pass the result to `trainyard-evaluate --predictions FILE`"
    )]
    Onnx {
        /// The model's folder.
        folder: String,
        /// The graph's file.
        graph: String,
    },
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

/// The index of the class that is predicted for each row of `scores[n, n_outputs]`, as the evaluation predicts: by the threshold, else
/// the best one.
pub(crate) fn predicted_classes(
    scores: &[f32],
    n_outputs: usize,
    names: &[String],
    threshold: Option<&ChosenThreshold>,
) -> Vec<usize> {
    let scores = by_class(scores, n_outputs);
    let threshold = threshold.and_then(|chosen| {
        let positive = names
            .iter()
            .position(|name| *name == chosen.positive_class)?;
        Some((positive, chosen.threshold?))
    });
    let predicted = |row: &[f32]| match threshold {
        Some((positive, threshold)) if f64::from(row[positive]) >= threshold => positive,
        Some((positive, _)) => 1 - positive,
        None => argmax(row),
    };
    scores.chunks_exact(names.len()).map(predicted).collect()
}

impl Predictor {
    /// Opens the model in `folder`, or in a tar archive, such as a layer of an image. Each of its files is read once: what is computed
    /// with has the digests that were checked.
    pub fn open(folder: &Path, threads: Threads) -> Result<Self, PredictError> {
        let (folder, networks) = ModelFolder::read_with(folder, network)?;
        let place = || folder.path.display().to_string();
        if let Artifact::Onnx(onnx) = &folder.manifest.artifact {
            return Err(PredictError::Onnx {
                folder: place(),
                graph: onnx.graph.path.clone(),
            });
        }
        let network = networks.into_iter().flatten().next();
        let network = network
            .unwrap_or_else(|| Err(ReadTensorsError::Header("there is none".to_owned()).into()))
            .map_err(|source| PredictError::Weights {
                folder: place(),
                source,
            })?;
        Ok(Self {
            folder,
            network,
            threads,
            idle: Mutex::new(Vec::new()),
        })
    }

    /// What the model is.
    pub const fn manifest(&self) -> &ModelManifest {
        &self.folder.manifest
    }

    /// Which model it is.
    pub const fn digest(&self) -> &Sha256Digest {
        &self.folder.digest
    }

    /// The folder that it was opened from.
    pub const fn folder(&self) -> &ModelFolder {
        &self.folder
    }

    /// Values of one raw row.
    pub const fn n_inputs(&self) -> usize {
        self.network.n_inputs()
    }

    /// Values of one row of scores.
    pub const fn n_outputs(&self) -> usize {
        self.network.n_outputs()
    }

    /// The name of the predicted class of each row of `scores`: by the threshold that the model was given, else the best one. `None` for
    /// regression.
    pub fn classes(&self, scores: &[f32]) -> Option<Vec<&str>> {
        let names = self.manifest().class_names.as_ref()?;
        let predicted = self.predicted(scores)?.into_iter();
        Some(predicted.map(|class| names[class].as_str()).collect())
    }

    /// The index of that class.
    pub fn predicted(&self, scores: &[f32]) -> Option<Vec<usize>> {
        let manifest = self.manifest();
        let names = manifest.class_names.as_ref()?;
        let threshold = manifest.threshold.as_ref();
        Some(predicted_classes(
            scores,
            self.n_outputs(),
            names,
            threshold,
        ))
    }

    /// The scores `[n_rows, n_outputs]` of the raw rows `[n_rows, n_inputs]`, both row-major.
    pub fn score(&self, raw: &[f32], n_rows: usize) -> Result<Vec<f32>, PredictError> {
        let row_len = self.n_inputs();
        if raw.len() != n_rows * row_len {
            return Err(PredictError::Length {
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

    /// The scores of all rows of `dataset`, unless its rows are on the disk and cannot be read any more.
    pub fn score_dataset(&self, dataset: &Dataset) -> Result<Vec<f32>, DataError> {
        self.threads.within(|| self.score_rows(dataset))
    }

    fn score_rows(&self, dataset: &Dataset) -> Result<Vec<f32>, DataError> {
        let mut workspace = self.take_workspace(BATCH_ROWS);
        let mut scores = Vec::with_capacity(dataset.n_rows() * self.n_outputs());
        let rows: Vec<u32> = (0..dataset.n_rows() as u32).collect();
        for batch in rows.chunks(BATCH_ROWS) {
            let input = workspace.input_mut(batch.len());
            load(&self.network, input, dataset, batch, &self.threads)?;
            self.network
                .score(&mut workspace, batch.len(), &self.threads);
            scores.extend_from_slice(workspace.output(&self.network, batch.len()));
        }
        self.give_back(workspace);
        Ok(scores)
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

/// The network that a file of weights fills; `None` for a file of another artifact.
fn network(
    manifest: &ModelManifest,
    file: &FileEntry,
    reader: &mut dyn Read,
) -> Option<Result<Network, NetworkError>> {
    let Artifact::Network(artifact) = &manifest.artifact else {
        return None;
    };
    let network = Tensors::read(reader, file.size_bytes)
        .map_err(NetworkError::from)
        .and_then(|tensors| {
            Network::with_weights(
                &artifact.architecture,
                &manifest.input.shape,
                &manifest.preprocessing,
                tensors,
            )
        });
    Some(network)
}

/// For programs that compute with candle: raw rows `[n, …]` in, scores `[n, n_outputs]` out.
#[cfg(any(test, feature = "candle"))]
impl candle_nn::Module for Predictor {
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

#[cfg(test)]
mod tests;
