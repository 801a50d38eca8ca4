//! Host memory of a ring slot, of the kind that suits the device that reads it.

use super::backend::Pinned;
use anyhow::{Context, Result};
use candle_core::Device;
use std::fmt;

/// Bytes that decode threads write and the device reads.
pub struct HostMemory(Kind);

enum Kind {
    /// For the CPU.
    Ordinary(Vec<u8>),
    /// Page-locked, for a GPU.
    Pinned(Pinned),
}

impl HostMemory {
    /// Allocates `len` zeros.
    ///
    /// # Errors
    /// So much memory is not free, or cannot be locked.
    pub fn new(device: &Device, len: usize) -> Result<Self> {
        if device.is_cuda() {
            let pinned = Pinned::new(device, len)
                .with_context(|| format!("cannot lock {len} bytes of memory; give a smaller --batch-size"))?;
            return Ok(Self(Kind::Pinned(pinned)));
        }
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(len)
            .with_context(|| format!("no {len} bytes of memory; give a smaller --batch-size"))?;
        bytes.resize(len, 0);
        Ok(Self(Kind::Ordinary(bytes)))
    }

    /// Returns the bytes.
    ///
    /// # Errors
    /// The GPU fails.
    pub fn bytes_mut(&mut self) -> Result<&mut [u8]> {
        match &mut self.0 {
            Kind::Ordinary(bytes) => Ok(bytes),
            Kind::Pinned(pinned) => Ok(pinned.bytes_mut()?),
        }
    }
}

impl fmt::Debug for HostMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Ordinary(bytes) => write!(f, "HostMemory::Ordinary({} bytes)", bytes.len()),
            Kind::Pinned(_) => f.write_str("HostMemory::Pinned(..)"),
        }
    }
}
