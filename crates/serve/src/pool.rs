//! Threads that compute: what takes time never runs where connections are looked after, so that a health check is answered under any load.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::oneshot;

use crate::answer::Refusal;

type Job = Box<dyn FnOnce() + Send>;

/// Threads with one queue. Its length is bounded by what is admitted.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    jobs: Sender<Job>,
    /// Jobs that no thread has begun.
    n_waiting: Arc<AtomicUsize>,
    n_threads: usize,
}

impl Pool {
    /// As many threads as there are cores, or as the container may use.
    pub(crate) fn new() -> std::io::Result<Self> {
        let n_threads = thread::available_parallelism().map_or(1, usize::from);
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        let n_waiting = Arc::new(AtomicUsize::new(0));
        for idx in 0..n_threads {
            let (queue, n_waiting) = (Arc::clone(&queue), Arc::clone(&n_waiting));
            thread::Builder::new()
                .name(format!("compute-{idx}"))
                .spawn(move || work(&queue, &n_waiting))?;
        }
        Ok(Self {
            jobs,
            n_waiting,
            n_threads,
        })
    }

    pub(crate) const fn n_threads(&self) -> usize {
        self.n_threads
    }

    /// Whether the next job would be begun as soon as a thread is free.
    pub(crate) fn is_idle(&self) -> bool {
        self.n_waiting.load(Ordering::Relaxed) == 0
    }

    /// Runs `job` behind all that wait already. One that panics ends alone: what it holds is dropped.
    pub(crate) fn submit(&self, job: impl FnOnce() + Send + 'static) -> Result<(), Refusal> {
        self.n_waiting.fetch_add(1, Ordering::Relaxed);
        self.jobs.send(Box::new(job)).map_err(Refusal::internal)
    }

    /// Runs `work` on one of the threads. Where its result is not waited for any more before it has begun, it does not run.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let (done, result) = oneshot::channel();
        self.submit(move || {
            if !done.is_closed() {
                // The request may be gone.
                let _ = done.send(work());
            }
        })?;
        result.await.map_err(panicked)
    }
}

/// The answer where a job was dropped before it gave one.
pub(crate) fn panicked(_dropped: oneshot::error::RecvError) -> Refusal {
    Refusal::internal("a computation has panicked")
}

fn work(queue: &Mutex<Receiver<Job>>, n_waiting: &AtomicUsize) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(job) => {
                n_waiting.fetch_sub(1, Ordering::Relaxed);
                // The panic itself is in the log already; who waits for the job hears that it is gone.
                let _ = catch_unwind(AssertUnwindSafe(job));
            }
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn results_come_back_and_a_panic_ends_one_job_alone() {
        let pool = Pool::new().unwrap();
        assert_eq!(pool.run(|| 6 * 7).await.unwrap(), 42);
        for _ in 0..2 * pool.n_threads() {
            assert!(pool.run(|| panic!("for the test")).await.is_err());
        }
        assert_eq!(pool.run(|| 1).await.unwrap(), 1);
        assert!(pool.is_idle());
    }
}
