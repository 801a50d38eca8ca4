//! Memory for results, before they are computed.
//!
//! Clearing it first would cost as much memory traffic as writing it. Until it is written it is only ever seen as
//! `MaybeUninit<f32>`: whoever turns it into numbers has to show that every slot was written.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

/// Memory for some numbers, to be written slot by slot.
pub(crate) struct Unwritten {
    /// Empty; the slots lie in its capacity.
    memory: Vec<f32>,
    len: usize,
}

impl Unwritten {
    /// Takes memory for `len` numbers.
    pub(crate) fn new(len: usize) -> Self {
        let mut unwritten = Self { memory: Vec::with_capacity(len), len };
        if cfg!(debug_assertions) {
            // A slot that is wrongly taken for written shows in every test.
            unwritten.slots().fill(MaybeUninit::new(f32::NAN));
        }
        unwritten
    }

    /// Returns all slots.
    pub(crate) fn slots(&mut self) -> &mut [MaybeUninit<f32>] {
        &mut self.memory.spare_capacity_mut()[..self.len]
    }

    /// Returns the numbers.
    ///
    /// # Safety
    /// Every slot must have been written.
    pub(crate) unsafe fn into_written(mut self) -> Vec<f32> {
        // SAFETY: the capacity is `len` at least, and the caller has written as many numbers.
        unsafe { self.memory.set_len(self.len) };
        self.memory
    }
}

/// Returns the numbers in `slots`.
///
/// # Safety
/// Every slot must have been written.
pub(crate) unsafe fn written(slots: &mut [MaybeUninit<f32>]) -> &mut [f32] {
    // SAFETY: `MaybeUninit<f32>` has the layout of f32, and the caller has written all of them.
    unsafe { &mut *(std::ptr::from_mut(slots) as *mut [f32]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_comes_back_in_its_place() {
        let mut memory = Unwritten::new(5);
        let (first, rest) = memory.slots().split_at_mut(2);
        first.fill(MaybeUninit::new(1.));
        for (i, slot) in rest.iter_mut().enumerate() {
            slot.write(i as f32);
        }
        // SAFETY: two slots were filled, and three written.
        unsafe {
            written(first)[1] = 7.;
            assert_eq!(memory.into_written(), [1., 7., 0., 1., 2.]);
        }
    }

    #[test]
    fn no_numbers_need_no_memory() {
        let mut memory = Unwritten::new(0);
        assert!(memory.slots().is_empty());
        // SAFETY: there is no slot.
        assert!(unsafe { memory.into_written() }.is_empty());
    }

    #[test]
    #[cfg(debug_assertions)]
    fn slots_that_nobody_wrote_are_no_numbers_in_tests() {
        let mut memory = Unwritten::new(3);
        // SAFETY: development builds write every slot.
        assert!(unsafe { written(memory.slots()) }.iter().all(|x| x.is_nan()));
    }
}
