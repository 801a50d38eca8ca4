//! Wrong usage, apart from bad data: the program ends with 2 for the one and with 1 for the other.

/// What was asked for cannot be meant; the text says why. Wrapped in [`anyhow::Error`], found again with `downcast_ref`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);
