//! What the typed commands mean, and how their results are shown.

mod build;
mod export;
mod extract;
mod inspect;
mod manual;
mod merge;
mod signals;
mod synth;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use anyhow::Context;

use crate::cli::{Cli, Command};

pub use signals::stopped_by;

/// Runs the command that was typed.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Build(args) => build::run_build(&args),
        Command::Extract(args) => extract::run_extract(&args),
        Command::Merge(args) => merge::run_merge(&args),
        Command::Verify(args) => inspect::run_verify(&args),
        Command::Inspect(args) => inspect::run_inspect(&args),
        Command::Export(args) => export::run_export(&args),
        Command::Synth(args) => synth::run_synth(&args),
        Command::Completions(args) => manual::run_completions(&args),
        Command::Man(args) => manual::run_man(&args),
    }
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Lets everything that runs in parallel use this many threads.
fn use_threads(jobs: usize) -> anyhow::Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(jobs).build_global().context(
        "cannot start threads: raise the limit of processes (ulimit -u) or of memory (ulimit -v), or use fewer --jobs",
    )
}

/// Returns a flag that signals set: work ends at the next image and takes its files away.
fn cancel_on_signals() -> anyhow::Result<Arc<AtomicBool>> {
    signals::cancel_on_signals().context("cannot watch for Ctrl-C")
}
