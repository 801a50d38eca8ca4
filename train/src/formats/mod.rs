//! Files of weights.

pub(crate) mod metadata;
pub mod weights;
