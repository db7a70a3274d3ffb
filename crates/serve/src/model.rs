//! The model behind the server.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::model::ModelManifest;
use trainyard_ml::Threads;
use trainyard_ml::predictor::{PredictError, Predictor, by_class};

use crate::answer::Refusal;
use crate::drift::{Drift, DriftArgs};
use crate::metrics::Metrics;
use crate::pool::Pool;

/// Rows that one computing thread takes at a time: those of a large request leave room for a small one between them.
const BATCH_ROWS: usize = 128;

/// A loaded model, shared by all requests.
#[derive(Debug, Clone)]
pub struct Model(Arc<Loaded>);

#[derive(Debug)]
struct Loaded {
    predictor: Predictor,
    metrics: Metrics,
    drift: Drift,
}

impl Model {
    /// Loads the model in `folder` and computes one row with it, so that the first request finds warm buffers.
    pub fn open(folder: &Path, drift: DriftArgs) -> Result<Self, PredictError> {
        // Each computing thread works for itself.
        let predictor = Predictor::open(folder, Threads::single())?;
        predictor.score(&vec![0.0; predictor.n_inputs()], 1)?;
        let n_classes = predictor
            .manifest()
            .class_names
            .as_ref()
            .map_or(0, Vec::len);
        Ok(Self(Arc::new(Loaded {
            drift: Drift::new(predictor.manifest(), drift),
            predictor,
            metrics: Metrics::new(n_classes),
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

    /// What it has done so far.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// How its rows differ from those of training.
    pub(crate) fn drift(&self) -> &Drift {
        &self.0.drift
    }

    /// The scores `[n_rows, n_outputs]` of raw rows, computed on this thread: for as few as [`Self::is_small`] says.
    pub(crate) fn score_here(&self, rows: &[f32], n_rows: usize) -> Result<Vec<f32>, Refusal> {
        let started = Instant::now();
        let predictor = &self.0.predictor;
        let scores = predictor.score(rows, n_rows).map_err(Refusal::internal)?;
        let took = started.elapsed();
        let (metrics, drift) = (self.metrics(), self.drift());
        let are_counted = metrics.counts_classes() || drift.is_measured();
        let predicted = are_counted.then(|| predictor.predicted(&scores)).flatten();
        metrics.computed(n_rows, took, predicted.as_deref());
        drift.observe(n_rows, rows, &scores, predicted.as_deref());
        Ok(scores)
    }

    /// Whether rows are computed at once, without letting others in between.
    pub(crate) const fn is_small(n_rows: usize) -> bool {
        n_rows <= BATCH_ROWS
    }

    /// The same, a batch at a time on each thread of `pool`.
    pub(crate) async fn score(
        &self,
        rows: Vec<f32>,
        n_rows: usize,
        pool: &Pool,
    ) -> Result<Vec<f32>, Refusal> {
        let row_len = self.0.predictor.n_inputs();
        let rows = Arc::new(rows);
        let batches = (0..n_rows).step_by(BATCH_ROWS).map(|first| {
            let (model, rows) = (self.clone(), Arc::clone(&rows));
            let last = n_rows.min(first + BATCH_ROWS);
            pool.run(move || model.score_here(&rows[first * row_len..last * row_len], last - first))
        });
        let mut batches = stream::iter(batches).buffered(pool.n_threads());
        let mut scores = Vec::with_capacity(n_rows * self.0.predictor.n_outputs());
        while let Some(batch) = batches.try_next().await? {
            scores.extend(batch?);
        }
        Ok(scores)
    }

    /// The name of the predicted class of each row of `scores`; `None` for regression.
    pub(crate) fn classes(&self, scores: &[f32]) -> Option<Vec<&str>> {
        self.0.predictor.classes(scores)
    }

    /// The `k` classes with the highest scores of each row, as `score:index:name`, the highest first; `None` for regression.
    pub(crate) fn best_classes(&self, scores: &[f32], k: usize) -> Option<Vec<String>> {
        let names = self.manifest().class_names.as_ref()?;
        let scores = by_class(scores, self.0.predictor.n_outputs());
        let of_row = |row: &[f32]| {
            let mut order: Vec<usize> = (0..row.len()).collect();
            order.sort_by(|&left, &right| row[right].total_cmp(&row[left]));
            let best = order.into_iter().take(k);
            let text = best.map(|class| format!("{}:{class}:{}", row[class], names[class]));
            text.collect::<Vec<_>>()
        };
        Some(scores.chunks_exact(names.len()).flat_map(of_row).collect())
    }
}
