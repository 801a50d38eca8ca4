//! Reads arguments of Python, and makes Python values of what the crates keep as text.

use crate::error;
use pyo3::exceptions::{PyException, PyOverflowError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyString};
use std::path::PathBuf;

/// Replaces an exception by a clearer one. `KeyboardInterrupt` and its like stay as they are.
pub fn clearer(py: Python<'_>, cause: PyErr, wrong: impl FnOnce() -> PyErr) -> PyErr {
    if cause.is_instance_of::<PyException>(py) { wrong() } else { cause }
}

/// Reads the argument `what`, which is a list of names such as `example`.
pub fn names(argument: &Bound<'_, PyAny>, what: &str, example: &str) -> PyResult<Vec<String>> {
    let wrong = || error::wrong_type(format!("{what} is not a list of names; pass for example {what}={example}"));
    if argument.is_instance_of::<PyString>() {
        return Err(wrong());
    }
    let mut names = Vec::new();
    for name in argument.try_iter().map_err(|cause| clearer(argument.py(), cause, wrong))? {
        names.push(name?.extract().map_err(|_| wrong())?);
    }
    Ok(names)
}

/// Reads an argument that is a path: a text, bytes or an `os.PathLike`.
pub fn path(argument: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    static DECODE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    DECODE.import(argument.py(), "os", "fsdecode")?.call1((argument,))?.extract()
}

/// Reads an argument that is a whole number. Numbers beyond 64 bits become the nearest one.
pub fn whole(number: &Bound<'_, PyAny>) -> PyResult<i64> {
    match number.extract::<i64>() {
        Err(error) if error.is_instance_of::<PyOverflowError>(number.py()) => {
            Ok(if number.lt(0)? { i64::MIN } else { i64::MAX })
        }
        Ok(_) if number.is_instance_of::<PyBool>() => {
            Err(error::wrong_type(format!("{number} is a bool, not a number")))
        }
        other => other,
    }
}

/// Reads an argument that is a whole number or None.
pub fn whole_or_none(number: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    if number.is_none() { Ok(None) } else { whole(number).map(Some) }
}

/// Checks that a number of things is at least `least`. `what` is the argument in errors.
pub fn count(what: &str, number: i64, least: i64) -> PyResult<usize> {
    let found = usize::try_from(number).ok().filter(|_| number >= least);
    found.ok_or_else(|| error::option(format!("{what} is {number}, not at least {least}")))
}

/// Checks a seed.
pub fn seed(seed: Option<i128>) -> PyResult<Option<u64>> {
    let wrong = |seed| error::option(format!("seed is {seed}, not between 0 and 2**64 - 1"));
    seed.map(|seed| u64::try_from(seed).map_err(|_| wrong(seed))).transpose()
}

/// Parses attributes to a dict. `owner` has them, for errors.
pub fn attributes<'py>(
    py: Python<'py>,
    attributes: &clipshard::Attributes,
    owner: &str,
) -> PyResult<Bound<'py, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let loads = LOADS.import(py, "json", "loads")?;
    // Python refuses numbers of thousands of digits, which JSON allows.
    loads.call1((attributes.as_json(),)).map_err(|fault| {
        if !fault.is_instance_of::<PyException>(py) {
            return fault;
        }
        error::other(format!("{owner}: Python cannot read its attributes: {fault}"))
    })
}
