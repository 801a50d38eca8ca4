//! What ops cost, and how long they take.

use candle_core::Result;
use candle_core::cuda::WrapErr;
use candle_core::cuda::cudarc::driver::{CudaEvent, CudaStream, sys::CUevent_flags};
use std::ops::AddAssign;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What an op has to do at least.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Cost {
    /// Multiplications and additions of convolutions and products; what others compute is nothing beside their traffic.
    pub flops: f64,
    /// Bytes of what is read and written, each once.
    pub bytes: f64,
}

impl Cost {
    /// A cost of `flops` floating-point operations and `bytes` of traffic.
    pub const fn new(flops: f64, bytes: f64) -> Self {
        Self { flops, bytes }
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.flops += other.flops;
        self.bytes += other.bytes;
    }
}

/// What was timed of an op that may still run.
#[derive(Debug)]
pub(crate) struct Timed {
    pub(crate) name: String,
    pub(crate) cost: Cost,
    pub(crate) begun: CudaEvent,
    pub(crate) ended: CudaEvent,
}

/// Times the ops of a stream while a profile is being taken.
#[derive(Debug)]
pub(crate) struct Timer {
    stream: Arc<CudaStream>,
    timed: Mutex<Option<Vec<Timed>>>,
}

impl Timer {
    pub(super) fn new(stream: Arc<CudaStream>) -> Self {
        Self { stream, timed: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Timed>>> {
        self.timed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn start(&self) {
        *self.lock() = Some(Vec::new());
    }

    /// What was timed since [`Timer::start`]; nothing is timed from now on.
    pub(crate) fn stop(&self) -> Vec<Timed> {
        self.lock().take().unwrap_or_default()
    }

    /// Does `work`, and times it if a profile is being taken.
    pub(crate) fn timed(
        &self,
        name: impl FnOnce() -> String,
        cost: impl FnOnce() -> Cost,
        work: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        if self.lock().is_none() {
            return work();
        }
        let flags = Some(CUevent_flags::CU_EVENT_DEFAULT);
        let begun = self.stream.record_event(flags).w()?;
        work()?;
        let ended = self.stream.record_event(flags).w()?;
        if let Some(timed) = self.lock().as_mut() {
            timed.push(Timed { name: name(), cost: cost(), begun, ended });
        }
        Ok(())
    }
}
