//! Uninitialised memory for results.
//!
//! Clearing it would cost as much memory traffic as writing the results. Until it is written, its
//! type is `MaybeUninit<T>`. Code that converts it to T must show that every slot was written.
#![allow(unsafe_code)]

use super::aligned::{Aligned, LINE};
use super::element::Element;
use crate::heap::prefer_large_pages;
use std::mem::MaybeUninit;

/// Memory for values that are written slot by slot.
pub(crate) struct Unwritten<T = f32> {
    /// Has `start` values. The slots are its spare capacity.
    memory: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Element> Unwritten<T> {
    /// Allocates memory for `len` values.
    pub(crate) fn new(len: usize) -> Self {
        Self::starting(Vec::with_capacity(len), 0, len)
    }

    /// Allocates memory for `len` values that start at a cache line.
    pub(crate) fn aligned(len: usize) -> Self {
        Self::reusing(Aligned::default(), len)
    }

    /// Returns memory for `len` values that start at a cache line: that of `values` if it is large
    /// enough.
    pub(crate) fn reusing(values: Aligned<T>, len: usize) -> Self {
        let mut memory = values.into_memory();
        memory.clear();
        if memory.capacity() < len + LINE / size_of::<T>() {
            memory = Vec::with_capacity(len + LINE / size_of::<T>());
        }
        let start = memory.as_ptr().align_offset(LINE);
        memory.resize(start, T::default());
        Self::starting(memory, start, len)
    }

    fn starting(memory: Vec<T>, start: usize, len: usize) -> Self {
        prefer_large_pages(&memory);
        let mut unwritten = Self { memory, start, len };
        if cfg!(debug_assertions) {
            // A slot that was not written then appears as NaN in tests.
            unwritten.slots().fill(MaybeUninit::new(T::of(f32::NAN)));
        }
        unwritten
    }

    /// Returns all slots.
    pub(crate) fn slots(&mut self) -> &mut [MaybeUninit<T>] {
        &mut self.memory.spare_capacity_mut()[..self.len]
    }

    /// Returns the values.
    ///
    /// # Safety
    /// Every slot must have been written.
    pub(crate) unsafe fn into_written(mut self) -> Vec<T> {
        assert_eq!(self.start, 0, "values that do not start with their memory");
        // SAFETY: the capacity is at least `len`, and the caller guarantees that all `len` values
        // are written.
        unsafe { self.memory.set_len(self.len) };
        self.memory
    }

    /// Returns the values of memory from [`Unwritten::aligned`].
    ///
    /// # Safety
    /// Every slot must have been written.
    pub(crate) unsafe fn into_aligned(mut self) -> Aligned<T> {
        // SAFETY: the capacity is at least `start + len`. The first `start` values are written, and
        // the caller guarantees that the others are.
        unsafe { self.memory.set_len(self.start + self.len) };
        Aligned::new(self.memory, self.start)
    }
}

/// Returns the values in `slots`.
///
/// # Safety
/// Every slot must have been written.
pub(crate) unsafe fn written<T>(slots: &mut [MaybeUninit<T>]) -> &mut [T] {
    // SAFETY: `MaybeUninit<T>` has the layout of T, and the caller guarantees that all slots
    // are written.
    unsafe { &mut *(std::ptr::from_mut(slots) as *mut [T]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_values_are_returned_in_their_places() {
        let mut memory = Unwritten::<f32>::new(5);
        let (first, rest) = memory.slots().split_at_mut(2);
        first.fill(MaybeUninit::new(1.));
        for (i, slot) in rest.iter_mut().enumerate() {
            slot.write(i as f32);
        }
        // SAFETY: two slots were filled, and three were written.
        unsafe {
            written(first)[1] = 7.;
            assert_eq!(memory.into_written(), [1., 7., 0., 1., 2.]);
        }
    }

    #[test]
    fn aligned_slots_start_at_a_cache_line() {
        for len in [0, 1, 100] {
            let mut memory = Unwritten::<f32>::aligned(len);
            memory.slots().fill(MaybeUninit::new(2.));
            // SAFETY: all slots were filled.
            let values = unsafe { memory.into_aligned() };
            assert_eq!(*values, vec![2.; len]);
            assert_eq!(values.as_ptr().addr() % LINE, 0);
        }
    }

    #[test]
    fn memory_is_reused_if_it_is_large_enough() {
        let values = |memory: Unwritten, value: f32| {
            let mut memory = memory;
            memory.slots().fill(MaybeUninit::new(value));
            // SAFETY: all slots were filled.
            unsafe { memory.into_aligned() }
        };
        let first = values(Unwritten::aligned(100), 1.);
        let place = first.as_ptr();
        let second = values(Unwritten::reusing(first, 80), 2.);
        assert_eq!((&*second, second.as_ptr()), (&[2.; 80][..], place));
        let third = values(Unwritten::reusing(second, 1000), 3.);
        assert_eq!(*third, [3.; 1000]);
        assert_eq!(third.as_ptr().addr() % LINE, 0);
    }

    #[test]
    fn zero_slots_are_allowed() {
        let mut memory = Unwritten::<f32>::new(0);
        assert!(memory.slots().is_empty());
        // SAFETY: there is no slot.
        assert!(unsafe { memory.into_written() }.is_empty());
    }

    #[test]
    #[cfg(debug_assertions)]
    fn unwritten_slots_are_nan_in_tests() {
        let mut memory = Unwritten::<f32>::new(3);
        // SAFETY: `new` fills every slot in debug builds.
        assert!(unsafe { written(memory.slots()) }.iter().all(|x| x.is_nan()));
    }
}
