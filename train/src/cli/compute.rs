//! Options for the device, precision and threads.

use crate::base::heading::RUN;
use crate::compute::device::{Compute, Precision, set_threads};
use anyhow::Result;

/// Device, precision and threads.
#[derive(Clone, Debug, clap::Args)]
pub struct ComputeArgs {
    /// Device to compute on: auto, cpu or cuda:N
    ///
    /// `auto` selects the first GPU, or the CPU on a machine without a GPU.
    #[arg(long, value_name = "DEVICE", default_value = "auto", help_heading = RUN)]
    device: String,
    /// Number format of the computation [default: bf16 on a GPU, f32 on the CPU]
    #[arg(long, value_enum, help_heading = RUN)]
    precision: Option<Precision>,
    /// Threads that decode and compute [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024), help_heading = RUN)]
    threads: Option<u32>,
}

impl ComputeArgs {
    /// Opens the device and starts the threads that compute. Returns both the device and the number
    /// of threads.
    pub fn start(&self) -> Result<(Compute, usize)> {
        let compute = Compute::open(&self.device, self.precision, false)?;
        let threads = threads_or_all(self.threads);
        set_threads(threads)?;
        Ok((compute, threads))
    }
}

/// Returns the given number of threads, or the number of cores.
pub fn threads_or_all(given: Option<u32>) -> usize {
    given.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), |n| n as usize)
}
