//! What the server has done, counted.

pub(crate) mod page;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::StatusCode;

/// Upper bounds in seconds: six a decade, since a canary is compared by quantiles that are known no better than these.
const BUCKETS: [f64; 31] = [
    0.0001, 0.00015, 0.00025, 0.00035, 0.0005, 0.00075, 0.001, 0.0015, 0.0025, 0.0035, 0.005,
    0.0075, 0.01, 0.015, 0.025, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.35, 0.5, 0.75, 1.0, 1.5,
    2.5, 3.5, 5.0, 7.5, 10.0,
];

/// Of more classes none is counted: each is a series that Prometheus keeps.
const MAX_CLASSES: usize = 64;

/// Numbers that only grow, but for `n_in_flight`.
#[derive(Debug)]
pub(crate) struct Metrics {
    n_in_flight: Arc<AtomicUsize>,
    requests: ByStatus,
    durations: Histogram,
    n_rows: AtomicU64,
    n_batches: AtomicU64,
    compute_ns: AtomicU64,
    /// By class, where there are few.
    predicted: Vec<AtomicU64>,
    /// In milliseconds since 1970; 0 before the first.
    last_request_ms: AtomicU64,
}

/// Answers, counted by their status.
#[derive(Debug, Default)]
pub(crate) struct ByStatus(Mutex<BTreeMap<u16, u64>>);

impl ByStatus {
    pub(crate) fn add(&self, status: StatusCode) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(status.as_u16()).or_default() += 1;
    }

    fn all(&self) -> BTreeMap<u16, u64> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Durations of requests that were answered.
#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BUCKETS.len()],
    n: AtomicU64,
    sum_ns: AtomicU64,
    /// Of those that were refused.
    refused_ns: AtomicU64,
}

/// What the statistics of the Open Inference Protocol are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) n_answered: u64,
    pub(crate) answered_ns: u64,
    pub(crate) n_refused: u64,
    pub(crate) refused_ns: u64,
    pub(crate) n_rows: u64,
    pub(crate) n_batches: u64,
    pub(crate) compute_ns: u64,
    pub(crate) last_request_ms: u64,
}

/// A request that is under way, until dropped.
pub(crate) struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// Of a model with so many classes; 0 for regression.
    pub(crate) fn new(n_classes: usize) -> Self {
        started();
        let n_counted = if n_classes <= MAX_CLASSES {
            n_classes
        } else {
            0
        };
        Self {
            n_in_flight: Arc::default(),
            requests: ByStatus::default(),
            durations: Histogram::default(),
            n_rows: AtomicU64::new(0),
            n_batches: AtomicU64::new(0),
            compute_ns: AtomicU64::new(0),
            predicted: (0..n_counted).map(|_| AtomicU64::new(0)).collect(),
            last_request_ms: AtomicU64::new(0),
        }
    }

    /// A request has begun.
    pub(crate) fn begin(&self) -> InFlight {
        self.n_in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(&self.n_in_flight))
    }

    /// It has ended.
    pub(crate) fn end(&self, status: StatusCode, took: Duration) {
        self.requests.add(status);
        let ns = took.as_nanos() as u64;
        if status.is_success() {
            self.durations.add(took);
        } else {
            self.durations.refused_ns.fetch_add(ns, Ordering::Relaxed);
        }
        self.last_request_ms
            .store(now().as_millis() as u64, Ordering::Relaxed);
    }

    /// Rows were computed, with these classes predicted.
    pub(crate) fn computed(&self, n_rows: usize, took: Duration, predicted: Option<&[usize]>) {
        self.n_rows.fetch_add(n_rows as u64, Ordering::Relaxed);
        self.n_batches.fetch_add(1, Ordering::Relaxed);
        let ns = took.as_nanos() as u64;
        self.compute_ns.fetch_add(ns, Ordering::Relaxed);
        for class in predicted.into_iter().flatten() {
            if let Some(count) = self.predicted.get(*class) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Whether classes are counted.
    pub(crate) const fn counts_classes(&self) -> bool {
        !self.predicted.is_empty()
    }

    pub(crate) fn totals(&self) -> Totals {
        let n_all: u64 = self.requests.all().values().sum();
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let n_answered = read(&self.durations.n);
        Totals {
            n_answered,
            answered_ns: read(&self.durations.sum_ns),
            n_refused: n_all.saturating_sub(n_answered),
            refused_ns: read(&self.durations.refused_ns),
            n_rows: read(&self.n_rows),
            n_batches: read(&self.n_batches),
            compute_ns: read(&self.compute_ns),
            last_request_ms: read(&self.last_request_ms),
        }
    }
}

impl Histogram {
    fn add(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        if let Some(idx) = BUCKETS.iter().position(|bound| seconds <= *bound) {
            self.buckets[idx].fetch_add(1, Ordering::Relaxed);
        }
        self.sum_ns
            .fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
        self.n.fetch_add(1, Ordering::Relaxed);
    }
}

/// When the process began, as far as it knows, after 1970.
fn started() -> Duration {
    static STARTED: OnceLock<Duration> = OnceLock::new();
    *STARTED.get_or_init(now)
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_counted_in_the_bucket_that_they_fit() {
        let histogram = Histogram::default();
        for ms in [0, 1, 3, 60_000] {
            histogram.add(Duration::from_millis(ms));
        }
        let counts: Vec<u64> = histogram
            .buckets
            .iter()
            .map(|it| it.load(Ordering::Relaxed))
            .collect();
        let fitting = |bound: f64| counts[BUCKETS.iter().position(|it| *it == bound).unwrap()];
        assert_eq!(
            (fitting(0.0001), fitting(0.001), fitting(0.0035)),
            (1, 1, 1)
        );
        assert_eq!(counts.iter().sum::<u64>(), 3);
        assert_eq!(histogram.n.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn refusals_are_no_durations() {
        let metrics = Metrics::new(0);
        let in_flight = metrics.begin();
        assert_eq!(metrics.n_in_flight.load(Ordering::Relaxed), 1);
        drop(in_flight);
        assert_eq!(metrics.n_in_flight.load(Ordering::Relaxed), 0);
        metrics.end(StatusCode::OK, Duration::from_millis(2));
        metrics.end(StatusCode::BAD_REQUEST, Duration::from_millis(3));
        metrics.computed(7, Duration::from_millis(1), None);
        let totals = metrics.totals();
        assert_eq!(
            (totals.n_answered, totals.n_refused, totals.n_rows),
            (1, 1, 7)
        );
        assert_eq!(
            (totals.answered_ns, totals.refused_ns),
            (2_000_000, 3_000_000)
        );
        assert!(!Metrics::new(65).counts_classes() && Metrics::new(64).counts_classes());
    }
}
