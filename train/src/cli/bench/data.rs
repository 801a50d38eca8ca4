//! The input of the benchmarks, and their use of memory.

use crate::input::{self, check_geometry};
use crate::stream::Stream;
use crate::view::View;
use anyhow::{Context, Result};
use clip_loader::Split;
use clipshard::Dataset;

/// The stream to read.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Records {
    /// RGB frames
    Rgb,
    /// Stacks of optical flow
    Flow,
}

impl Records {
    /// Returns the stream of the two-stream method.
    pub(super) fn stream(self) -> Stream {
        match self {
            Self::Rgb => Stream::Spatial,
            Self::Flow => Stream::Temporal,
        }
    }
}

/// Returns the clips of the first split of a dataset.
pub(super) fn first_split(data: &Dataset, stream: Stream, side: usize) -> Result<Split> {
    let name = data.manifest().splits.first();
    let name = name.with_context(|| {
        format!("{}: the dataset has no splits; pack it again with split lists", data.dir().display())
    })?;
    let split = input::split(data, name, stream)?;
    check_geometry(data, &split.train, stream, View::seed(stream).crop, side)?;
    Ok(split)
}

/// Returns the peak memory of this process in bytes, if the system reports it.
pub(super) fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
