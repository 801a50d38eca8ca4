//! `ucftrain bench`: how fast this machine is at the parts of training.

mod loader;
#[cfg(feature = "cuda")]
mod roofline;
mod step;

use crate::input::check_geometry;
use crate::stream::Stream;
use crate::videos::Videos;
use crate::view::View;
use anyhow::{Context, Result};
use clap::Subcommand;
use clipshard::Dataset;

/// What is typed after `bench`.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// The input pipeline alone: decoded training samples on the host, as a step takes them
    Loader(loader::LoaderArgs),
    /// One forward pass, backward pass and update, then an evaluation forward pass
    Step(step::StepArgs),
}

/// The records that a network sees.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Records {
    Rgb,
    Flow,
}

impl Records {
    fn stream(self) -> Stream {
        match self {
            Self::Rgb => Stream::Spatial,
            Self::Flow => Stream::Temporal,
        }
    }
}

/// The clips of a data set's first split.
fn first_split(data: &Dataset, stream: Stream, side: usize) -> Result<Videos> {
    let split = data.manifest().splits.first();
    let split = split.with_context(|| format!("{}: the data set has no split", data.dir().display()))?;
    let videos = Videos::of(data, split, stream)?;
    check_geometry(data, &videos.train, stream, View::seed(stream).crop, side)?;
    Ok(videos)
}

/// The most memory that this process has held, where the system tells.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Runs the command.
pub fn run(args: &BenchArgs) -> Result<()> {
    match &args.part {
        Part::Loader(args) => loader::run(args),
        Part::Step(args) => step::run(args),
    }
}
