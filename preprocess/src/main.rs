//! The program `ucfpack`.

mod cli;
mod commands;
mod heap;

use std::io::{self, Write};
use std::process::ExitCode;

use ucfpack::{Error, console};

fn main() -> ExitCode {
    heap::share_heaps();
    ucfpack::limits::raise_open_files();
    let outcome = match cli::parse() {
        Ok(cli) => commands::run(cli),
        Err(told) if told.use_stderr() => {
            // Clap prints colours. It does not escape control characters in the arguments.
            let plain = told.render().to_string();
            if plain.lines().all(|line| console::escape(line) == line) {
                let _ = told.print();
            } else {
                console::say(&plain);
            }
            return ExitCode::from(2);
        }
        // Help texts and the version are results.
        Err(told) => told.print().and_then(|()| io::stdout().flush()).map_err(|error| Error::Stdout(error).into()),
    };
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    let known = error.downcast_ref::<Error>();
    let mut text = error.chain().map(in_options).collect::<Vec<_>>().join(": ");
    if !known.is_some_and(Error::has_lines) {
        text = console::escape(&text).into_owned();
    }
    console::say(&format!("error: {text}"));
    // Shells and schedulers expect 128 plus the number of the signal.
    if let Some(signal) = commands::stopped_by() {
        return ExitCode::from(128 + signal);
    }
    ExitCode::from(match known {
        Some(error) if error.is_usage() => 2,
        // The reader closed the pipe before the result was written: 128 plus the number of SIGPIPE.
        Some(Error::Stdout(error)) if error.kind() == io::ErrorKind::BrokenPipe => 141,
        _ => 1,
    })
}

/// Returns the message of an error or a cause, with this program's options as names of settings.
fn in_options(error: &(dyn std::error::Error + 'static)) -> String {
    let known = error.downcast_ref::<Error>();
    known.map_or_else(|| error.to_string(), |error| error.named(commands::option).to_string())
}
