//! Copies of results from the GPU to the host that do not make the host wait.
#![expect(unsafe_code, reason = "asynchronous copies")]

use super::upload::Pinned;
use crate::cuda::device::address;
use candle_core::cuda::cudarc::driver::{CudaEvent, result, sys};
use candle_core::cuda::{CudaDevice, WrapErr};
use candle_core::{DType, Device, Result, Storage, Tensor, bail};

/// Copies f32 results to page-locked memory without making the host wait.
///
/// Two downloads can be under way at the same time, so you can read the loss of a step while the
/// next step runs.
///
/// ```no_run
/// # use candle_convnet::cuda::{CudaConfig, Downloads, open};
/// # use candle_core::Tensor;
/// # fn main() -> candle_core::Result<()> {
/// let device = open(0, CudaConfig::default())?;
/// let loss = Tensor::new(&[0.5f32], &device)?;
/// let mut downloads = Downloads::new(&device, 1)?;
/// let download = downloads.start(&[&loss])?;
/// // Start the next step here.
/// assert_eq!(downloads.finish(&download)?, [0.5]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Downloads {
    device: CudaDevice,
    slots: [Pinned; 2],
    next: usize,
    /// Number of values that fit in a slot.
    capacity: usize,
}

/// Results that are being copied to the host.
#[derive(Debug)]
pub struct Download {
    slot: usize,
    len: usize,
    arrived: CudaEvent,
}

impl Downloads {
    /// Creates downloads of at most `capacity` values each.
    ///
    /// # Errors
    /// Returns an error if `device` is not a GPU, or if the page-locked memory cannot be allocated.
    pub fn new(device: &Device, capacity: usize) -> Result<Self> {
        let capacity = capacity.max(1);
        let slot = || Pinned::new(device, capacity * size_of::<f32>());
        Ok(Self { device: device.as_cuda_device()?.clone(), slots: [slot()?, slot()?], next: 0, capacity })
    }

    /// Starts a copy of contiguous f32 tensors, one after the other.
    ///
    /// The copy waits for all work that was started before. Work that you start later may overwrite
    /// the tensors.
    ///
    /// # Errors
    /// Returns an error if a tensor is not contiguous, not f32 or not on the GPU, or if the tensors
    /// have too many values.
    pub fn start(&mut self, tensors: &[&Tensor]) -> Result<Download> {
        let stream = self.device.cuda_stream();
        stream.context().bind_to_thread().w()?;
        let slot = self.next;
        let mut rest = self.slots[slot].bytes_mut()?;
        for tensor in tensors {
            let bytes = tensor.elem_count() * size_of::<f32>();
            let Some((to, after)) = rest.split_at_mut_checked(bytes) else {
                bail!("download: the tensors have more than {} values", self.capacity)
            };
            let (storage, layout) = tensor.storage_and_layout();
            let Storage::Cuda(storage) = &*storage else { bail!("download: the tensor is not on the GPU") };
            let from = address(storage, layout, DType::F32, "download")?;
            // SAFETY: the tensor has as many bytes as `to`. The slot outlives the copy, because
            // dropping it waits for the GPU.
            unsafe { result::memcpy_dtoh_async(to, from, stream.cu_stream()) }.w()?;
            rest = after;
        }
        let len = self.capacity * size_of::<f32>() - rest.len();
        let arrived = stream.record_event(Some(sys::CUevent_flags::CU_EVENT_DISABLE_TIMING)).w()?;
        self.next = (slot + 1) % self.slots.len();
        Ok(Download { slot, len, arrived })
    }

    /// Waits for a download and returns its values.
    ///
    /// Call it before you start the second download after this one, which reuses the memory.
    ///
    /// # Errors
    /// Returns an error if the copy, or work before it, failed.
    pub fn finish(&mut self, download: &Download) -> Result<Vec<f32>> {
        download.arrived.synchronize().w()?;
        let bytes = &self.slots[download.slot].bytes_mut()?[..download.len];
        let (values, _) = bytes.as_chunks::<4>();
        Ok(values.iter().map(|&value| f32::from_ne_bytes(value)).collect())
    }
}
