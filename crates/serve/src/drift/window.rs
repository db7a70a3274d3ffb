//! Counts of the latest rows: those of two half-windows, of which one fills while the other stays.
//!
//! A third set of counts is empty and waits, so that no thread waits for another when the next half-window begins. A thread that is held up for a
//! whole half-window adds its row to a later one: counts may then be off by a row, which no distance shows.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const N_SETS: u64 = 3;

/// The latest rows, in counts.
#[derive(Debug)]
pub(super) struct Window {
    /// Rows of a half-window.
    half: u64,
    /// Rows counted since the start.
    n_rows: AtomicU64,
    sets: [Counts; N_SETS as usize],
}

/// One count a bin.
#[derive(Debug)]
pub(super) struct Counts(Vec<AtomicU32>);

/// What the window holds at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Latest {
    /// Rows in the window.
    pub(super) n_rows: u64,
    /// One count a bin.
    pub(super) counts: Vec<u64>,
}

impl Counts {
    /// Counts a value in `bin`.
    pub(super) fn add(&self, bin: usize) {
        self.0[bin].fetch_add(1, Ordering::Relaxed);
    }
}

impl Window {
    /// With half-windows of `half` rows.
    pub(super) fn new(half: usize, n_bins: usize) -> Self {
        let counts = || Counts((0..n_bins).map(|_| AtomicU32::new(0)).collect());
        Self {
            half: half.max(1) as u64,
            n_rows: AtomicU64::new(0),
            sets: [counts(), counts(), counts()],
        }
    }

    /// Where to count the next `n` rows; `n` is at most a half-window.
    pub(super) fn begin(&self, n: usize) -> &Counts {
        let before = self.n_rows.fetch_add(n as u64, Ordering::Relaxed);
        let (generation, next) = (before / self.half, (before + n as u64) / self.half);
        if next != generation {
            // The half-window before the one that is full now is forgotten: its counts serve the one after the next.
            let oldest = &self.sets[((next + 1) % N_SETS) as usize].0;
            oldest
                .iter()
                .for_each(|count| count.store(0, Ordering::Relaxed));
        }
        &self.sets[(generation % N_SETS) as usize]
    }

    /// The counts of the half-window that fills and of the one before.
    pub(super) fn latest(&self) -> Latest {
        let n_rows = self.n_rows.load(Ordering::Relaxed);
        let generation = n_rows / self.half;
        let set = |generation: u64| &self.sets[(generation % N_SETS) as usize].0;
        let read = |count: &AtomicU32| u64::from(count.load(Ordering::Relaxed));
        let mut counts: Vec<u64> = set(generation).iter().map(read).collect();
        if let Some(before) = generation.checked_sub(1) {
            for (sum, count) in counts.iter_mut().zip(set(before)) {
                *sum += read(count);
            }
        }
        Latest {
            n_rows: n_rows - generation.saturating_sub(1) * self.half,
            counts,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn the_latest_rows_are_counted_and_older_ones_forgotten() {
        let window = Window::new(10, 3);
        let mut latest = Vec::new();
        for row in 0..40 {
            window
                .begin(1)
                .add(usize::from(row >= 15) + usize::from(row >= 30));
            latest.push(window.latest());
        }
        let expected = |n_rows, counts: [u64; 3]| Latest {
            n_rows,
            counts: counts.into(),
        };
        assert_eq!(latest[8], expected(9, [9, 0, 0]));
        assert_eq!(latest[17], expected(18, [15, 3, 0]));
        // The first ten are forgotten.
        assert_eq!(latest[19], expected(10, [5, 5, 0]));
        assert_eq!(latest[28], expected(19, [5, 14, 0]));
        assert_eq!(latest[39], expected(10, [0, 0, 10]));
    }

    #[test]
    fn threads_lose_no_row_within_a_half_window() {
        const N_THREADS: usize = 4;
        const N_ROWS: usize = 10_000;
        let window = Window::new(N_THREADS * N_ROWS * 2, 2);
        thread::scope(|scope| {
            for thread in 0..N_THREADS {
                let window = &window;
                scope.spawn(move || (0..N_ROWS).for_each(|_| window.begin(1).add(thread % 2)));
            }
        });
        let half = (N_THREADS * N_ROWS / 2) as u64;
        assert_eq!(window.latest().counts, [half, half]);
        assert_eq!(window.latest().n_rows, 2 * half);
    }
}
