//! From shards to the network: a source fills samples with u8 pixels, a pipeline does so in threads ahead of the step.

mod damage;
mod geometry;
mod pipeline;
mod source;
mod test_source;
mod train_source;
mod work;

pub use damage::Damage;
pub use pipeline::{Batch, Batches, Plan, RING, with_batches};
pub use source::{SampleSource, Worker, check_geometry};
pub use test_source::TestSource;
pub use train_source::TrainSource;
pub use work::{Work, limit};
