//! From shards to batches: a source fills samples with u8 pixels, a pipeline does so in threads ahead of the step, a batch
//! turns them into the network's input.

mod batch;
mod pipeline;
mod source;

pub use batch::{InputRange, to_tensors};
pub use pipeline::{Batch, Batches, Plan, with_batches};
pub use source::{SampleSource, TestSource, TrainSource, Worker, check_geometry};
