//! Results from the card to the host without waiting for them: a step's loss is read when the next step is under way.
#![expect(unsafe_code, reason = "asynchronous copies")]

use super::upload::Pinned;
use crate::cuda::device::address;
use candle_core::cuda::cudarc::driver::{CudaEvent, result, sys};
use candle_core::cuda::{CudaDevice, WrapErr};
use candle_core::{DType, Device, Result, Storage, Tensor, bail};

/// Copies f32 results to page-locked memory. Two may be under way at once.
#[derive(Debug)]
pub struct Downloads {
    device: CudaDevice,
    slots: [Pinned; 2],
    next: usize,
    /// Values that a slot holds.
    room: usize,
}

/// Results on their way.
#[derive(Debug)]
pub struct Download {
    slot: usize,
    len: usize,
    arrived: CudaEvent,
}

impl Downloads {
    /// For results of at most `room` values.
    pub fn new(device: &Device, room: usize) -> Result<Self> {
        let room = room.max(1);
        let slot = || Pinned::new(device, room * size_of::<f32>());
        Ok(Self { device: device.as_cuda_device()?.clone(), slots: [slot()?, slot()?], next: 0, room })
    }

    /// Starts to copy contiguous f32 tensors, one behind the other, once all work started so far is done. They may be overwritten by
    /// work that is started later.
    pub fn start(&mut self, tensors: &[&Tensor]) -> Result<Download> {
        let stream = self.device.cuda_stream();
        stream.context().bind_to_thread().w()?;
        let slot = self.next;
        let mut rest = self.slots[slot].bytes_mut()?;
        for tensor in tensors {
            let bytes = tensor.elem_count() * size_of::<f32>();
            let Some((to, after)) = rest.split_at_mut_checked(bytes) else {
                bail!("download: more than {} values", self.room)
            };
            let (storage, layout) = tensor.storage_and_layout();
            let Storage::Cuda(storage) = &*storage else { bail!("download: the tensor is not on the card") };
            let from = address(storage, layout, DType::F32, "download")?;
            // SAFETY: the tensor holds as many values; the slot outlives the copy, as dropping it waits for the card.
            unsafe { result::memcpy_dtoh_async(to, from, stream.cu_stream()) }.w()?;
            rest = after;
        }
        let len = self.room * size_of::<f32>() - rest.len();
        let arrived = stream.record_event(Some(sys::CUevent_flags::CU_EVENT_DISABLE_TIMING)).w()?;
        self.next = (slot + 1) % self.slots.len();
        Ok(Download { slot, len, arrived })
    }

    /// Waits for results and returns their values. Each must be finished before the second one after it is started.
    pub fn finish(&mut self, download: &Download) -> Result<Vec<f32>> {
        download.arrived.synchronize().w()?;
        let bytes = &self.slots[download.slot].bytes_mut()?[..download.len];
        let (values, _) = bytes.as_chunks::<4>();
        Ok(values.iter().map(|&value| f32::from_ne_bytes(value)).collect())
    }
}
