//! Host memory of a ring slot, of the kind that suits the device that reads it.

use anyhow::{Context, Result};
use candle_core::Device;

/// Bytes that decode threads write and the device reads.
pub enum HostMemory {
    /// For the CPU.
    Ordinary(Vec<u8>),
    /// Page-locked, for a card.
    #[cfg(feature = "cuda")]
    Pinned(candle_convnet::cuda::Pinned),
}

impl HostMemory {
    /// `len` zeros.
    pub fn new(device: &Device, len: usize) -> Result<Self> {
        let _ = device;
        #[cfg(feature = "cuda")]
        if device.is_cuda() {
            let pinned = candle_convnet::cuda::Pinned::new(device, len)
                .with_context(|| format!("cannot lock {len} bytes of memory; give a smaller --batch-size"))?;
            return Ok(Self::Pinned(pinned));
        }
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(len)
            .with_context(|| format!("no {len} bytes of memory; give a smaller --batch-size"))?;
        bytes.resize(len, 0);
        Ok(Self::Ordinary(bytes))
    }

    /// The bytes.
    pub fn bytes_mut(&mut self) -> Result<&mut [u8]> {
        match self {
            Self::Ordinary(bytes) => Ok(bytes),
            #[cfg(feature = "cuda")]
            Self::Pinned(pinned) => Ok(pinned.bytes_mut()?),
        }
    }
}
