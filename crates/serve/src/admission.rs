//! Who may be served now: the memory of all requests together is bounded, and so is the time that one waits for its share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::answer::Refusal;

/// What the semaphore counts in.
const UNIT_BYTES: usize = 1 << 10;

/// What a request takes beside its values: buffers, the answer, the connection.
const REQUEST_BYTES: usize = 64 << 10;

/// A client that is told so comes back after this many seconds.
const RETRY_AFTER_S: u32 = 1;

/// Requests that wait; more are refused at once.
const MAX_WAITING: usize = 1024;

/// The memory that requests may take.
#[derive(Debug)]
pub(crate) struct Admission {
    room: Arc<Semaphore>,
    n_units: usize,
    n_waiting: AtomicUsize,
    patience: Duration,
}

/// A share of the memory, given back when dropped.
#[derive(Debug)]
pub(crate) struct Admitted(
    #[expect(dead_code, reason = "dropping it gives the share back")] OwnedSemaphorePermit,
);

impl Admission {
    /// `n_bytes` for all requests together; each waits for its share for `patience` at most.
    pub(crate) fn new(n_bytes: usize, patience: Duration) -> Self {
        let n_units = (n_bytes / UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            room: Arc::new(Semaphore::new(n_units)),
            n_units,
            n_waiting: AtomicUsize::new(0),
            patience,
        }
    }

    /// Requests that wait for their share.
    pub(crate) fn n_waiting(&self) -> usize {
        self.n_waiting.load(Ordering::Relaxed)
    }

    /// Waits until a request whose values take `n_bytes` may be read, first come, first served. One that needs more than there is for all
    /// waits until it is alone.
    pub(crate) async fn admit(&self, n_bytes: usize) -> Result<Admitted, Refusal> {
        let n_units = (n_bytes.saturating_add(REQUEST_BYTES)).div_ceil(UNIT_BYTES);
        let n_units = n_units.min(self.n_units) as u32;
        let waiting = Waiting::begin(&self.n_waiting);
        if waiting.n > MAX_WAITING {
            return Err(busy(
                StatusCode::TOO_MANY_REQUESTS,
                "too many requests wait already",
            ));
        }
        let permit = Arc::clone(&self.room).acquire_many_owned(n_units);
        match tokio::time::timeout(self.patience, permit).await {
            Ok(Ok(permit)) => Ok(Admitted(permit)),
            Ok(Err(closed)) => Err(Refusal::internal(closed)),
            Err(_) => Err(busy(
                StatusCode::SERVICE_UNAVAILABLE,
                "the server is busy with other requests",
            )),
        }
    }
}

fn busy(status: StatusCode, problem: &str) -> Refusal {
    Refusal::new(status, format!("{problem}; try again later")).retry_after(RETRY_AFTER_S)
}

/// One who waits, until dropped.
struct Waiting<'a> {
    n_waiting: &'a AtomicUsize,
    /// With this one.
    n: usize,
}

impl<'a> Waiting<'a> {
    fn begin(n_waiting: &'a AtomicUsize) -> Self {
        let n = n_waiting.fetch_add(1, Ordering::Relaxed) + 1;
        Self { n_waiting, n }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.n_waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_share_is_waited_for_and_then_refused() {
        let admission = Admission::new(1 << 20, Duration::from_secs(5));
        let first = admission.admit(800 << 10).await.unwrap();
        let refused = admission.admit(800 << 10).await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        // A small one has room beside it.
        admission.admit(0).await.unwrap();
        drop(first);
        // More than there is: alone.
        let alone = admission.admit(usize::MAX).await.unwrap();
        assert!(admission.admit(0).await.is_err());
        drop(alone);
        admission.admit(0).await.unwrap();
    }

    #[tokio::test]
    async fn a_crowd_is_told_at_once() {
        let admission = Arc::new(Admission::new(1 << 20, Duration::from_mins(1)));
        let _all = admission.admit(usize::MAX).await.unwrap();
        let waiting: Vec<_> = (0..MAX_WAITING)
            .map(|_| {
                let admission = Arc::clone(&admission);
                tokio::spawn(async move { admission.admit(0).await.is_ok() })
            })
            .collect();
        while admission.n_waiting.load(Ordering::Relaxed) < MAX_WAITING {
            tokio::task::yield_now().await;
        }
        let refused = admission.admit(0).await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
    }
}
