//! The program `ucftrain`; everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ucftrain::cli::main()
}
