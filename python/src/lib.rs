//! The extension module of the Python package `clipshard`.
//!
//! | module | Python classes |
//! |---|---|
//! | `dataset` | `Dataset`, `Clip` |
//! | `samples` | `Frames`, `Stack`, `Samples` |
//! | `loader` | `Loader` |
//! | `writer` | `Writer`, `Jpeg`, `Zstd`, `Lz4`, `Raw` |
//!
//! `array` makes numpy arrays, `error` makes exceptions, and `process` handles forks.

mod array;
mod dataset;
mod error;
mod process;
mod writer;

use pyo3::prelude::*;

/// The classes that `clipshard/__init__.py` exports.
#[pymodule(gil_used = false)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    dataset::register(module)?;
    writer::register(module)?;
    Ok(())
}
