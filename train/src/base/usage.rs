//! Usage errors. The program exits with 2 after a usage error, and with 1 after other errors.

/// A wrong option or argument, with the reason. Code wraps it in [`anyhow::Error`] and finds it
/// with `downcast_ref`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);
