//! Recording work of a device as a CUDA graph.
//!
//! A training step starts hundreds of kernels. With small batches, the CPU needs longer to start
//! them than the GPU to run them. A recorded step needs one start.

use super::device::error;
use candle_core::cuda::WrapErr;
use candle_core::cuda::cudarc::driver::{CudaGraph, sys};
use candle_core::{Device, Result, bail};
use std::fmt;

/// Recorded work, such as a training step. [`Recording::run`] starts the same kernels with the same
/// addresses each time.
pub struct Recording(CudaGraph);

/// Runs `work` on `device` in preparation for [`record`].
///
/// The first run of any work must be a rehearsal: it chooses algorithms, allocates memory that
/// stays allocated, and keeps the small constants that candle uploads.
///
/// # Errors
/// Returns the error of `work`, or an error if `device` is not a GPU.
pub fn rehearse<T>(device: &Device, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let _constants = device.as_cuda_device()?.enable_cuda_graph_htod_cache();
    work()
}

/// Records `work` without running it.
///
/// `work` must have been [rehearsed](rehearse) and must not wait for the device. Its inputs and
/// outputs must be tensors that you keep for as long as the recording. Tensors that it creates and
/// drops itself are allowed.
///
/// ```no_run
/// # use candle_convnet::cuda::{CudaConfig, open, record, rehearse};
/// # use candle_convnet::{Depth, Model, ResNetConfig, Sgd, SgdConfig, cross_entropy};
/// # use candle_core::{DType, Tensor};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = open(0, CudaConfig::default())?;
/// let model = Model::random(&ResNetConfig::new(Depth::R18, 3, 10), 42, &device)?;
/// let mut sgd = Sgd::new(model.trainable(), SgdConfig::default())?;
/// let images = Tensor::zeros((8, 224, 224, 3), DType::F32, &device)?;
/// let labels = Tensor::zeros(8, DType::U32, &device)?;
/// let mut step = || {
///     let loss = cross_entropy(&model.net.forward_t(&images, true)?, &labels, 0.)?;
///     sgd.step(&loss.backward()?)
/// };
/// rehearse(&device, &mut step)?;
/// let recording = record(&device, &mut step)?;
/// // For each batch: write the images and labels with `slice_set`, then start the step.
/// recording.run()?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Returns the error of `work`, or an error if `device` is not a GPU or `work` started nothing.
pub fn record(device: &Device, work: impl FnOnce() -> Result<()>) -> Result<Recording> {
    let cuda = device.as_cuda_device()?;
    let stream = cuda.cuda_stream();
    device.synchronize()?;
    let _constants = cuda.enable_cuda_graph_htod_cache();
    // With this mode, other threads may allocate page-locked memory and copy during the recording.
    stream.begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).w()?;
    let done = work();
    let flags = sys::CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
    let graph = stream.end_capture(flags);
    done?;
    match graph {
        Ok(Some(graph)) => Ok(Recording(graph)),
        Ok(None) => bail!("cannot record: the work started nothing on the GPU"),
        Err(e) => Err(error("cannot record", e)),
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").finish_non_exhaustive()
    }
}

impl Recording {
    /// Starts the recorded work, without waiting for its end.
    ///
    /// # Errors
    /// Returns an error if the driver cannot start the work.
    pub fn run(&self) -> Result<()> {
        self.0.launch().w()
    }
}
