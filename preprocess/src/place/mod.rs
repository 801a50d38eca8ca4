//! The place of an output: locked while it is written, taken whole or not at all.

pub(crate) mod lock;
pub(crate) mod name;
pub(crate) mod staging;
pub(crate) mod target;
