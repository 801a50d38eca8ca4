//! The command line: commands, options and output. Options are declared here, and in
//! `settings::Given` if a configuration file may also contain them.

mod bench;
mod compute;
mod cure;
mod eval;
mod export;
mod fuse;
mod import;
mod io;
mod launch;
mod network;
mod predict;
mod ranks;
mod report;
mod train;
mod weights;

use crate::base::console::{self, LostResult};
use crate::base::stop::Interrupted;
use crate::base::usage::Usage;
use crate::compute::device::OutOfMemory;
use crate::stream::Stream;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Train, evaluate and fuse two-stream action recognition networks
///
/// Reads the datasets that `ucfpack build` writes.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  ucftrain spatial --data ucf101.shards --run runs/spatial --weights imagenet
  ucftrain temporal --data ucf101.shards --run runs/temporal --weights imagenet
  ucftrain fuse runs/spatial runs/temporal
  ucftrain report runs/spatial runs/temporal
  ucftrain predict --run runs/spatial --run runs/temporal video.mp4";

const SPATIAL_USAGE: &str = "ucftrain spatial --data <DIR> --run <DIR> --weights <imagenet|FILE|none> [OPTIONS]
       ucftrain spatial --run <DIR> --resume [OPTIONS]";

const TEMPORAL_USAGE: &str = "ucftrain temporal --data <DIR> --run <DIR> --weights <imagenet|FILE|none> [OPTIONS]
       ucftrain temporal --run <DIR> --resume [OPTIONS]";

const DIFFERENCE_USAGE: &str = "ucftrain difference --data <DIR> --run <DIR> --weights <imagenet|FILE|none> [OPTIONS]
       ucftrain difference --run <DIR> --resume [OPTIONS]";

#[derive(Subcommand)]
enum Command {
    /// Train the spatial network, which sees RGB frames
    ///
    /// Ctrl-C stops after the current step and saves a checkpoint. A second Ctrl-C stops at once.
    #[command(after_help = train::SPATIAL_EXAMPLES, override_usage = SPATIAL_USAGE)]
    Spatial(train::TrainArgs),
    /// Train the temporal network, which sees stacks of optical flow
    ///
    /// Ctrl-C stops after the current step and saves a checkpoint. A second Ctrl-C stops at once.
    #[command(after_help = train::TEMPORAL_EXAMPLES, override_usage = TEMPORAL_USAGE)]
    Temporal(train::TrainArgs),
    /// Train the difference network, which sees stacks of differences of RGB frames
    ///
    /// The third stream of Temporal Segment Networks (Wang et al. 2016). It needs no optical flow.
    /// Ctrl-C stops after the current step and saves a checkpoint. A second Ctrl-C stops at once.
    #[command(after_help = train::DIFFERENCE_EXAMPLES, override_usage = DIFFERENCE_USAGE)]
    Difference(train::TrainArgs),
    /// Train with several processes on this machine
    ///
    /// Starts the command after `--` once per rank, and ends all of them if one fails. Their result is
    /// that of one process with the same --accumulate.
    #[command(after_help = launch::EXAMPLES)]
    Launch(launch::LaunchArgs),
    /// Test a trained network on the test clips of a split
    #[command(after_help = eval::EXAMPLES)]
    Eval(eval::EvalArgs),
    /// Combine the scores of several networks
    Fuse(fuse::FuseArgs),
    /// Classify one clip or video
    ///
    /// Prints the probabilities of the five most likely classes, and the prediction.
    #[command(after_help = predict::EXAMPLES)]
    Predict(predict::PredictArgs),
    /// Write a network for PyTorch, with the tensor names of torchvision
    #[command(after_help = export::EXAMPLES)]
    Export(export::ExportArgs),
    /// Convert a network from PyTorch or from the reference code
    ///
    /// The file that it writes works with `ucftrain eval` and `ucftrain predict`.
    #[command(after_help = import::EXAMPLES)]
    Import(import::ImportArgs),
    /// Write an HTML page with the results of runs
    Report(report::ReportArgs),
    /// Measure the speed of training on this machine
    Bench(bench::BenchArgs),
}

/// Runs the program with the arguments of the process. Returns its exit status: 0 for success, 1
/// for bad data, 2 for wrong usage, 128 plus the signal's number after a signal.
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
        Command::Difference(args) => train::run(Stream::Difference, &args),
        Command::Launch(args) => launch::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Fuse(args) => fuse::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Bench(args) => bench::run(&args),
    }
}

/// Prints an error and returns its exit status.
fn print_error(error: &anyhow::Error) -> ExitCode {
    let text = format!("{error:#}");
    if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
        console::note(&text);
        return interrupted.status().into();
    }
    console::error(&format!("error: {text}"));
    if let Some(failed) = error.downcast_ref::<launch::RankFailed>() {
        return failed.status.into();
    }
    match error.downcast_ref::<LostResult>() {
        Some(lost) => lost.status().into(),
        None => if error.is::<Usage>() { 2 } else { 1 }.into(),
    }
}

/// Prints help, the version or an error of the command line. Help that cannot be printed is an
/// error.
fn print_help(text: &clap::Error) -> ExitCode {
    let status = u8::try_from(text.exit_code()).unwrap_or(2);
    match text.print() {
        Err(error) if !text.use_stderr() => {
            let lost = LostResult::from(error);
            console::error(&format!("error: {lost}"));
            lost.status().into()
        }
        _ => status.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::heading;
    use anyhow::Context;
    use clap::CommandFactory;

    /// Calls `check` with each command and the words that call it.
    fn each_command(command: &clap::Command, words: &str, check: &mut impl FnMut(&clap::Command, &str)) {
        check(command, words);
        command
            .get_subcommands()
            .filter(|sub| sub.get_name() != "help")
            .for_each(|sub| each_command(sub, &format!("{words} {}", sub.get_name()), check));
    }

    #[test]
    fn each_option_has_a_short_help_and_one_of_the_headings() {
        const HEADINGS: [&str; 8] = [
            heading::INPUT,
            heading::MODEL,
            heading::OPTIMISATION,
            heading::AUGMENTATION,
            heading::EVALUATION,
            heading::FUSION,
            heading::RUN,
            heading::OUTPUT,
        ];
        let mut command = Cli::command();
        command.build();
        let mut faults = Vec::new();
        each_command(&command, "ucftrain", &mut |command, words| {
            let mut short = |name: &str, help: Option<String>| {
                let help = help.unwrap_or_default();
                let first = help.split(" [default").next().unwrap_or_default();
                let n = first.split_whitespace().count();
                if !(1..=12).contains(&n) || first.ends_with('.') {
                    faults.push(format!("{words} {name}: {n} words: {help}"));
                }
            };
            short("", command.get_about().map(ToString::to_string));
            for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
                short(arg.get_id().as_str(), arg.get_help().map(ToString::to_string));
            }
            for arg in command.get_opts().filter(|arg| !["help", "version"].contains(&arg.get_id().as_str())) {
                if !arg.is_hide_set() && !arg.get_help_heading().is_some_and(|found| HEADINGS.contains(&found)) {
                    faults.push(format!("{words} {}: heading {:?}", arg.get_id(), arg.get_help_heading()));
                }
            }
        });
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    #[test]
    fn help_is_not_wider_than_100_columns() {
        let mut command = Cli::command();
        command.build();
        each_command(&command, "ucftrain", &mut |command, words| {
            let mut command = command.clone();
            for text in [command.render_help().to_string(), command.render_long_help().to_string()] {
                let wide = text.lines().find(|line| line.chars().count() > 100);
                assert_eq!(wide, None, "{words}");
            }
        });
    }

    #[test]
    fn each_cause_of_an_error_is_printed_once() {
        let lost = LostResult::from(std::io::Error::other("disk full"));
        let error = Err::<(), _>(lost).context("b").context("a").unwrap_err();
        assert_eq!(format!("{error:#}"), "a: b: cannot write the result to stdout: disk full");
    }
}
