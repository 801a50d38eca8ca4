#![doc = include_str!("../README.md")]

mod error;
mod loader;
mod pixels;
mod read_ahead;
mod ring;
mod samples;
mod sampling;
mod share;
mod split;
mod view;
mod work;

pub use error::{Error, Result};
pub use loader::{Batch, Loader, LoaderBuilder};
pub use pixels::Jitter;
pub use ring::{Allocate, Heap, SlotMemory};
pub use samples::{Damage, Samples, TestOptions, TestSamples, TrainOptions, TrainSamples, Worker};
pub use sampling::Sampling;
pub use share::State;
pub use split::{Split, SplitClip};
pub use view::{Crop, MAX_SEGMENTS, TestCrop, View};
pub use work::Work;
