//! Uninitialised memory for results.
//!
//! Clearing it would cost as much memory traffic as writing the results. Until it is written, its
//! type is `MaybeUninit<f32>`. Code that converts it to f32 must show that every slot was written.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

/// Memory for f32 values that are written slot by slot.
pub(crate) struct Unwritten {
    /// Empty. The slots are its spare capacity.
    memory: Vec<f32>,
    len: usize,
}

impl Unwritten {
    /// Allocates memory for `len` values.
    pub(crate) fn new(len: usize) -> Self {
        let mut unwritten = Self { memory: Vec::with_capacity(len), len };
        if cfg!(debug_assertions) {
            // A slot that was not written then appears as NaN in tests.
            unwritten.slots().fill(MaybeUninit::new(f32::NAN));
        }
        unwritten
    }

    /// Returns all slots.
    pub(crate) fn slots(&mut self) -> &mut [MaybeUninit<f32>] {
        &mut self.memory.spare_capacity_mut()[..self.len]
    }

    /// Returns the values.
    ///
    /// # Safety
    /// Every slot must have been written.
    pub(crate) unsafe fn into_written(mut self) -> Vec<f32> {
        // SAFETY: the capacity is at least `len`, and the caller guarantees that all `len` values
        // are written.
        unsafe { self.memory.set_len(self.len) };
        self.memory
    }
}

/// Returns the values in `slots`.
///
/// # Safety
/// Every slot must have been written.
pub(crate) unsafe fn written(slots: &mut [MaybeUninit<f32>]) -> &mut [f32] {
    // SAFETY: `MaybeUninit<f32>` has the layout of f32, and the caller guarantees that all slots
    // are written.
    unsafe { &mut *(std::ptr::from_mut(slots) as *mut [f32]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_values_are_returned_in_their_places() {
        let mut memory = Unwritten::new(5);
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
    fn zero_slots_are_allowed() {
        let mut memory = Unwritten::new(0);
        assert!(memory.slots().is_empty());
        // SAFETY: there is no slot.
        assert!(unsafe { memory.into_written() }.is_empty());
    }

    #[test]
    #[cfg(debug_assertions)]
    fn unwritten_slots_are_nan_in_tests() {
        let mut memory = Unwritten::new(3);
        // SAFETY: `new` fills every slot in debug builds.
        assert!(unsafe { written(memory.slots()) }.iter().all(|x| x.is_nan()));
    }
}
