//! Training: how a run begins, its steps and epochs, and the test pass after each.

pub mod average;
mod epoch;
pub mod evaluation;
pub mod printed;
pub mod start;
pub mod trainer;
