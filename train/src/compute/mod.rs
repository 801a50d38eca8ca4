//! Computation on a device: [`device::Compute`] is an opened CPU or GPU, [`batches::DeviceBatches`]
//! moves the batches of a pass to it, and [`step::Stepper`] takes training steps there.
//!
//! `backend` is the only module that depends on whether the program was built with CUDA. On a GPU,
//! `step` records a step and runs the recording, and `algorithms` keeps the chosen algorithms
//! in the run folder.

pub mod algorithms;
mod backend;
pub mod batches;
pub mod device;
mod feed;
pub mod groups;
pub mod measure;
mod memory;
pub mod profile;
pub mod step;
