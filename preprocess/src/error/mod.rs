//! Errors with fields. Their messages name the failed action, the reason and the cure.

mod clip_error;
mod failure;
mod machine;
mod problem;
mod setting;
mod skipped;

pub(crate) use clip_error::ClipError;
pub use failure::{Error, NamedError, Result};
pub(crate) use machine::{machine_cure, machine_fault};
pub use problem::Problem;
pub use setting::Setting;
pub use skipped::{NotWhole, Skipped, SomeClasses};
