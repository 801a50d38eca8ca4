//! Training: the start of a run, its epochs of steps, and the test pass after each epoch.
//!
//! [`start::Start`] creates a run or restores it from a checkpoint. [`trainer::Trainer`] then runs
//! the epochs, and [`evaluation::Evaluation`] tests the network or its average
//! ([`average::Average`]).

pub mod average;
mod epoch;
pub mod evaluation;
mod precise_bn;
pub mod printed;
pub mod start;
pub mod trainer;
