//! Memory for values: from a cache line on, so that no vector of a row lies on two lines, and on huge pages where it is
//! large, so that the processor finds it without walking page tables.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Bytes of a cache line, and of the widest vector.
const LINE: usize = 64;

/// Bytes of a huge page of Linux on most machines; elsewhere a length like any other.
const HUGE_PAGE: usize = 2 << 20;

/// Values of a tensor.
#[derive(Debug, Default)]
pub struct Buffer {
    room: Vec<f32>,
    start: usize,
    len: usize,
}

impl Buffer {
    /// Without values.
    pub const fn new() -> Self {
        Self {
            room: Vec::new(),
            start: 0,
            len: 0,
        }
    }

    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        const VALUES: usize = HUGE_PAGE / size_of::<f32>();
        if len == 0 {
            return Self::new();
        }
        let (boundary, n_values) = if len >= VALUES {
            (HUGE_PAGE, len.next_multiple_of(VALUES))
        } else {
            (LINE, len)
        };
        // What the allocator gives is aligned for `f32`, so that a boundary comes after at most this many values.
        let slack = boundary / size_of::<f32>() - 1;
        let room = vec![0.0; n_values + slack];
        let start = room.as_ptr().align_offset(boundary).min(slack);
        #[cfg(target_os = "linux")]
        if boundary == HUGE_PAGE {
            prefer_huge_pages(&room[start..start + n_values]);
        }
        Self { room, start, len }
    }

    /// The first `len` values, which are any where there were fewer before.
    pub(crate) fn grown(&mut self, len: usize) -> &mut [f32] {
        if self.len < len {
            *self = Self::zeros(len);
        }
        &mut self[..len]
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.room[self.start..self.start + self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.room[self.start..self.start + self.len]
    }
}

impl PartialEq for Buffer {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl From<&[f32]> for Buffer {
    fn from(values: &[f32]) -> Self {
        let mut buffer = Self::zeros(values.len());
        buffer.copy_from_slice(values);
        buffer
    }
}

impl<'a> IntoIterator for &'a Buffer {
    type Item = &'a f32;
    type IntoIter = std::slice::Iter<'a, f32>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> IntoIterator for &'a mut Buffer {
    type Item = &'a mut f32;
    type IntoIter = std::slice::IterMut<'a, f32>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        Self::from(&**self)
    }
}

/// Asks the system for huge pages, before any value of these is used.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "tells the system how memory will be used")]
fn prefer_huge_pages(pages: &[f32]) {
    let start = pages.as_ptr().cast_mut().cast();
    let len = size_of_val(pages);
    // SAFETY: the range is lent to us, and the advice changes none of it. Where the system does not know it, pages stay
    // small.
    let _ = unsafe { rustix::mm::madvise(start, len, rustix::mm::Advice::LinuxHugepage) };
}

/// Lends room that each thread keeps for itself; it holds what was left there. Calls must not be nested.
pub(crate) fn with_scratch<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    thread_local! {
        static ROOM: RefCell<Buffer> = const { RefCell::new(Buffer::new()) };
    }
    ROOM.with_borrow_mut(|room| work(room.grown(len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_begin_on_a_line_and_large_ones_on_a_huge_page() {
        for (len, boundary) in [(1, LINE), (100, LINE), (600_000, HUGE_PAGE)] {
            let buffer = Buffer::zeros(len);
            assert_eq!((buffer.len(), buffer.as_ptr().addr() % boundary), (len, 0));
            assert!(buffer.iter().all(|value| *value == 0.0));
            let mut other = buffer.clone();
            other[len - 1] = 2.0;
            assert_eq!((buffer[len - 1], other[len - 1]), (0.0, 2.0));
            assert_eq!(other.as_ptr().addr() % boundary, 0);
        }
        assert!(Buffer::new().is_empty() && Buffer::zeros(0).clone().is_empty());
    }

    #[test]
    fn buffers_grow() {
        let mut buffer = Buffer::new();
        for len in [1, 100, 7, 5000] {
            let values = buffer.grown(len);
            assert_eq!((values.len(), values.as_ptr().addr() % LINE), (len, 0));
        }
        with_scratch(3, |values| values.fill(2.0));
        assert_eq!(with_scratch(2, |values| values.to_vec()), [2.0, 2.0]);
    }
}
