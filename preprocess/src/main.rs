//! The program `ucfpack`.

mod cli;
mod commands;
mod heap;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use ucfpack::{Error, console};

fn main() -> ExitCode {
    heap::share_heaps();
    ucfpack::limits::raise_open_files();
    let outcome = match cli::Cli::try_parse() {
        Ok(cli) => commands::run(cli),
        Err(told) if told.use_stderr() => {
            // In colour, unless what was typed holds characters that a terminal obeys.
            let plain = told.render().to_string();
            if plain.lines().all(|line| console::escape(line) == line) {
                let _ = told.print();
            } else {
                console::say(&plain);
            }
            return ExitCode::from(2);
        }
        // Help and version are results.
        Err(told) => told.print().and_then(|()| io::stdout().flush()).map_err(|error| Error::Stdout(error).into()),
    };
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    let known = error.downcast_ref::<Error>();
    let mut text = error.chain().map(in_options).collect::<Vec<_>>().join(": ");
    if !known.is_some_and(Error::has_lines) {
        text = console::escape(&text).into_owned();
    }
    console::say(&format!("error: {text}"));
    // A program that a signal stopped says so, as shells and schedulers expect: 128 and the signal's number.
    if let Some(signal) = commands::stopped_by() {
        return ExitCode::from(128 + signal);
    }
    ExitCode::from(match known {
        Some(error) if error.is_usage() => 2,
        // As a program that SIGPIPE ends: the reader went away before the result was written.
        Some(Error::Stdout(error)) if error.kind() == io::ErrorKind::BrokenPipe => 141,
        _ => 1,
    })
}

/// An error or a cause, with this program's options for the settings that it names.
fn in_options(error: &(dyn std::error::Error + 'static)) -> String {
    let known = error.downcast_ref::<Error>();
    known.map_or_else(|| error.to_string(), |error| error.named(commands::option).to_string())
}
