//! Training: steps, epochs, the test pass after each, and how the learning rate falls.

pub mod average;
mod epoch;
pub mod evaluation;
pub mod plateau;
pub mod schedule;
pub mod trainer;
