//! The program `ucftrain`; everything it does is in the library.

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use ucftrain::device::explain;
use ucftrain::stream::Stream;
use ucftrain::usage::Usage;
use ucftrain::{bench, eval, exchange, fuse, predict, report, train};

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
    let result = match Cli::parse().command {
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
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let error = explain(error);
            eprintln!("error: {error:#}");
            if error.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Whoever reads our output may stop reading, as `head` does.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_broken = |e: &std::io::Error| e.kind() == std::io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref().is_some_and(is_broken))
}
