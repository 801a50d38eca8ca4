//! The program `ucftrain`. The library contains all of its code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ucftrain::cli::main()
}
