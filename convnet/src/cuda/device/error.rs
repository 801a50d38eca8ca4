//! Errors of NVIDIA's libraries.

use candle_core::Error;

/// Converts an error of cuDNN or the driver to candle's error type.
pub(crate) fn error(what: &str, error: impl std::fmt::Display) -> Error {
    Error::Msg(format!("{what}: {error}"))
}
