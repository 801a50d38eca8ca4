//! The cuDNN state of a device: its handle, one plan per shape, and a shared workspace.
#![expect(unsafe_code, reason = "cuDNN is a C library")]

use super::plan::{Buffers, MAX_WORKSPACE_BYTES, Plan};
use super::shape::ConvShape;
use crate::cuda::device::{Timer, error};
use candle_core::Result;
use candle_core::cuda::cudarc::driver::{CudaSlice, CudaStream, DevicePtr};
use candle_core::cuda::{CudaDevice, WrapErr};
use cudarc::cudnn::{result, sys};
use std::collections::{BTreeMap, HashMap};

/// The algorithm of each convolution, both as text. See [`choices`](crate::cuda::choices).
pub type Choices = BTreeMap<String, String>;

/// The cuDNN handle of a device, one plan per shape, and a shared workspace.
pub(crate) struct Convolutions {
    handle: sys::cudnnHandle_t,
    plans: HashMap<ConvShape, Plan>,
    advice: Choices,
    workspace: Option<CudaSlice<u8>>,
}

// SAFETY: one thread at a time uses the handle and the descriptors, because the device has them in
// a mutex.
unsafe impl Send for Convolutions {}

impl Convolutions {
    pub(crate) fn new(stream: &CudaStream) -> Result<Self> {
        stream.context().bind_to_thread().w()?;
        let handle = result::create_handle().map_err(|e| error("cannot start cuDNN", e))?;
        let convolutions = Self { handle, plans: HashMap::new(), advice: Choices::new(), workspace: None };
        // SAFETY: handle and stream are valid. The stream lives as long as the device, which
        // outlives this value.
        unsafe { result::set_stream(handle, stream.cu_stream().cast()) }
            .map_err(|e| error("cannot set the stream of cuDNN", e))?;
        Ok(convolutions)
    }

    /// Returns the algorithms of all convolutions so far.
    pub(crate) fn choices(&self) -> Choices {
        self.plans.iter().map(|(shape, plan)| (shape.to_string(), plan.chosen())).collect()
    }

    /// Sets the algorithms for convolutions that have not run yet, if cuDNN offers them.
    pub(crate) fn follow(&mut self, choices: Choices) {
        self.advice = choices;
    }

    /// Runs a convolution.
    ///
    /// For a new shape, it first times all algorithms. If `deterministic`, the rules of cuDNN
    /// choose one instead.
    pub(crate) fn run(
        &mut self,
        timer: &Timer,
        device: &CudaDevice,
        shape: ConvShape,
        buffers: Buffers,
        deterministic: bool,
    ) -> Result<()> {
        if !self.plans.contains_key(&shape) {
            let mut plan = Plan::new(shape).map_err(|e| error("cannot describe a convolution to cuDNN", e))?;
            let advice = self.advice.get(&shape.to_string());
            if !matches!(advice, Some(advice) if plan.follow(self.handle, advice)?) {
                // SAFETY: the algorithms write the memory before they read it. It is freed after
                // the search.
                let scratch: CudaSlice<u8> = unsafe { device.alloc(MAX_WORKSPACE_BYTES) }?;
                let scratch_address = scratch.device_ptr(&device.cuda_stream()).0;
                plan.choose(self.handle, device, buffers, scratch_address, deterministic)?;
            }
            self.plans.insert(shape, plan);
        }
        let plan = &self.plans[&shape];
        if self.workspace.as_ref().is_none_or(|workspace| workspace.num_bytes() < plan.workspace_bytes) {
            self.workspace = None;
            // SAFETY: algorithms write their workspace before they read it.
            self.workspace = Some(unsafe { device.alloc(plan.workspace_bytes.max(1)) }?);
        }
        let workspace = self.workspace.as_ref().map_or(0, |workspace| workspace.device_ptr(&device.cuda_stream()).0);
        timer.timed(|| plan.name(), || plan.cost(), || plan.run(self.handle, device, buffers, workspace))
    }
}

impl Drop for Convolutions {
    fn drop(&mut self) {
        self.plans.clear();
        // SAFETY: `new` created the handle, and it is destroyed once. `drop` cannot return an
        // error.
        let _ = unsafe { result::destroy_handle(self.handle) };
    }
}
