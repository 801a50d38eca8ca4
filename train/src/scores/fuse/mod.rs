//! Combines the scores of several networks, clip by clip, and counts how often each way is right.

mod align;
pub mod combine;
mod fusion;
mod held_out;
mod options;
mod report;
#[cfg(test)]
mod tests;

pub use align::align;
pub use fusion::fuse;
pub use options::{FuseOptions, SEED_SAMPLES, Space};
pub use report::Outcome;
