//! Values that start at a cache line.
//!
//! A read that crosses two lines takes up to twice the time, and so does each row of a tile.

use super::element::Element;
use crate::heap::prefer_large_pages;
use std::ops::Deref;

/// Bytes of a cache line.
pub(crate) const LINE: usize = 64;

/// Values that start at a cache line. It can be empty.
#[derive(Debug, Default)]
pub(crate) struct Aligned<T> {
    memory: Vec<T>,
    start: usize,
}

impl<T> Aligned<T> {
    /// Returns the values of `memory` from `start` on. The first of them is at the start of a line.
    pub(super) fn new(memory: Vec<T>, start: usize) -> Self {
        Self { memory, start }
    }

    /// Returns the memory. Its values may start later than the memory.
    pub(super) fn into_memory(self) -> Vec<T> {
        self.memory
    }

    /// Returns the values, to change them.
    pub(crate) fn values(&mut self) -> &mut [T] {
        &mut self.memory[self.start..]
    }
}

impl<T: Element> Aligned<T> {
    /// Returns `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let mut memory = vec![T::default(); len + LINE / size_of::<T>()];
        prefer_large_pages(&memory);
        let start = memory.as_ptr().align_offset(LINE);
        memory.truncate(start + len);
        Self { memory, start }
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.memory[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_start_at_a_cache_line() {
        assert!(Aligned::<f32>::default().is_empty());
        for len in [0, 1, 7] {
            let values = Aligned::<f32>::zeros(len);
            assert_eq!(*values, vec![0.; len]);
            assert_eq!(values.as_ptr().addr() % LINE, 0);
        }
        let mut values = Aligned::<f32>::zeros(100);
        values.values()[99] = 3.;
        assert_eq!(values[90..], [0., 0., 0., 0., 0., 0., 0., 0., 0., 3.]);
    }
}
