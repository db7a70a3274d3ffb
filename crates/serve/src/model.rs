//! A model behind the server.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::model::ModelManifest;
use trainyard_ml::Threads;
use trainyard_ml::predictor::{PredictError, Predictor, by_class};

use crate::answer::Refusal;
use crate::batch::{Batches, Waiting};
use crate::drift::{Drift, DriftArgs};
use crate::metrics::Metrics;
use crate::pool::Pool;

/// Rows that one computing thread takes at a time: those of a large request leave room for a small one between them.
const BATCH_ROWS: usize = 128;

/// A loaded model, shared by all requests.
#[derive(Debug, Clone)]
pub(crate) struct Model(Arc<Loaded>);

#[derive(Debug)]
struct Loaded {
    name: String,
    version: String,
    predictor: Predictor,
    batches: Batches,
    metrics: Metrics,
    drift: Drift,
}

impl Model {
    /// Loads the model in `folder` and computes one row with it, so that the first request finds warm buffers. Its name is that of its
    /// manifest unless another is given.
    pub(crate) fn open(
        folder: &Path,
        name: Option<&str>,
        version: u64,
        drift: DriftArgs,
    ) -> Result<Self, PredictError> {
        // Each computing thread works for itself.
        let predictor = Predictor::open(folder, Threads::single())?;
        predictor.score(&vec![0.0; predictor.n_inputs()], 1)?;
        let manifest = predictor.manifest();
        let n_classes = manifest.class_names.as_ref().map_or(0, Vec::len);
        Ok(Self(Arc::new(Loaded {
            name: name.unwrap_or(&manifest.name).to_owned(),
            version: version.to_string(),
            batches: Batches::default(),
            drift: Drift::new(manifest, drift),
            metrics: Metrics::new(n_classes),
            predictor,
        })))
    }

    /// The name that paths carry.
    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    /// The version that paths carry.
    pub(crate) fn version(&self) -> &str {
        &self.0.version
    }

    /// Which model it is.
    pub(crate) fn digest(&self) -> &Sha256Digest {
        self.0.predictor.digest()
    }

    pub(crate) fn manifest(&self) -> &ModelManifest {
        self.0.predictor.manifest()
    }

    /// What it has done so far.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Values of one row of scores.
    pub(crate) fn n_outputs(&self) -> usize {
        self.0.predictor.n_outputs()
    }

    /// How its rows differ from those of training.
    pub(crate) fn drift(&self) -> &Drift {
        &self.0.drift
    }

    /// The scores `[n_rows, n_outputs]` of raw rows, computed on this thread: for as few as [`Self::is_small`] says.
    fn score_here(&self, rows: &[f32], n_rows: usize) -> Result<Vec<f32>, Refusal> {
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

    /// Computes a small request, on a thread of `pool`: at once where no job waits, else together with the others that have been parsed by
    /// the time that the jobs before it are done.
    pub(crate) fn score_small(&self, request: Waiting, pool: &Pool) {
        self.0.batches.push(request);
        if pool.is_idle() {
            self.compute_batch(pool);
        } else {
            self.schedule(pool);
        }
    }

    fn compute_batch(&self, pool: &Pool) {
        let score = |rows: &[f32], n_rows| self.score_here(rows, n_rows);
        if self.0.batches.compute(BATCH_ROWS, score) {
            self.schedule(pool);
        }
    }

    fn schedule(&self, pool: &Pool) {
        if self.0.batches.must_schedule() {
            let (model, same_pool) = (self.clone(), pool.clone());
            // A pool without threads has dropped the job, and with it nothing that is waited for in vain.
            let _ = pool.submit(move || {
                model.0.batches.begin_scheduled();
                model.compute_batch(&same_pool);
            });
        }
    }

    /// The scores of many rows, a batch at a time on each thread of `pool`.
    pub(crate) async fn score_large(
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
        let mut scores = Vec::with_capacity(n_rows * self.n_outputs());
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
        let scores = by_class(scores, self.n_outputs());
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
