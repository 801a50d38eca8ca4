//! Packs frame trees (RGB frames and optical flow as JPEG files) or videos into a few memory-mapped shards, and reads,
//! checks and exports the result.
//!
//! A [`source::Input`] finds the clips, and [`lists::Lists`] tell their classes and splits.
//! [`pack::build`] assigns clips to shards, encodes clips in parallel, and writes them in order.
//! The same source and options give the same bytes, on every machine and with any number of
//! threads. [`synth`] makes synthetic datasets for tests.

pub mod attributes;
mod clip;
pub mod console;
pub mod edit;
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
pub use error::{Error, NamedError, NotWhole, Problem, Result, Setting, Skipped, SomeClasses};
