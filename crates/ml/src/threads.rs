//! A fixed set of threads for work that was cut into shards beforehand.
//!
//! How work is cut never depends on the number of threads, so neither does any result.

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

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
        let pool = (wanted > 1)
            .then(|| {
                rayon::ThreadPoolBuilder::new()
                    .num_threads(wanted)
                    .build()
                    .ok()
            })
            .flatten();
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

    /// Works on every shard, in no particular order, and returns when all are done.
    pub(crate) fn for_each<T: Send>(&self, shards: Vec<T>, work: impl Fn(T) + Send + Sync) {
        match &self.pool {
            Some(pool) if shards.len() > 1 => {
                pool.install(|| shards.into_par_iter().for_each(work));
            }
            _ => shards.into_iter().for_each(work),
        }
    }
}
