//! Where a network computes: the device, batches on their way to it, and training steps there.

pub mod algorithms;
mod backend;
pub mod batches;
pub mod device;
mod feed;
pub mod measure;
mod memory;
pub mod profile;
mod recorded;
pub mod step;
