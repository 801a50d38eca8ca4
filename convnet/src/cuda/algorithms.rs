//! Which algorithms a GPU computes convolutions by.

use super::cudnn::Choices;
use super::device::Gpu;
use candle_core::{Device, Result};
use std::sync::PoisonError;

/// Returns the algorithms of all convolutions that `device` has computed.
pub fn choices(device: &Device) -> Result<Choices> {
    let gpu = Gpu::of(device.as_cuda_device()?)?;
    Ok(gpu.convolutions.lock().unwrap_or_else(PoisonError::into_inner).choices())
}

/// Has `device` take these algorithms for convolutions that it has not computed yet, instead of timing all there are, as far as
/// cuDNN offers them.
pub fn follow(device: &Device, choices: Choices) -> Result<()> {
    let gpu = Gpu::of(device.as_cuda_device()?)?;
    gpu.convolutions.lock().unwrap_or_else(PoisonError::into_inner).follow(choices);
    Ok(())
}

/// Returns cuDNN's version, as it counts.
pub fn cudnn_version() -> usize {
    cudarc::cudnn::result::get_version()
}
