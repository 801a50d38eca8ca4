//! Bytes from the host to the card beside its computing: page-locked memory, a stream of copies, two buffers in turn.
#![expect(unsafe_code, reason = "page-locked memory and asynchronous copies")]

use crate::cuda::device::address;
use candle_core::cuda::cudarc::driver::{CudaContext, CudaEvent, CudaStream, PinnedHostSlice, result, sys};
use candle_core::cuda::{CudaDevice, WrapErr};
use candle_core::{DType, Device, Result, Storage, Tensor, bail};
use std::sync::Arc;

/// Page-locked host memory, from which the card copies by itself. Ordinary memory to the processor: not write-combined, so that
/// decoders may read back what they wrote.
#[derive(Debug)]
pub struct Pinned {
    memory: PinnedHostSlice<u8>,
    context: Arc<CudaContext>,
}

impl Pinned {
    /// `len` zeros.
    pub fn new(device: &Device, len: usize) -> Result<Self> {
        let context = device.as_cuda_device()?.cuda_stream().context().clone();
        let len = len.max(1);
        // SAFETY: the memory is written below before anyone reads it.
        let mut memory = unsafe { context.alloc_pinned_with_flags::<u8>(len, 0) }.w()?;
        let start = memory.as_mut_ptr().w()?;
        // SAFETY: the allocation has `len` bytes, and nothing else points to it.
        unsafe { start.write_bytes(0, len) };
        Ok(Self { memory, context })
    }

    /// The bytes.
    pub fn bytes_mut(&mut self) -> Result<&mut [u8]> {
        self.memory.as_mut_slice().w()
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // A copy may still be reading; an error while ending can be told to nobody.
        let _ = self.context.synchronize();
    }
}

/// Copies batches of bytes to the card while it computes.
///
/// For each batch: [`Uploads::push`] its parts, [`Uploads::finish`] it, [`Uploads::arrive`] and [`Uploads::tensor`] to compute
/// with it, [`Uploads::release`] once that was started. The next batch may be pushed in between.
#[derive(Debug)]
pub struct Uploads {
    device: CudaDevice,
    copies: Arc<CudaStream>,
    slots: Vec<Slot>,
    /// Slot of the batch that is being pushed, and its bytes so far.
    filling: usize,
    filled: usize,
}

#[derive(Debug)]
struct Slot {
    bytes: Tensor,
    /// When the card had read what was there before.
    consumed: Option<CudaEvent>,
}

/// A batch on its way.
#[derive(Debug)]
pub struct Upload {
    slot: usize,
    len: usize,
    ready: CudaEvent,
}

impl Upload {
    /// Which of the two buffers on the card holds it; its tensor is the same memory each time.
    pub fn slot(&self) -> usize {
        self.slot
    }

    /// Waits until the parts have been read, so that their memory may be written again.
    pub fn wait(&self) -> Result<()> {
        self.ready.synchronize().w()
    }
}

impl Uploads {
    /// For batches of at most `max_len` bytes.
    pub fn new(device: &Device, max_len: usize) -> Result<Self> {
        let cuda = device.as_cuda_device()?.clone();
        let copies = cuda.cuda_stream().context().new_stream().w()?;
        let slots = (0..2)
            .map(|_| Ok(Slot { bytes: Tensor::zeros(max_len.max(1), DType::U8, device)?, consumed: None }))
            .collect::<Result<_>>()?;
        // The buffers' zeros are written by the other stream.
        device.synchronize()?;
        Ok(Self { device: cuda, copies, slots, filling: 0, filled: 0 })
    }

    /// Starts to copy the next part of a batch. Parts in [`Pinned`] memory must stay as they are until [`Upload::wait`].
    pub fn push(&mut self, part: &[u8]) -> Result<()> {
        let slot = &self.slots[self.filling];
        let room = slot.bytes.elem_count() - self.filled;
        if part.len() > room {
            bail!("upload: {} bytes for the last {room} of a batch", part.len());
        }
        if self.filled == 0
            && let Some(consumed) = &slot.consumed
        {
            self.copies.wait(consumed).w()?;
        }
        let (storage, layout) = slot.bytes.storage_and_layout();
        let Storage::Cuda(storage) = &*storage else { bail!("upload: the buffer is not on the card") };
        let to = address(storage, layout, DType::U8, "upload")? + self.filled as u64;
        self.copies.context().bind_to_thread().w()?;
        // SAFETY: the buffer has room, as was just seen, and outlives the copy: both streams wait for it before they go.
        unsafe { result::memcpy_htod_async(to, part, self.copies.cu_stream()) }.w()?;
        self.filled += part.len();
        Ok(())
    }

    /// Ends the batch whose parts were pushed.
    pub fn finish(&mut self) -> Result<Upload> {
        let flags = Some(sys::CUevent_flags::CU_EVENT_DISABLE_TIMING);
        let ready = self.copies.record_event(flags).w()?;
        let upload = Upload { slot: self.filling, len: self.filled, ready };
        self.filling = (self.filling + 1) % self.slots.len();
        self.filled = 0;
        Ok(upload)
    }

    /// Makes all work that is started from now on wait for the copy.
    pub fn arrive(&self, upload: &Upload) -> Result<()> {
        self.device.cuda_stream().wait(&upload.ready).w()
    }

    /// The bytes as a u8 tensor [len], there once [`Uploads::arrive`] was called.
    pub fn tensor(&self, upload: &Upload) -> Result<Tensor> {
        self.slots[upload.slot].bytes.narrow(0, 0, upload.len)
    }

    /// Says that all work that reads the tensor of `upload` has been started.
    pub fn release(&mut self, upload: &Upload) -> Result<()> {
        let flags = Some(sys::CUevent_flags::CU_EVENT_DISABLE_TIMING);
        self.slots[upload.slot].consumed = Some(self.device.cuda_stream().record_event(flags).w()?);
        Ok(())
    }
}

impl Drop for Uploads {
    fn drop(&mut self) {
        // The buffers go back to the computing stream's pool; copies must have ended. Errors while ending can be told to nobody.
        let _ = self.copies.synchronize();
    }
}
