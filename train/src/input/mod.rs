//! From shards to the network: a source fills samples with u8 pixels, a pipeline does so in threads ahead of the step, a feed
//! brings them to the device and turns them into the network's input.

mod feed;
mod memory;
mod pipeline;
mod source;

pub use feed::{Feed, Staged};
pub use memory::HostMemory;
pub use pipeline::{Batch, Batches, Plan, with_batches};
pub use source::{SampleSource, TestSource, TrainSource, Worker, check_geometry};
