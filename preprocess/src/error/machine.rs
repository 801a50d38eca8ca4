//! Errors that are caused by the machine, not by a file.

use super::failure::{Error, Result};
use super::problem::Problem;
use super::setting::Setting;

/// Converts an error into [`Error::Machine`] if the machine ran out of open files, processes or memory. Returns other
/// errors unchanged.
pub(crate) fn machine_fault(what: &str, source: std::io::Error) -> Result<Error, std::io::Error> {
    let Some(cure) = machine_cure(&source) else { return Err(source) };
    Ok(Error::Machine { what: what.to_owned(), reason: Some(source), cure })
}

fn fewer_jobs(before: &str) -> Problem {
    Problem::from(format!("{before}reduce ")).name(Setting::Jobs)
}

/// Returns the cure for an error that the machine causes, or `None` for other errors.
#[cfg(unix)]
pub(crate) fn machine_cure(error: &std::io::Error) -> Option<Problem> {
    use rustix::io::Errno;
    match Errno::from_io_error(error)? {
        Errno::MFILE | Errno::NFILE => Some(fewer_jobs("raise the limit of open files (ulimit -n 4096), or ")),
        Errno::AGAIN => Some(fewer_jobs("raise the limit of processes (ulimit -u), or ")),
        Errno::NOMEM => Some(fewer_jobs("to use less memory, ")),
        _ => None,
    }
}

/// Returns the cure for an error that the machine causes, or `None` for other errors.
#[cfg(not(unix))]
pub(crate) fn machine_cure(error: &std::io::Error) -> Option<Problem> {
    (error.kind() == std::io::ErrorKind::OutOfMemory).then(|| fewer_jobs("to use less memory, "))
}
