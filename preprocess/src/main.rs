//! The program `ucfpack`.

mod cli;
mod commands;
mod examples;
mod heap;

use std::io;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    heap::share_heaps();
    ucfpack::limits::raise_open_files();
    let outcome = commands::run(cli::Cli::parse());
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    // A reader that has seen enough (`ucfpack inspect DIR | head`) is no error.
    let closed_pipe = |e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe;
    if error.downcast_ref::<io::Error>().is_some_and(closed_pipe) {
        return ExitCode::SUCCESS;
    }
    // Many errors tell their cause themselves; it is not told again.
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    eprintln!("error: {text}");
    let usage = error.downcast_ref::<ucfpack::Error>().is_some_and(ucfpack::Error::is_usage);
    ExitCode::from(if usage { 2 } else { 1 })
}
