//! Errors of the crate with the cures of Python.

use crate::error;
use clipshard::Error;
use pyo3::PyErr;
use pyo3::exceptions::PyFileExistsError;
use std::path::Path;

/// Turns an error into an exception whose cure is one of Python.
pub fn fault(error: Error) -> PyErr {
    match error {
        Error::Usage(text) => error::option(in_python(&text)),
        Error::Rebuild { dir, fault } => error::shard(Error::Rebuild { dir, fault: in_python(&fault) }),
        other => error::shard(other),
    }
}

/// Replaces functions of Rust in an error by what a user of Python does.
fn in_python(text: &str) -> String {
    const CURES: [(&str, &str); 6] = [
        (
            "drop this writer and continue with DatasetWriter::resume",
            "close this writer and continue with mode=\"resume\"",
        ),
        ("DatasetWriter::create or append", "mode=\"create\" or mode=\"append\""),
        ("DatasetWriter::resume", "mode=\"resume\""),
        ("DatasetWriter::append", "mode=\"append\""),
        ("write the manifest that Manifest::rebuild returns", "run ucfpack verify --rebuild-manifest"),
        ("write a rebuilt manifest", "run ucfpack verify --rebuild-manifest"),
    ];
    CURES.iter().fold(text.to_owned(), |text, (rust, python)| text.replace(rust, python))
}

/// Makes the exception for a new dataset where there is one.
pub fn exists(path: &Path, text: &str) -> PyErr {
    /// Number of the error of a file that exists, which is the same on all systems that Python knows.
    const EEXIST: i32 = 17;
    let start = format!("{}: ", path.display());
    let text = in_python(text.strip_prefix(&start).unwrap_or(text));
    PyFileExistsError::new_err((EEXIST, text, path.as_os_str().to_owned()))
}
