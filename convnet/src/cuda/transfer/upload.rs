//! Copies of bytes from the host to the GPU while it computes: page-locked memory, a separate
//! stream, and two buffers in turn.
#![expect(unsafe_code, reason = "page-locked memory and asynchronous copies")]

use crate::cuda::device::address;
use candle_core::cuda::cudarc::driver::{CudaContext, CudaEvent, CudaStream, PinnedHostSlice, result, sys};
use candle_core::cuda::{CudaDevice, WrapErr};
use candle_core::{DType, Device, Result, Storage, Tensor, bail};
use std::sync::Arc;

/// Page-locked host memory. The GPU can copy from it without the CPU.
///
/// For the CPU it is ordinary cached memory, not write-combined, so reading it back is fast.
#[derive(Debug)]
pub struct Pinned {
    memory: PinnedHostSlice<u8>,
    context: Arc<CudaContext>,
}

impl Pinned {
    /// Allocates `len` bytes, all 0.
    ///
    /// # Errors
    /// Returns an error if `device` is not a GPU, or if the memory cannot be allocated.
    pub fn new(device: &Device, len: usize) -> Result<Self> {
        let context = device.as_cuda_device()?.cuda_stream().context().clone();
        let len = len.max(1);
        // SAFETY: the memory is written below, before anything reads it.
        let mut memory = unsafe { context.alloc_pinned_with_flags::<u8>(len, 0) }.w()?;
        let start = memory.as_mut_ptr().w()?;
        // SAFETY: the allocation has `len` bytes, and nothing else points to it.
        unsafe { start.write_bytes(0, len) };
        Ok(Self { memory, context })
    }

    /// Returns the bytes.
    ///
    /// # Errors
    /// Returns an error if the driver fails.
    pub fn bytes_mut(&mut self) -> Result<&mut [u8]> {
        self.memory.as_mut_slice().w()
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // A copy may still read the memory. `drop` cannot return an error.
        let _ = self.context.synchronize();
    }
}

/// Copies batches of bytes to the GPU while it computes.
///
/// For each batch:
///
/// 1. Call [`Uploads::push`] for each part, then [`Uploads::finish`].
/// 2. Call [`Uploads::arrive`], so that later work waits for the copy.
/// 3. Start the work on [`Uploads::tensor`], then call [`Uploads::release`].
///
/// You can push the next batch before you release the previous one.
///
/// ```no_run
/// # use candle_convnet::cuda::{CudaConfig, Uploads, open};
/// # use candle_core::DType;
/// # fn main() -> candle_core::Result<()> {
/// let device = open(0, CudaConfig::default())?;
/// let mut uploads = Uploads::new(&device, 1 << 20)?;
/// uploads.push(&[1, 2, 3])?;
/// let upload = uploads.finish()?;
/// uploads.arrive(&upload)?;
/// let sum = uploads.tensor(&upload)?.to_dtype(DType::F32)?.sum_all()?;
/// uploads.release(&upload)?;
/// assert_eq!(sum.to_scalar::<f32>()?, 6.);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Uploads {
    device: CudaDevice,
    copies: Arc<CudaStream>,
    slots: Vec<Slot>,
    /// Slot of the current batch. `filled` is the number of its bytes so far.
    filling: usize,
    filled: usize,
}

#[derive(Debug)]
struct Slot {
    bytes: Tensor,
    /// Event after which the GPU has read the previous batch.
    consumed: Option<CudaEvent>,
}

/// A batch that is being copied to the GPU.
#[derive(Debug)]
pub struct Upload {
    slot: usize,
    len: usize,
    ready: CudaEvent,
}

impl Upload {
    /// Returns the number of its buffer on the GPU, 0 or 1. All batches in a buffer have the same
    /// address.
    pub fn slot(&self) -> usize {
        self.slot
    }

    /// Waits until the parts have been read. You can then write to their memory again.
    ///
    /// # Errors
    /// Returns an error if the copy failed.
    pub fn wait(&self) -> Result<()> {
        self.ready.synchronize().w()
    }
}

impl Uploads {
    /// Creates uploads for batches of at most `max_len` bytes.
    ///
    /// # Errors
    /// Returns an error if `device` is not a GPU, or if its memory is too small.
    pub fn new(device: &Device, max_len: usize) -> Result<Self> {
        let cuda = device.as_cuda_device()?.clone();
        let copies = cuda.cuda_stream().context().new_stream().w()?;
        let slots = (0..2)
            .map(|_| Ok(Slot { bytes: Tensor::zeros(max_len.max(1), DType::U8, device)?, consumed: None }))
            .collect::<Result<_>>()?;
        // The other stream writes the zeros of the buffers, so copies must wait for it.
        device.synchronize()?;
        Ok(Self { device: cuda, copies, slots, filling: 0, filled: 0 })
    }

    /// Starts to copy the next part of a batch.
    ///
    /// If the part is in [`Pinned`] memory, do not change it until [`Upload::wait`] returns.
    ///
    /// # Errors
    /// Returns an error if the batch becomes too long, or if the copy cannot start.
    pub fn push(&mut self, part: &[u8]) -> Result<()> {
        let slot = &self.slots[self.filling];
        let free = slot.bytes.elem_count() - self.filled;
        if part.len() > free {
            bail!("upload: the part has {} bytes, but only {free} bytes of the batch are free", part.len());
        }
        if self.filled == 0
            && let Some(consumed) = &slot.consumed
        {
            self.copies.wait(consumed).w()?;
        }
        let (storage, layout) = slot.bytes.storage_and_layout();
        let Storage::Cuda(storage) = &*storage else { bail!("upload: the buffer is not on the GPU") };
        let to = address(storage, layout, DType::U8, "upload")? + self.filled as u64;
        self.copies.context().bind_to_thread().w()?;
        // SAFETY: the buffer is large enough, as checked above. It outlives the copy, because `drop` waits
        // for the stream of copies.
        unsafe { result::memcpy_htod_async(to, part, self.copies.cu_stream()) }.w()?;
        self.filled += part.len();
        Ok(())
    }

    /// Ends the current batch.
    ///
    /// # Errors
    /// Returns an error if the driver fails.
    pub fn finish(&mut self) -> Result<Upload> {
        let flags = Some(sys::CUevent_flags::CU_EVENT_DISABLE_TIMING);
        let ready = self.copies.record_event(flags).w()?;
        let upload = Upload { slot: self.filling, len: self.filled, ready };
        self.filling = (self.filling + 1) % self.slots.len();
        self.filled = 0;
        Ok(upload)
    }

    /// Makes all work that you start from now on wait for the copy.
    ///
    /// # Errors
    /// Returns an error if the driver fails.
    pub fn arrive(&self, upload: &Upload) -> Result<()> {
        self.device.cuda_stream().wait(&upload.ready).w()
    }

    /// Returns the bytes as a u8 tensor `[len]`. Call [`Uploads::arrive`] before you use it.
    ///
    /// # Errors
    /// Returns candle's error if it cannot take this part of the buffer.
    pub fn tensor(&self, upload: &Upload) -> Result<Tensor> {
        self.slots[upload.slot].bytes.narrow(0, 0, upload.len)
    }

    /// Marks that you have started all work that reads the tensor of `upload`. A later batch may
    /// then overwrite it.
    ///
    /// # Errors
    /// Returns an error if the driver fails.
    pub fn release(&mut self, upload: &Upload) -> Result<()> {
        let flags = Some(sys::CUevent_flags::CU_EVENT_DISABLE_TIMING);
        self.slots[upload.slot].consumed = Some(self.device.cuda_stream().record_event(flags).w()?);
        Ok(())
    }
}

impl Drop for Uploads {
    fn drop(&mut self) {
        // The buffers return to the memory pool of the other stream, so the copies must end first.
        // `drop` cannot return an error.
        let _ = self.copies.synchronize();
    }
}
