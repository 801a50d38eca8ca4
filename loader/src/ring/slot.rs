//! The memory of one batch.
#![allow(unsafe_code)]

use crate::{Error, Result};
use std::fmt;
use std::ops::Range;
use std::ptr::NonNull;

/// Memory that holds the samples of one batch.
///
/// Implement it for memory of your own kind: page-locked memory from which a GPU copies, or a buffer that another language owns.
/// `Vec<u8>` implements it.
pub trait SlotMemory: Send {
    /// Returns all bytes. It is called once, before the first batch; the bytes must stay where they are until the memory is
    /// dropped, and nothing else may read or write them until then.
    ///
    /// # Errors
    /// The memory cannot be used.
    fn bytes_mut(&mut self) -> Result<&mut [u8]>;
}

impl SlotMemory for Vec<u8> {
    fn bytes_mut(&mut self) -> Result<&mut [u8]> {
        Ok(self)
    }
}

/// Where a loader gets the memory of its batches from.
///
/// ```
/// use clip_loader::{Allocate, Result, SlotMemory};
///
/// /// Counts what it hands out.
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
    /// There is not enough memory: [`Error::Memory`], or an error of your own.
    fn allocate(&self, bytes: usize) -> Result<Box<dyn SlotMemory>>;
}

/// The ordinary memory of the process.
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

/// One slot of the ring. It owns its memory, which nothing but the ring's runs and batches touch.
pub(super) struct Slot {
    /// Owned; a raw pointer, because a `Box` would claim that nothing else points into it.
    memory: *mut dyn SlotMemory,
    bytes: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory is `Send`, and the bytes are reached through `part` and `bytes` only, whose callers keep writers and readers
// apart.
unsafe impl Send for Slot {}
// SAFETY: as above; a shared slot gives out shared slices only.
unsafe impl Sync for Slot {}

impl Slot {
    /// Takes memory of at least `len` bytes.
    pub fn new(memory: Box<dyn SlotMemory>, len: usize) -> Result<Self> {
        let memory = Box::into_raw(memory);
        let mut slot = Self { memory, bytes: NonNull::dangling(), len: 0 };
        // SAFETY: the pointer comes from the box above, and nothing else has it.
        let bytes = unsafe { &mut *memory }.bytes_mut()?;
        if bytes.len() < len {
            let fault = format!("the allocator returned {} bytes", bytes.len());
            return Err(Error::Memory { bytes: len, fault });
        }
        slot.bytes = NonNull::from(bytes).cast();
        slot.len = len;
        Ok(slot)
    }

    /// Returns a part of the bytes, to be written by the one run that has taken it.
    ///
    /// # Panics
    /// The part reaches behind the end.
    pub fn part(&self, part: Range<usize>) -> NonNull<[u8]> {
        assert!(part.start <= part.end && part.end <= self.len, "{part:?} of {} bytes", self.len);
        // SAFETY: checked to be inside the bytes.
        NonNull::slice_from_raw_parts(unsafe { self.bytes.add(part.start) }, part.len())
    }

    /// Returns the first `len` bytes.
    ///
    /// # Safety
    /// No run may write to the slot as long as the result lives.
    pub unsafe fn bytes(&self, len: usize) -> &[u8] {
        let part = self.part(0..len);
        // SAFETY: the bytes live as long as the slot, and the caller says that nobody writes.
        unsafe { part.as_ref() }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // SAFETY: from `Box::into_raw` in `new`, and dropped once.
        drop(unsafe { Box::from_raw(self.memory) });
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("bytes", &self.len).finish_non_exhaustive()
    }
}
