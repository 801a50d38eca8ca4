//! Errors that are the machine's: no file is at fault.

use super::failure::{Error, Result};
use super::problem::Problem;
use super::setting::Setting;

/// Turns an error into [`Error::Machine`] where it tells of the machine (open files, processes, memory), whatever file was
/// being read. Other errors come back.
pub(crate) fn machine_fault(what: &str, source: std::io::Error) -> Result<Error, std::io::Error> {
    let Some(cure) = machine_cure(&source) else { return Err(source) };
    Ok(Error::Machine { what: what.to_owned(), reason: Some(source), cure })
}

fn fewer_jobs(before: &str) -> Problem {
    Problem::from(format!("{before} use fewer ")).name(Setting::Jobs).then(", and run this again")
}

/// Returns what to do about an error that is the machine's; `None` for any other.
#[cfg(unix)]
pub(crate) fn machine_cure(error: &std::io::Error) -> Option<Problem> {
    use rustix::io::Errno;
    match Errno::from_io_error(error)? {
        Errno::MFILE | Errno::NFILE => Some(fewer_jobs("raise the limit of open files (ulimit -n 4096), or")),
        Errno::AGAIN => Some(fewer_jobs("raise the limit of processes (ulimit -u), or")),
        Errno::NOMEM => Some(fewer_jobs("memory ran out:")),
        _ => None,
    }
}

/// Returns what to do about an error that is the machine's; `None` for any other.
#[cfg(not(unix))]
pub(crate) fn machine_cure(error: &std::io::Error) -> Option<Problem> {
    (error.kind() == std::io::ErrorKind::OutOfMemory).then(|| fewer_jobs("memory ran out:"))
}
