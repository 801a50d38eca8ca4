//! A device's cuDNN: its handle, a plan for each shape seen, the workspace that all share.
#![expect(unsafe_code, reason = "cuDNN is a C library")]

use super::plan::{Buffers, MAX_WORKSPACE_BYTES, Plan};
use super::shape::ConvShape;
use crate::cuda::device::{Timer, error};
use candle_core::Result;
use candle_core::cuda::cudarc::driver::{CudaSlice, CudaStream, DevicePtr};
use candle_core::cuda::{CudaDevice, WrapErr};
use cudarc::cudnn::{result, sys};
use std::collections::{BTreeMap, HashMap};

/// The algorithm of each convolution, both by name.
pub type Choices = BTreeMap<String, String>;

/// A device's cuDNN handle, the plans of all shapes seen, and their workspace.
pub(crate) struct Convolutions {
    handle: sys::cudnnHandle_t,
    plans: HashMap<ConvShape, Plan>,
    advice: Choices,
    workspace: Option<CudaSlice<u8>>,
}

// SAFETY: the handle and the descriptors are used by one thread at a time, behind the device's mutex.
unsafe impl Send for Convolutions {}

impl Convolutions {
    pub(crate) fn new(stream: &CudaStream) -> Result<Self> {
        stream.context().bind_to_thread().w()?;
        let handle = result::create_handle().map_err(|e| error("cuDNN does not start", e))?;
        let convolutions = Self { handle, plans: HashMap::new(), advice: Choices::new(), workspace: None };
        // SAFETY: handle and stream are both alive; the stream lives as long as the device, which outlives this.
        unsafe { result::set_stream(handle, stream.cu_stream().cast()) }.map_err(|e| error("cuDNN stream", e))?;
        Ok(convolutions)
    }

    /// What was chosen for all convolutions so far.
    pub(crate) fn choices(&self) -> Choices {
        self.plans.iter().map(|(shape, plan)| (shape.to_string(), plan.chosen())).collect()
    }

    /// Takes these algorithms for convolutions that have not been computed yet, as far as cuDNN offers them.
    pub(crate) fn follow(&mut self, choices: Choices) {
        self.advice = choices;
    }

    /// Computes one convolution. A shape that is new is timed with all algorithms, or, if runs must give the same bits, gets
    /// one by cuDNN's rules.
    pub(crate) fn run(
        &mut self,
        timer: &Timer,
        device: &CudaDevice,
        shape: ConvShape,
        buffers: Buffers,
        deterministic: bool,
    ) -> Result<()> {
        if !self.plans.contains_key(&shape) {
            let mut plan = Plan::new(shape).map_err(|e| error("cuDNN convolution", e))?;
            let advice = self.advice.get(&shape.to_string());
            if !matches!(advice, Some(advice) if plan.follow(self.handle, advice)?) {
                // SAFETY: memory for the algorithms to write to, freed after the search.
                let scratch: CudaSlice<u8> = unsafe { device.alloc(MAX_WORKSPACE_BYTES) }?;
                let scratch_address = scratch.device_ptr(&device.cuda_stream()).0;
                plan.choose(self.handle, device, buffers, scratch_address, deterministic)?;
            }
            self.plans.insert(shape, plan);
        }
        let plan = &self.plans[&shape];
        if self.workspace.as_ref().is_none_or(|workspace| workspace.num_bytes() < plan.workspace_bytes) {
            self.workspace = None;
            // SAFETY: as above; algorithms write their workspace before they read it.
            self.workspace = Some(unsafe { device.alloc(plan.workspace_bytes.max(1)) }?);
        }
        let workspace = self.workspace.as_ref().map_or(0, |workspace| workspace.device_ptr(&device.cuda_stream()).0);
        timer.timed(|| plan.name(), || plan.cost(), || plan.run(self.handle, device, buffers, workspace))
    }
}

impl Drop for Convolutions {
    fn drop(&mut self) {
        self.plans.clear();
        // SAFETY: created in `new`, destroyed once; an error while ending can be told to nobody.
        let _ = unsafe { result::destroy_handle(self.handle) };
    }
}
