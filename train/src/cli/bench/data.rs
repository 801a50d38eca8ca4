//! What the benchmarks read, and the memory that they take.

use crate::input::{self, check_geometry};
use crate::stream::Stream;
use crate::view::View;
use anyhow::{Context, Result};
use clip_loader::Split;
use clipshard::Dataset;

/// The records that a network sees.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Records {
    Rgb,
    Flow,
}

impl Records {
    /// The stream that reads them.
    pub(super) fn stream(self) -> Stream {
        match self {
            Self::Rgb => Stream::Spatial,
            Self::Flow => Stream::Temporal,
        }
    }
}

/// The clips of a data set's first split.
pub(super) fn first_split(data: &Dataset, stream: Stream, side: usize) -> Result<Split> {
    let name = data.manifest().splits.first();
    let name = name.with_context(|| format!("{}: the data set has no split", data.dir().display()))?;
    let split = input::split(data, name, stream)?;
    check_geometry(data, &split.train, stream, View::seed(stream).crop, side)?;
    Ok(split)
}

/// The most memory that this process has held, where the system tells.
pub(super) fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
