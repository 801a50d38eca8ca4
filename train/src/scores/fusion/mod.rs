//! Combines the scores of several networks, clip by clip, and counts how often each way is right.

mod align;
pub mod combine;
mod held_out;
mod options;
mod report;
mod splits;
#[cfg(test)]
mod tests;

pub use align::align;
pub use options::{FuseOptions, SEED_SAMPLES, Space};
pub use report::Outcome;
pub use splits::fuse;
