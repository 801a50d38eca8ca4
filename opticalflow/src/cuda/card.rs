//! The kernel on a card.
#![allow(unsafe_code, reason = "launching a kernel")]

use std::sync::Arc;

use cudarc::driver::sys::CUresult;
use cudarc::driver::{CudaContext, CudaFunction, CudaSlice, CudaStream, DriverError, LaunchConfig, PushKernelArg};

use super::plan::Plan;
use crate::error::{Error, Result};
use crate::{Flow, TvL1, TvL1Params};

const PTX: &str = include_str!(concat!(env!("OUT_DIR"), "/tvl1.ptx"));
/// Threads of a block; the kernel is compiled for no more.
const THREADS: u32 = 1024;

/// [`TvL1`] on an NVIDIA card: flow between consecutive frames of one size, many pairs at once.
///
/// Each pixel is computed with the operations of [`TvL1`] in its order. Only the sum that ends the iterations of a warp is
/// added up in another order: where it ends them one iteration earlier or later, flow differs by less than that iteration moves it
/// (with `epsilon` 0 nothing differs). Which card it is makes no difference.
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
    /// Where flows arrive.
    arrived: Vec<f32>,
}

/// What the kernel reads of its plan.
#[derive(Debug)]
struct Tables {
    setup: CudaSlice<u32>,
    levels: CudaSlice<i64>,
    taps: CudaSlice<u32>,
    weights: CudaSlice<f32>,
}

impl CudaTvL1 {
    /// For images of `width` x `height` pixels and up to `pairs` pairs at once, on card `ordinal`. A pair takes about 95 bytes of
    /// its memory a pixel; a card is busy with as many pairs as it has multiprocessors.
    pub fn new(ordinal: usize, width: usize, height: usize, params: TvL1Params, pairs: usize) -> Result<Self> {
        params.check()?;
        let pixels = width.checked_mul(height).filter(|pixels| (1..=TvL1::MAX_PIXELS).contains(pixels));
        let Some(pixels) = pixels else { return Err(Error::Size { width, height }) };
        let stream = stream(ordinal)?;
        let failed = |what: &'static str| move |error| fault(ordinal, what, error);
        let module = stream.context().load_module(PTX.into()).map_err(failed("does not take this program's kernel"))?;
        let kernel = module.load_function("tvl1_pairs").map_err(failed("does not take this program's kernel"))?;
        let plan = Plan::new(width, height, &params);
        let pairs = pairs.max(1);
        let no_room = "gives no memory";
        let tables = Tables {
            setup: stream.clone_htod(&plan.setup).map_err(failed(no_room))?,
            levels: stream.clone_htod(&plan.levels).map_err(failed(no_room))?,
            taps: stream.clone_htod(&plan.taps).map_err(failed(no_room))?,
            weights: stream.clone_htod(&plan.weights).map_err(failed(no_room))?,
        };
        Ok(Self {
            width,
            height,
            pairs,
            pair_memory: plan.pair_memory as i64,
            frames: stream.alloc_zeros((pairs + 1) * pixels).map_err(failed(no_room))?,
            flows: stream.alloc_zeros(2 * pairs * pixels).map_err(failed(no_room))?,
            memory: stream.alloc_zeros(pairs * plan.pair_memory).map_err(failed(no_room))?,
            arrived: vec![0.0; 2 * pairs * pixels],
            stream,
            kernel,
            tables,
        })
    }

    /// Pairs at once, at most.
    pub fn pairs(&self) -> usize {
        self.pairs
    }

    /// Flow of each of `frames`, grey images `[n + 1, height, width]` with n from 1 to [`CudaTvL1::pairs`], to the next; one
    /// field a pair, in order.
    pub fn compute(&mut self, frames: &[u8]) -> Result<Vec<Flow>> {
        let (width, height, pixels) = (self.width, self.height, self.width * self.height);
        let pairs = (frames.len() / pixels).saturating_sub(1);
        if !frames.len().is_multiple_of(pixels) || !(1..=self.pairs).contains(&pairs) {
            return Err(Error::Frames { width, height, pairs: self.pairs, got: frames.len() });
        }
        let values = 2 * pairs * pixels;
        self.run(frames, pairs, values).map_err(|error| fault(self.stream.context().ordinal(), "failed", error))?;
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
        // SAFETY: these are the arguments of `tvl1_pairs`, in its order; the buffers hold `self.pairs` pairs, no fewer than `pairs`,
        // and the tables are those of a plan of this size.
        unsafe { launch.launch(config) }?;
        self.stream.memcpy_dtoh(&self.flows.slice(..values), &mut self.arrived[..values])?;
        self.stream.synchronize()
    }
}

/// A stream of its own on a card.
fn stream(ordinal: usize) -> Result<Arc<CudaStream>> {
    cuda_delayload::load_driver().map_err(|error| Error::Card { ordinal, reason: error.to_string() })?;
    let count = CudaContext::device_count().map_err(|error| fault(ordinal, "does not answer", error))?;
    if ordinal >= count.max(0) as usize {
        return Err(Error::Card { ordinal, reason: format!("no such card, the driver shows {count}") });
    }
    let context = CudaContext::new(ordinal).map_err(|error| fault(ordinal, "does not answer", error))?;
    context.new_stream().map_err(|error| fault(ordinal, "does not answer", error))
}

fn fault(ordinal: usize, what: &str, error: DriverError) -> Error {
    let reason = match error.0 {
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => return Error::CardFull { ordinal },
        CUresult::CUDA_ERROR_NO_DEVICE => "no such card, the driver shows none".into(),
        CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION => {
            "NVIDIA's driver is older than the CUDA that this program was built with; update it".into()
        }
        CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU | CUresult::CUDA_ERROR_INVALID_PTX => {
            "this program was built for later cards; build it with this one's CUDA_COMPUTE_CAP".into()
        }
        _ => format!("it {what} ({error})"),
    };
    Error::Card { ordinal, reason }
}
