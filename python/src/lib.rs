//! The extension module of the Python package `clipshard`.
//!
//! | module | Python classes |
//! |---|---|
//! | `dataset` | `Dataset` |
//! | `clip` | `Clip` |
//! | `stream` | `Stream` |
//! | `samples` | `Frames`, `Stack`, `Samples` |
//! | `loader` | `Loader` |
//! | `writer` | `Writer`, `Jpeg`, `Zstd`, `Lz4`, `Raw` |
//!
//! `read` decodes frames, `array` makes numpy arrays, `arguments` reads arguments, `error` makes
//! exceptions, and `process` handles forks.
#![allow(missing_debug_implementations, reason = "Python prints these types with their `__repr__`")]
#![allow(unnameable_types, reason = "no other crate uses this one")]
#![allow(clippy::doc_link_with_quotes, clippy::doc_markdown, reason = "docstrings have examples in Python")]

mod arguments;
mod array;
mod clip;
mod dataset;
mod error;
mod loader;
mod process;
mod read;
mod samples;
mod stream;
mod writer;

use pyo3::prelude::*;

/// The classes that `clipshard/__init__.py` exports.
#[pymodule(gil_used = false)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    dataset::register(module)?;
    samples::register(module)?;
    loader::register(module)?;
    writer::register(module)?;
    Ok(())
}
