//! Errors of NVIDIA's libraries.

use candle_core::Error;

/// A cuDNN or driver error as candle's.
pub(crate) fn error(what: &str, error: impl std::fmt::Display) -> Error {
    Error::Msg(format!("{what}: {error}"))
}
