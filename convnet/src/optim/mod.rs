//! Optimisers.

mod config;
mod error;
mod rules;
mod sgd;

pub use config::{Decay, SgdConfig};
pub use error::SgdError;
pub use sgd::Sgd;
