//! The program's command line: what can be typed, and what each command prints. Options are declared here and in
//! `settings::Given`, which a configuration file holds, too.

mod bench;
mod compute;
mod cure;
mod eval;
mod export;
mod fuse;
mod import;
mod io;
mod network;
mod predict;
mod report;
mod train;

use crate::base::console::{LostResult, note};
use crate::base::stop::Interrupted;
use crate::base::usage::Usage;
use crate::compute::device::OutOfMemory;
use crate::stream::Stream;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Trains, evaluates and fuses two-stream action recognition networks straight from clip shards
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  ucftrain spatial --data ucf101.shards --run runs/spatial --weights resnet18.safetensors
  ucftrain temporal --data ucf101.shards --run runs/temporal --weights resnet18.safetensors
  ucftrain fuse runs/spatial runs/temporal
  ucftrain report runs/spatial runs/temporal";

#[derive(Subcommand)]
enum Command {
    /// Train the network that sees RGB frames
    Spatial(train::TrainArgs),
    /// Train the network that sees stacks of optical flow
    Temporal(train::TrainArgs),
    /// Run the test pass of a trained network
    Eval(eval::EvalArgs),
    /// Combine the scores of several networks
    Fuse(fuse::FuseArgs),
    /// Say what a clip shows: the five most likely classes, and what each sample says
    Predict(predict::PredictArgs),
    /// Write a network for PyTorch, with torchvision's names
    Export(export::ExportArgs),
    /// Take a PyTorch network over, the reference code's .pth.tar too
    Import(import::ImportArgs),
    /// Show runs as one page: curves, confusions, worst videos, fusion
    Report(report::ReportArgs),
    /// Measure how fast this machine is at the parts of training
    Bench(bench::BenchArgs),
}

/// Runs the program with the arguments of the process and returns its exit status: 0, 1 for bad data, 2 for wrong usage, 128 and
/// a signal's number.
pub fn main() -> ExitCode {
    candle_convnet::keep_freed_memory();
    ucfpack::limits::raise_open_files();
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(text) => return print_help(&text),
    };
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => print_error(&OutOfMemory::explain(error)),
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Spatial(args) => train::run(Stream::Spatial, &args),
        Command::Temporal(args) => train::run(Stream::Temporal, &args),
        Command::Eval(args) => eval::run(&args),
        Command::Fuse(args) => fuse::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Bench(args) => bench::run(&args),
    }
}

/// Prints an error and returns the exit status of its kind.
fn print_error(error: &anyhow::Error) -> ExitCode {
    let text = format!("{error:#}");
    if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
        note(&text);
        return interrupted.status().into();
    }
    note(&format!("error: {text}"));
    match error.downcast_ref::<LostResult>() {
        Some(lost) => lost.status().into(),
        None => if error.is::<Usage>() { 2 } else { 1 }.into(),
    }
}

/// Prints help, the version or an error of the command line. Help that nobody gets is a lost result.
fn print_help(text: &clap::Error) -> ExitCode {
    let status = u8::try_from(text.exit_code()).unwrap_or(2);
    match text.print() {
        Err(error) if !text.use_stderr() => {
            let lost = LostResult::from(error);
            note(&format!("error: {lost}"));
            lost.status().into()
        }
        _ => status.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn each_cause_of_an_error_is_printed_once() {
        let lost = LostResult::from(std::io::Error::other("disk full"));
        let error = Err::<(), _>(lost).context("b").context("a").unwrap_err();
        assert_eq!(format!("{error:#}"), "a: b: stdout: cannot write the result: disk full");
    }
}
