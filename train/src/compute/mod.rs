//! Where a network computes: the device, a batch on its way to it, and a training step there.

#[cfg(feature = "cuda")]
pub mod algorithms;
pub mod device;
pub mod feed;
pub mod memory;
pub mod step;
