//! Saving and restoring the convolution algorithms of a device.

use super::cudnn::Choices;
use super::device::Gpu;
use candle_core::{Device, Result};
use std::sync::PoisonError;

/// Returns the algorithms of all convolutions that `device` has computed so far.
///
/// # Errors
/// Returns an error if `device` is not a GPU.
pub fn choices(device: &Device) -> Result<Choices> {
    let gpu = Gpu::of(device.as_cuda_device()?)?;
    Ok(gpu.convolutions.lock().unwrap_or_else(PoisonError::into_inner).choices())
}

/// Sets the algorithms for convolutions that `device` has not computed yet.
///
/// Without this call, the first run of a convolution times all algorithms of cuDNN. It also does so
/// for convolutions that `choices` does not list, and for algorithms that cuDNN does not offer.
///
/// # Errors
/// Returns an error if `device` is not a GPU.
pub fn follow(device: &Device, choices: Choices) -> Result<()> {
    let gpu = Gpu::of(device.as_cuda_device()?)?;
    gpu.convolutions.lock().unwrap_or_else(PoisonError::into_inner).follow(choices);
    Ok(())
}

/// Returns the version of cuDNN in NVIDIA's notation: 91000 is 9.10.0.
pub fn cudnn_version() -> usize {
    cudarc::cudnn::result::get_version()
}
