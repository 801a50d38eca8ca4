//! `ucftrain bench`: how fast this machine is at the parts of training.

mod data;
mod loader;
mod roofline;
mod step;

use anyhow::Result;
use clap::Subcommand;

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

/// Runs the command.
pub fn run(args: &BenchArgs) -> Result<()> {
    match &args.part {
        Part::Loader(args) => loader::run(args),
        Part::Step(args) => step::run(args),
    }
}
