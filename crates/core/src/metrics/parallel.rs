//! Threads for sums over many rows. Their number changes no bit: rows are added up in blocks of one size, and blocks are merged in their
//! order.

use std::ops::Range;
use std::thread;

/// Rows that are added up at a time.
const BLOCK: usize = 8192;

/// What `of_block` makes of each block of `n_rows` rows, in their order, on as many threads as the machine has.
pub(super) fn blocks<T: Send>(
    n_rows: usize,
    of_block: impl Fn(Range<usize>) -> T + Sync,
) -> Vec<T> {
    in_shares(n_rows.div_ceil(BLOCK), &|blocks| {
        blocks
            .map(|block| of_block(block * BLOCK..((block + 1) * BLOCK).min(n_rows)))
            .collect()
    })
}

/// What `of_blocks` makes of `n_blocks` blocks, a share of them on each thread.
///
/// Apart from `blocks`, and called by pointer once a share: starting threads is 4 kB of code, and more than a hundred metrics would
/// each have their own copy.
fn in_shares<T: Send>(
    n_blocks: usize,
    of_blocks: &(dyn Fn(Range<usize>) -> Vec<T> + Sync),
) -> Vec<T> {
    let n_threads = thread::available_parallelism().map_or(1, usize::from);
    // A few blocks take less time than a thread's start.
    if n_blocks < 8 || n_threads < 2 {
        return of_blocks(0..n_blocks);
    }
    thread::scope(|scope| {
        let threads: Vec<_> = (0..n_threads)
            .map(|idx| {
                let share = n_blocks * idx / n_threads..n_blocks * (idx + 1) / n_threads;
                scope.spawn(move || of_blocks(share))
            })
            .collect();
        let results = threads
            .into_iter()
            .map(|thread| thread.join().expect("metrics do not panic"));
        results.flatten().collect()
    })
}

/// Both results, `left` on this thread and `right` on another.
pub(super) fn both<L, R: Send>(
    left: impl FnOnce() -> L,
    right: impl FnOnce() -> R + Send,
) -> (L, R) {
    thread::scope(|scope| {
        let right = scope.spawn(right);
        (left(), right.join().expect("metrics do not panic"))
    })
}
