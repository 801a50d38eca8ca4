//! Costs and times of operations.

use candle_core::Result;
use candle_core::cuda::WrapErr;
use candle_core::cuda::cudarc::driver::{CudaEvent, CudaStream, sys::CUevent_flags};
use std::ops::AddAssign;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The least work that an operation needs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Cost {
    /// Multiplications and additions of convolutions and matrix products. 0 for other operations,
    /// whose memory traffic takes much longer than their arithmetic.
    pub flops: f64,
    /// Bytes of all operands and results, each counted once.
    pub bytes: f64,
}

impl Cost {
    /// Returns a cost of `flops` floating-point operations and `bytes` of memory traffic.
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

/// An operation between two events. It may still be running.
#[derive(Debug)]
pub(crate) struct Timed {
    pub(crate) name: String,
    pub(crate) cost: Cost,
    pub(crate) begun: CudaEvent,
    pub(crate) ended: CudaEvent,
}

/// Times the operations of a stream during a profile.
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

    /// Stops timing, and returns the operations since [`Timer::start`].
    pub(crate) fn stop(&self) -> Vec<Timed> {
        self.lock().take().unwrap_or_default()
    }

    /// Runs `work`, and times it during a profile.
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
