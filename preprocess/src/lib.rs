//! Packs trees of RGB frames and optical-flow JPEGs, or videos, into a few memory-mapped shards, and looks after what was packed.
//!
//! A [`source::Input`] finds the clips, [`lists::Lists`] say what they are, and [`pack::build`] decides which clip goes into
//! which shard, encodes clips in parallel and writes them in order. The same tree gives the same bytes, whatever the number of
//! threads and the machine. [`synth`] makes data sets up, for tests and trials.

mod clip;
pub mod console;
mod error;
mod escape;
mod exif;
pub mod export;
pub mod extract;
pub mod inspect;
mod jpeg;
pub mod limits;
pub mod lists;
pub mod pack;
mod place;
pub mod progress;
pub mod quantity;
mod resize;
pub mod sheet;
pub mod signals;
pub mod source;
pub mod stored;
pub mod stream;
pub mod synth;
pub mod verify;
mod versions;
pub mod video;

pub use clip::{Absence, Fault, MIN_FLOW_FRAMES, Short};
pub use error::{Error, NamedError, NotWhole, Problem, Result, Setting, Skipped};
