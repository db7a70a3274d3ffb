//! The model behind the server, and the room for computing.

use std::sync::Arc;

use tokio::sync::Semaphore;
use trainyard_core::digest::Sha256Digest;
use trainyard_core::metrics::argmax;
use trainyard_core::model::{ModelFolder, ModelManifest};
use trainyard_ml::score::{ScoreError, Scorer, by_class};

use crate::answer::Refusal;

/// A loaded model, shared by all requests.
#[derive(Debug, Clone)]
pub struct Model(Arc<Loaded>);

#[derive(Debug)]
struct Loaded {
    manifest: ModelManifest,
    digest: Sha256Digest,
    scorer: Scorer,
    /// One computation per core: more would only take turns.
    room: Semaphore,
}

impl Model {
    /// Loads the model and computes one row with it, so that the first request finds warm buffers.
    pub fn open(folder: &ModelFolder) -> Result<Self, ScoreError> {
        let scorer = Scorer::open(folder)?;
        scorer.score(&vec![0.0; scorer.n_inputs()], 1)?;
        let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self(Arc::new(Loaded {
            manifest: folder.manifest.clone(),
            digest: folder.digest.clone(),
            scorer,
            room: Semaphore::new(n_cores),
        })))
    }

    /// The name that paths carry.
    pub fn name(&self) -> &str {
        &self.0.manifest.name
    }

    /// Which model it is.
    pub fn digest(&self) -> &Sha256Digest {
        &self.0.digest
    }

    pub(crate) fn manifest(&self) -> &ModelManifest {
        &self.0.manifest
    }

    /// The scores `[n_rows, n_outputs]` of raw rows.
    pub(crate) async fn score(&self, rows: Vec<f32>, n_rows: usize) -> Result<Vec<f32>, Refusal> {
        let _permit = self.0.room.acquire().await.map_err(Refusal::internal)?;
        let model = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || model.scorer.score(&rows, n_rows))
            .await
            .map_err(Refusal::internal)?
            .map_err(Refusal::internal)
    }

    /// The name of the best class of each row of `scores`; `None` for regression.
    pub(crate) fn classes(&self, scores: &[f32]) -> Option<Vec<&str>> {
        let names = self.0.manifest.class_names.as_ref()?;
        let scores = by_class(scores, self.0.scorer.n_outputs());
        let best = |row: &[f32]| names.get(argmax(row)).map_or("", String::as_str);
        Some(scores.chunks_exact(names.len()).map(best).collect())
    }
}
