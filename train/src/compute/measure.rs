//! Measurements of a training step on a GPU: each op separately, or the recorded step as a whole.
//! On the CPU the functions return none.

use super::backend;
use super::profile::Profile;
use candle_core::{DType, Device, Result};
use std::fmt;

/// Times the ops of `work` on a GPU. `work` must not wait for the GPU. Returns none on the CPU.
pub fn profile(device: &Device, dtype: DType, work: impl FnOnce() -> Result<()>) -> Result<Option<Profile>> {
    if !device.is_cuda() {
        return Ok(None);
    }
    backend::profile(device, dtype, work).map(Some)
}

/// A step that a GPU recorded and runs as a whole.
pub struct RecordedStep(backend::Recording);

impl RecordedStep {
    /// Does `work` once and then records it on a GPU. From then on, the recording owns the tensors
    /// of `work`. Returns none on the CPU.
    pub fn record(device: &Device, mut work: impl FnMut() -> Result<()>) -> Result<Option<Self>> {
        if !device.is_cuda() {
            return Ok(None);
        }
        backend::rehearse(device, &mut work)?;
        Ok(Some(Self(backend::record(device, work)?)))
    }

    /// Starts the step.
    pub fn run(&self) -> Result<()> {
        self.0.run()
    }
}

impl fmt::Debug for RecordedStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordedStep(..)")
    }
}
