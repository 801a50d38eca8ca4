//! Runs the commands and prints their results.

mod build;
mod common;
mod edit;
mod export;
mod extract;
mod inspect;
mod manual;
mod merge;
mod options;
mod signals;
mod synth;
mod threads;

use crate::cli::{Cli, Command};

pub use options::option;
pub use signals::stopped_by;

/// Runs a command.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Build(args) => build::run_build(&args),
        Command::Extract(args) => extract::run_extract(&args),
        Command::Merge(args) => merge::run_merge(&args),
        Command::Add(args) => edit::run_add(&args),
        Command::Subset(args) => edit::run_subset(&args),
        Command::Recode(args) => edit::run_recode(&args),
        Command::Verify(args) => inspect::run_verify(&args),
        Command::Inspect(args) => inspect::run_inspect(&args),
        Command::Export(args) => export::run_export(&args),
        Command::Synth(args) => synth::run_synth(&args),
        Command::Completions(args) => manual::run_completions(&args),
        Command::Man(args) => manual::run_man(&args),
    }
}
