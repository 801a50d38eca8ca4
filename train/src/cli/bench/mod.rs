//! `ucftrain bench`: measures the speed of the parts of training.

mod data;
mod loader;
mod roofline;
mod step;

use anyhow::Result;
use clap::Subcommand;

/// Arguments of `ucftrain bench`.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Measure how many samples per second the input pipeline delivers
    ///
    /// Reads and decodes samples into host memory, exactly as training does, without a network.
    #[command(after_help = loader::EXAMPLES)]
    Loader(loader::LoaderArgs),
    /// Measure the time of a training step and of an evaluation
    ///
    /// Times one forward pass, backward pass and update of a batch, and then a forward pass in
    /// evaluation mode. The input pipeline is not measured.
    #[command(after_help = step::EXAMPLES)]
    Step(step::StepArgs),
}

/// Runs the command.
pub fn run(args: &BenchArgs) -> Result<()> {
    match &args.part {
        Part::Loader(args) => loader::run(args),
        Part::Step(args) => step::run(args),
    }
}
