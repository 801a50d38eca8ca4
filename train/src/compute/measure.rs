//! Measures what a GPU does in a step: its ops one by one, or the whole step recorded. None of it exists on the CPU.

use super::backend;
use super::profile::Profile;
use candle_core::{DType, Device, Result};
use std::fmt;

/// Times the ops of `work` on a GPU, which `work` must not wait for; none on the CPU.
pub fn profile(device: &Device, dtype: DType, work: impl FnOnce() -> Result<()>) -> Result<Option<Profile>> {
    if !device.is_cuda() {
        return Ok(None);
    }
    backend::profile(device, dtype, work).map(Some)
}

/// A step that a GPU recorded and runs as a whole.
pub struct RecordedStep(backend::Recording);

impl RecordedStep {
    /// Does `work` once and then records it, on a GPU; none on the CPU. Its tensors are the recording's from then on.
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
