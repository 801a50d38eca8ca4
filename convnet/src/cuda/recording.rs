//! Work of a device that is recorded once and then started as a whole (a CUDA graph).
//!
//! A training step starts some hundred kernels. With small batches the processor takes longer to start them than the card to
//! run them; a recorded step is one start.

use super::device::error;
use candle_core::cuda::WrapErr;
use candle_core::cuda::cudarc::driver::{CudaGraph, sys};
use candle_core::{Device, Result, bail};
use std::fmt;

/// Recorded work: the same kernels on the same addresses each time.
pub struct Recording(CudaGraph);

/// Does `work` on `device`, and keeps the small constants that it uploads, so that it can be recorded next. The first run of any
/// work must be a rehearsal: it chooses algorithms and takes memory that stays.
pub fn rehearse<T>(device: &Device, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let _constants = device.as_cuda_device()?.enable_cuda_graph_htod_cache();
    work()
}

/// Records `work` without doing it. It must have been rehearsed, read and write only tensors that outlive the recording (but for
/// those that it makes and drops itself), and not wait for the device.
pub fn record(device: &Device, work: impl FnOnce() -> Result<()>) -> Result<Recording> {
    let cuda = device.as_cuda_device()?;
    let stream = cuda.cuda_stream();
    device.synchronize()?;
    let _constants = cuda.enable_cuda_graph_htod_cache();
    // Other threads may lock memory and copy meanwhile.
    stream.begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).w()?;
    let done = work();
    let flags = sys::CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
    let graph = stream.end_capture(flags);
    done?;
    match graph {
        Ok(Some(graph)) => Ok(Recording(graph)),
        Ok(None) => bail!("recording: no work was recorded"),
        Err(e) => Err(error("recording", e)),
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").finish_non_exhaustive()
    }
}

impl Recording {
    /// Starts the recorded work.
    pub fn run(&self) -> Result<()> {
        self.0.launch().w()
    }
}
