//! The model behind the server, and the room for computing.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::Semaphore;
use trainyard_core::digest::Sha256Digest;
use trainyard_core::model::ModelManifest;
use trainyard_ml::Threads;
use trainyard_ml::predictor::{PredictError, Predictor};

use crate::answer::Refusal;

/// A loaded model, shared by all requests.
#[derive(Debug, Clone)]
pub struct Model(Arc<Loaded>);

#[derive(Debug)]
struct Loaded {
    predictor: Predictor,
    /// One computation per core: more would only take turns.
    room: Semaphore,
}

impl Model {
    /// Loads the model in `folder` and computes one row with it, so that the first request finds warm buffers.
    pub fn open(folder: &Path) -> Result<Self, PredictError> {
        let predictor = Predictor::open(folder, Threads::new(None))?;
        predictor.score(&vec![0.0; predictor.n_inputs()], 1)?;
        let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self(Arc::new(Loaded {
            predictor,
            room: Semaphore::new(n_cores),
        })))
    }

    /// The name that paths carry.
    pub fn name(&self) -> &str {
        &self.manifest().name
    }

    /// Which model it is.
    pub fn digest(&self) -> &Sha256Digest {
        self.0.predictor.digest()
    }

    pub(crate) fn manifest(&self) -> &ModelManifest {
        self.0.predictor.manifest()
    }

    /// The scores `[n_rows, n_outputs]` of raw rows.
    pub(crate) async fn score(&self, rows: Vec<f32>, n_rows: usize) -> Result<Vec<f32>, Refusal> {
        let _permit = self.0.room.acquire().await.map_err(Refusal::internal)?;
        let model = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || model.predictor.score(&rows, n_rows))
            .await
            .map_err(Refusal::internal)?
            .map_err(Refusal::internal)
    }

    /// The name of the best class of each row of `scores`; `None` for regression.
    pub(crate) fn classes(&self, scores: &[f32]) -> Option<Vec<&str>> {
        self.0.predictor.classes(scores)
    }
}
