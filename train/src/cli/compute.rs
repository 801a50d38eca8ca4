//! Options that say where and how to compute.

use crate::compute::device::{Compute, Precision, set_threads};
use anyhow::Result;

/// Where and how to compute, as it is typed.
#[derive(Clone, Debug, clap::Args)]
pub struct ComputeArgs {
    /// auto, cpu or cuda:N
    #[arg(long, default_value = "auto")]
    device: String,
    /// How precisely to compute [default: bf16 on a card, f32 on the CPU]
    #[arg(long, value_enum)]
    precision: Option<Precision>,
    /// Threads that decode and compute [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
}

impl ComputeArgs {
    /// Opens the device and sets the threads that compute; how many these are.
    pub fn start(&self) -> Result<(Compute, usize)> {
        let compute = Compute::open(&self.device, self.precision, false)?;
        let threads = threads_or_all(self.threads);
        set_threads(threads)?;
        Ok((compute, threads))
    }
}

/// What is typed, or all cores.
pub fn threads_or_all(typed: Option<u32>) -> usize {
    typed.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), |n| n as usize)
}
