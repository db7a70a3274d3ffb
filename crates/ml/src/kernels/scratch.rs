//! Buffers that begin on a cache line, so that no vector of a row lies on two lines.

use std::cell::RefCell;

/// Bytes of a cache line, and of the widest vector.
const LINE: usize = 64;

/// Values that an aligned buffer may lose at its start.
const SLACK: usize = LINE / size_of::<f32>() - 1;

/// The first `len` values of `buffer` from a cache line on; it grows where it must, and holds what was there before.
pub(crate) fn aligned(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len + SLACK {
        buffer.resize(len + SLACK, 0.0);
    }
    // What the allocator gives is aligned for `f32`, so that a line begins after at most `SLACK` values.
    let start = buffer.as_ptr().align_offset(LINE).min(SLACK);
    &mut buffer[start..start + len]
}

/// Lends aligned room that each thread keeps for itself; it holds what was left there. Calls must not be nested.
pub(crate) fn with_scratch<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    thread_local! {
        static ROOM: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    }
    ROOM.with_borrow_mut(|room| work(aligned(room, len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_begin_on_a_line_and_grow() {
        let mut buffer = Vec::new();
        for len in [1, 100, 7, 5000] {
            let values = aligned(&mut buffer, len);
            assert_eq!((values.len(), values.as_ptr().addr() % LINE), (len, 0));
        }
        with_scratch(3, |values| values.fill(2.0));
        assert_eq!(with_scratch(2, |values| values.to_vec()), [2.0, 2.0]);
    }
}
