//! Packs trees of RGB frames and optical-flow JPEGs, or videos, into a few memory-mapped shards, and looks after what was packed.
//!
//! A [`source::Input`] finds the clips, [`lists::Lists`] say what they are, [`plan`] decides which clip goes
//! into which shard, and [`build::build`] encodes clips in parallel and writes them in order. The same tree gives the same
//! bytes, whatever the number of threads and the machine. [`synth`] makes data sets up, for tests and trials.

pub mod build;
pub mod console;
pub mod encode;
mod error;
pub mod estimate;
mod exif;
pub mod export;
pub mod extract;
mod extracted;
mod finished;
mod images;
pub mod inspect;
mod job;
pub mod limits;
pub mod lists;
mod lock;
pub mod merge;
mod output;
mod partial;
mod pipeline;
pub mod plan;
pub mod progress;
pub mod quantity;
pub mod resize;
pub mod sheet;
pub mod signals;
pub mod source;
pub mod stream;
pub mod synth;
pub mod verify;
pub mod versions;
pub mod video;
mod writer;

pub use error::{Error, NotWhole, Result, Skipped};
