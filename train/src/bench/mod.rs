//! `ucftrain bench`: how fast this machine is at the parts of training.

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
    /// One forward pass, backward pass and update, then an evaluation forward pass
    Step(step::StepArgs),
}

/// Runs the command.
pub fn run(args: &BenchArgs) -> Result<()> {
    match &args.part {
        Part::Step(args) => step::run(args),
    }
}
