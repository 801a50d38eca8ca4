//! The program `ucftrain`; everything it does is in the library.

#![warn(clippy::print_stdout, clippy::print_stderr)]

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use ucftrain::base::console::{LostResult, note};
use ucftrain::base::stop::Interrupted;
use ucftrain::base::usage::Usage;
use ucftrain::cli::{bench, eval, exchange, predict, train};
use ucftrain::compute::device::explain;
use ucftrain::report;
use ucftrain::scores::fuse;
use ucftrain::stream::Stream;

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
    Export(exchange::ExportArgs),
    /// Take a PyTorch network over, the reference code's .pth.tar too
    Import(exchange::ImportArgs),
    /// Show runs as one page: curves, confusions, worst videos, fusion
    Report(report::ReportArgs),
    /// Measure how fast this machine is at the parts of training
    Bench(bench::BenchArgs),
}

fn main() -> ExitCode {
    candle_convnet::keep_freed_memory();
    ucfpack::limits::raise_open_files();
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(text) => return print_help(&text),
    };
    let result = match command {
        Command::Spatial(args) => train::run(Stream::Spatial, &args),
        Command::Temporal(args) => train::run(Stream::Temporal, &args),
        Command::Eval(args) => eval::run(&args),
        Command::Fuse(args) => fuse::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Export(args) => exchange::export(&args),
        Command::Import(args) => exchange::import(&args),
        Command::Report(args) => report::run(&args),
        Command::Bench(args) => bench::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error = explain(error);
            // Many errors tell their cause themselves; it is not told again.
            let mut text = error.to_string();
            for cause in error.chain().skip(1).map(ToString::to_string) {
                if !text.contains(&cause) {
                    text = format!("{text}: {cause}");
                }
            }
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
