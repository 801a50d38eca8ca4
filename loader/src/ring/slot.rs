//! The memory of one batch.
#![allow(unsafe_code)]

use crate::{Error, Result};
use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::ptr::NonNull;

/// Memory that holds the samples of one batch.
///
/// `Vec<u8>` implements it. Implement it for other memory, such as page-locked memory from which a
/// GPU copies, or a buffer that another language owns.
pub trait SlotMemory: Send + Any {
    /// Returns all bytes. The loader calls it once, before it uses the memory.
    ///
    /// The bytes must stay at their address until the memory is dropped. Nothing else may read or
    /// write them before.
    ///
    /// # Errors
    /// Returns an error if the memory cannot be used.
    fn bytes_mut(&mut self) -> Result<&mut [u8]>;
}

impl SlotMemory for Vec<u8> {
    fn bytes_mut(&mut self) -> Result<&mut [u8]> {
        Ok(self)
    }
}

/// The allocator of a loader's batches.
///
/// ```
/// use clip_loader::{Allocate, Result, SlotMemory};
///
/// /// Counts the bytes that it allocates.
/// #[derive(Debug, Default)]
/// struct Counting(std::sync::atomic::AtomicUsize);
///
/// impl Allocate for Counting {
///     fn allocate(&self, bytes: usize) -> Result<Box<dyn SlotMemory>> {
///         self.0.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
///         Ok(Box::new(vec![0; bytes]))
///     }
/// }
/// ```
pub trait Allocate: Send + Sync {
    /// Returns memory of at least `bytes` bytes.
    ///
    /// # Errors
    /// Returns [`Error::Memory`] or an error of your own if memory is not sufficient.
    fn allocate(&self, bytes: usize) -> Result<Box<dyn SlotMemory>>;
}

/// An allocator of ordinary process memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap;

impl Allocate for Heap {
    fn allocate(&self, bytes: usize) -> Result<Box<dyn SlotMemory>> {
        let mut memory = Vec::new();
        memory.try_reserve_exact(bytes).map_err(|error| Error::Memory { bytes, fault: error.to_string() })?;
        memory.resize(bytes, 0);
        Ok(Box::new(memory))
    }
}

/// One slot of the ring. It owns its memory, and only runs and batches of the ring use that memory.
pub(super) struct Slot {
    /// Owned. It is a raw pointer because a `Box` would claim unique access, and `bytes` points
    /// into the same memory.
    memory: *mut dyn SlotMemory,
    bytes: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory is `Send`. Only `part` gives access to the bytes, and its callers
// make sure that no thread reads bytes while another thread writes them.
unsafe impl Send for Slot {}
// SAFETY: see `Send`. A shared slot returns shared slices and raw pointers only.
unsafe impl Sync for Slot {}

impl Slot {
    /// Makes a slot of `len` bytes from memory of at least that size.
    pub fn new(memory: Box<dyn SlotMemory>, len: usize) -> Result<Self> {
        let memory = Box::into_raw(memory);
        let mut slot = Self { memory, bytes: NonNull::dangling(), len: 0 };
        // SAFETY: the pointer comes from the box above, and nothing else uses it.
        let bytes = unsafe { &mut *memory }.bytes_mut()?;
        if bytes.len() < len {
            let fault = format!("the allocator returned {} bytes", bytes.len());
            return Err(Error::Memory { bytes: len, fault });
        }
        slot.bytes = NonNull::from(bytes).cast();
        slot.len = len;
        Ok(slot)
    }

    /// Returns a part of the bytes. Only the run that has taken the part may write to it.
    ///
    /// # Panics
    /// Panics if the part exceeds the bytes.
    pub fn part(&self, part: Range<usize>) -> NonNull<[u8]> {
        assert!(part.start <= part.end && part.end <= self.len, "{part:?} of {} bytes", self.len);
        // SAFETY: the assertion above makes sure that the part is inside the bytes.
        NonNull::slice_from_raw_parts(unsafe { self.bytes.add(part.start) }, part.len())
    }

    /// Returns the memory.
    pub fn into_memory(self) -> Box<dyn SlotMemory> {
        let memory = self.memory;
        std::mem::forget(self);
        // SAFETY: the pointer comes from `Box::into_raw` in `new`, and the forgotten slot does not
        // drop it.
        unsafe { Box::from_raw(memory) }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // SAFETY: the pointer comes from `Box::into_raw` in `new`, and it is dropped only here.
        drop(unsafe { Box::from_raw(self.memory) });
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("bytes", &self.len).finish_non_exhaustive()
    }
}
