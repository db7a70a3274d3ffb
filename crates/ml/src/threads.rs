//! A fixed set of threads for work that was cut into parts beforehand.
//!
//! How work is cut never depends on the number of threads, so neither does any result.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Threads to compute with.
#[derive(Debug)]
pub struct Threads {
    /// Absent for a single thread, which then is the caller's own.
    pool: Option<rayon::ThreadPool>,
    n_threads: usize,
}

impl Threads {
    /// `n_threads` threads, or as many as there are cores for `None`; one where the system gives no more.
    pub fn new(n_threads: Option<usize>) -> Self {
        let available = || std::thread::available_parallelism().map_or(1, usize::from);
        let wanted = n_threads.unwrap_or_else(available).max(1);
        let builder = || rayon::ThreadPoolBuilder::new().num_threads(wanted);
        let pool = (wanted > 1).then(|| builder().build().ok()).flatten();
        let n_threads = if pool.is_some() { wanted } else { 1 };
        Self { pool, n_threads }
    }

    /// The caller's thread alone.
    pub const fn single() -> Self {
        Self {
            pool: None,
            n_threads: 1,
        }
    }

    /// How many there are.
    pub const fn count(&self) -> usize {
        self.n_threads
    }

    /// Runs `work` on one of the threads, from where it need not wake another to take part itself.
    pub(crate) fn within<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// Works on every part and returns when all are done.
    ///
    /// Each thread begins with its own stretch of the parts, the same for the same number of parts, so that what it
    /// wrote a moment ago is still in its cache; then it helps the others.
    pub(crate) fn for_each<T: Send>(&self, parts: Vec<T>, work: impl Fn(T) + Send + Sync) {
        let Some(pool) = self.pool.as_ref().filter(|_| parts.len() > 1) else {
            parts.into_iter().for_each(work);
            return;
        };
        let n_parts = parts.len();
        let parts: Vec<Mutex<Option<T>>> = parts
            .into_iter()
            .map(|part| Mutex::new(Some(part)))
            .collect();
        let start_of = |thread: usize| thread * n_parts / self.n_threads;
        let next: Vec<AtomicUsize> = (0..self.n_threads)
            .map(|thread| AtomicUsize::new(start_of(thread)))
            .collect();
        pool.broadcast(|context| {
            for turn in 0..self.n_threads {
                let stretch = (context.index() + turn) % self.n_threads;
                loop {
                    let idx = next[stretch].fetch_add(1, Ordering::Relaxed);
                    if idx >= start_of(stretch + 1) {
                        break;
                    }
                    let part = parts[idx]
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .take();
                    if let Some(part) = part {
                        work(part);
                    }
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_worked_on_once() {
        for n_threads in [1, 2, 3, 8] {
            let threads = Threads::new(Some(n_threads));
            for n_parts in [0, 1, 2, 7, 100] {
                let mut done = vec![0_u32; n_parts];
                threads.for_each(done.iter_mut().collect(), |count| *count += 1);
                assert!(
                    done.iter().all(|count| *count == 1),
                    "{n_threads} {n_parts}"
                );
            }
        }
    }
}
