//! The model behind the server, and what it has done so far.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::model::ModelManifest;
use trainyard_ml::Threads;
use trainyard_ml::predictor::{PredictError, Predictor, by_class};

use crate::answer::Refusal;
use crate::pool::Pool;

/// Rows that one computing thread takes at a time: those of a large request leave room for a small one between them.
const BATCH_ROWS: usize = 128;

/// A loaded model, shared by all requests.
#[derive(Debug, Clone)]
pub struct Model(Arc<Loaded>);

#[derive(Debug)]
struct Loaded {
    predictor: Predictor,
    counts: Counts,
}

/// What was done, in numbers that only grow; times in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) n_requests: AtomicU64,
    pub(crate) n_refused: AtomicU64,
    pub(crate) n_rows: AtomicU64,
    pub(crate) request_ns: AtomicU64,
    pub(crate) refused_ns: AtomicU64,
    pub(crate) compute_ns: AtomicU64,
    /// Since 1970, in milliseconds; 0 before the first.
    pub(crate) last_request_ms: AtomicU64,
}

impl Counts {
    /// One request, answered or not, that took so long.
    pub(crate) fn add(&self, is_answered: bool, took: Duration) {
        let (n, ns) = if is_answered {
            (&self.n_requests, &self.request_ns)
        } else {
            (&self.n_refused, &self.refused_ns)
        };
        n.fetch_add(1, Ordering::Relaxed);
        ns.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_millis() as u64);
        self.last_request_ms.store(now, Ordering::Relaxed);
    }
}

impl Model {
    /// Loads the model in `folder` and computes one row with it, so that the first request finds warm buffers.
    pub fn open(folder: &Path) -> Result<Self, PredictError> {
        // Each computing thread works for itself.
        let predictor = Predictor::open(folder, Threads::single())?;
        predictor.score(&vec![0.0; predictor.n_inputs()], 1)?;
        Ok(Self(Arc::new(Loaded {
            predictor,
            counts: Counts::default(),
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

    pub(crate) fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// The scores `[n_rows, n_outputs]` of raw rows, computed on this thread: for as few as [`Self::is_small`] says.
    pub(crate) fn score_here(&self, rows: &[f32], n_rows: usize) -> Result<Vec<f32>, Refusal> {
        let started = std::time::Instant::now();
        let scores = self.0.predictor.score(rows, n_rows);
        let counts = self.counts();
        let took = started.elapsed().as_nanos() as u64;
        counts.compute_ns.fetch_add(took, Ordering::Relaxed);
        counts.n_rows.fetch_add(n_rows as u64, Ordering::Relaxed);
        scores.map_err(Refusal::internal)
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
