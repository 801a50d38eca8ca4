//! Page-locked memory for batches, from which a GPU copies while it computes.

use super::backend::Pinned;
use candle_core::Device;
use clip_loader::{Allocate, Error, Result, SlotMemory};

/// An allocator of page-locked memory for the ring of the loader.
pub(super) struct PinnedMemory(pub Device);

impl Allocate for PinnedMemory {
    fn allocate(&self, bytes: usize) -> Result<Box<dyn SlotMemory>> {
        let pinned = Pinned::new(&self.0, bytes)
            .map_err(|error| Error::Memory { bytes, fault: format!("cannot allocate page-locked memory: {error}") })?;
        Ok(Box::new(PinnedSlot(pinned)))
    }
}

struct PinnedSlot(Pinned);

impl SlotMemory for PinnedSlot {
    fn bytes_mut(&mut self) -> Result<&mut [u8]> {
        self.0.bytes_mut().map_err(Error::other)
    }
}
