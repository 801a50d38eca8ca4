//! Runs the TV-L1 kernel on a GPU.
#![allow(unsafe_code, reason = "launching a kernel is unsafe")]

use std::sync::Arc;

use cudarc::driver::sys::CUresult;
use cudarc::driver::{CudaContext, CudaFunction, CudaSlice, CudaStream, DriverError, LaunchConfig, PushKernelArg};

use super::plan::Plan;
use crate::error::{Error, Result};
use crate::{Flow, TvL1, TvL1Params};

const PTX: &str = include_str!(concat!(env!("OUT_DIR"), "/tvl1.ptx"));
/// Number of threads per block. The kernel is compiled for at most this number.
const THREADS: u32 = 1024;

/// A solver that computes TV-L1 flow on an NVIDIA GPU, for many pairs of consecutive frames at
/// once.
///
/// Each pixel is computed with the same operations in the same order as by [`TvL1`], with one
/// exception: the sum that decides when the iterations of a warp end is added in another order. A
/// warp may therefore end one iteration earlier or later, and the flow then differs by the change
/// of this iteration. With `epsilon` 0, the results are equal. The results do not depend on the GPU
/// model.
#[derive(Debug)]
pub struct CudaTvL1 {
    width: usize,
    height: usize,
    pairs: usize,
    pair_memory: i64,
    stream: Arc<CudaStream>,
    kernel: CudaFunction,
    tables: Tables,
    frames: CudaSlice<u8>,
    flows: CudaSlice<f32>,
    memory: CudaSlice<f32>,
    /// The flows, copied from the GPU.
    arrived: Vec<f32>,
}

/// The tables of the kernel's [`Plan`] in GPU memory.
#[derive(Debug)]
struct Tables {
    setup: CudaSlice<u32>,
    levels: CudaSlice<i64>,
    taps: CudaSlice<u32>,
    weights: CudaSlice<f32>,
}

impl CudaTvL1 {
    /// Makes a solver for images of `width` x `height` pixels and up to `pairs` pairs at once, on
    /// GPU number `ordinal`.
    ///
    /// A pair needs about 95 bytes of GPU memory per pixel. To keep the GPU busy, use at least as
    /// many pairs as it has multiprocessors.
    ///
    /// # Errors
    /// Returns [`Error::Parameter`], [`Error::Size`], [`Error::GpuFull`] or [`Error::Gpu`].
    pub fn new(ordinal: usize, width: usize, height: usize, params: TvL1Params, pairs: usize) -> Result<Self> {
        params.check()?;
        let pixels = width.checked_mul(height).filter(|pixels| (1..=TvL1::MAX_PIXELS).contains(pixels));
        let Some(pixels) = pixels else { return Err(Error::Size { width, height }) };
        let stream = stream(ordinal)?;
        let failed = |what: &'static str| move |error| fault(ordinal, what, error);
        let not_loaded = "it does not accept the kernel of this program";
        let module = stream.context().load_module(PTX.into()).map_err(failed(not_loaded))?;
        let kernel = module.load_function("tvl1_pairs").map_err(failed(not_loaded))?;
        let plan = Plan::new(width, height, &params);
        let pairs = pairs.max(1);
        let no_memory = "it cannot allocate memory";
        let tables = Tables {
            setup: stream.clone_htod(&plan.setup).map_err(failed(no_memory))?,
            levels: stream.clone_htod(&plan.levels).map_err(failed(no_memory))?,
            taps: stream.clone_htod(&plan.taps).map_err(failed(no_memory))?,
            weights: stream.clone_htod(&plan.weights).map_err(failed(no_memory))?,
        };
        Ok(Self {
            width,
            height,
            pairs,
            pair_memory: plan.pair_memory as i64,
            frames: stream.alloc_zeros((pairs + 1) * pixels).map_err(failed(no_memory))?,
            flows: stream.alloc_zeros(2 * pairs * pixels).map_err(failed(no_memory))?,
            memory: stream.alloc_zeros(pairs * plan.pair_memory).map_err(failed(no_memory))?,
            arrived: vec![0.0; 2 * pairs * pixels],
            stream,
            kernel,
            tables,
        })
    }

    /// Returns the largest number of pairs per call of [`CudaTvL1::compute`].
    pub fn pairs(&self) -> usize {
        self.pairs
    }

    /// Computes the flow from each frame to the next. Returns one field per pair, in order.
    ///
    /// `frames` are grey images `[n + 1, height, width]`, with n from 1 to [`CudaTvL1::pairs`].
    ///
    /// # Errors
    /// Returns [`Error::Frames`] if the number of bytes is wrong, [`Error::GpuFull`] or
    /// [`Error::Gpu`].
    pub fn compute(&mut self, frames: &[u8]) -> Result<Vec<Flow>> {
        let (width, height, pixels) = (self.width, self.height, self.width * self.height);
        let pairs = (frames.len() / pixels).saturating_sub(1);
        if !frames.len().is_multiple_of(pixels) || !(1..=self.pairs).contains(&pairs) {
            return Err(Error::Frames { width, height, pairs: self.pairs, got: frames.len() });
        }
        let values = 2 * pairs * pixels;
        self.run(frames, pairs, values)
            .map_err(|error| fault(self.stream.context().ordinal(), "the computation failed", error))?;
        let flows = self.arrived[..values].chunks_exact(2 * pixels).map(|flow| {
            let (x, y) = flow.split_at(pixels);
            Flow { width, height, x: x.to_vec(), y: y.to_vec() }
        });
        Ok(flows.collect())
    }

    fn run(&mut self, frames: &[u8], pairs: usize, values: usize) -> Result<(), DriverError> {
        self.stream.memcpy_htod(frames, &mut self.frames)?;
        let Tables { setup, levels, taps, weights } = &self.tables;
        let mut launch = self.stream.launch_builder(&self.kernel);
        launch.arg(&self.frames).arg(&mut self.flows).arg(&mut self.memory).arg(&self.pair_memory);
        launch.arg(setup).arg(levels).arg(taps).arg(weights);
        let config = LaunchConfig { grid_dim: (pairs as u32, 1, 1), block_dim: (THREADS, 1, 1), shared_mem_bytes: 0 };
        // SAFETY: the arguments have the types and the order of those of `tvl1_pairs`. The buffers
        // hold `self.pairs` pairs, which is at least `pairs`. The tables belong to a plan for this
        // size.
        unsafe { launch.launch(config) }?;
        self.stream.memcpy_dtoh(&self.flows.slice(..values), &mut self.arrived[..values])?;
        self.stream.synchronize()
    }
}

/// Makes a new stream on a GPU.
fn stream(ordinal: usize) -> Result<Arc<CudaStream>> {
    cuda_delayload::load_driver().map_err(|error| Error::Gpu { ordinal, reason: error.to_string() })?;
    let not_opened = |error| fault(ordinal, "the driver cannot open it", error);
    let count = CudaContext::device_count().map_err(not_opened)?;
    if ordinal >= count.max(0) as usize {
        return Err(Error::Gpu { ordinal, reason: format!("there is no such GPU; the driver reports {count}") });
    }
    let context = CudaContext::new(ordinal).map_err(not_opened)?;
    context.new_stream().map_err(not_opened)
}

/// Makes the error of a failed driver call. `failure` says in words what failed.
fn fault(ordinal: usize, failure: &str, error: DriverError) -> Error {
    let reason = match error.0 {
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => return Error::GpuFull { ordinal },
        CUresult::CUDA_ERROR_NO_DEVICE => "there is no such GPU; the driver reports none".into(),
        CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION => {
            "the NVIDIA driver is older than the CUDA version that this program was built with; update the driver"
                .into()
        }
        CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU | CUresult::CUDA_ERROR_INVALID_PTX => {
            "this program was built for newer GPUs; build it with the CUDA_COMPUTE_CAP of this GPU".into()
        }
        _ => format!("{failure} ({error})"),
    };
    Error::Gpu { ordinal, reason }
}
