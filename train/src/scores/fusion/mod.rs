//! Fusion: combines the scores of several networks clip by clip, and computes the accuracy of each
//! combination.
//!
//! [`fuse`] does all of it as [`FuseOptions`] say. `align` reads the scores in one order,
//! [`combine`] has the strategies, `val` fits weights, and `report` has the results, one
//! [`Outcome`] per combination.

mod align;
pub mod combine;
mod options;
mod report;
mod splits;
#[cfg(test)]
mod tests;
mod val;

pub use align::align;
pub use options::{FuseOptions, SEED_SAMPLES, Space};
pub use report::Outcome;
pub use splits::fuse;
