//! Loads batches of video clips from [`clipshard`] datasets. Worker threads decode the clips while
//! your training step runs.
//!
//! The crate knows no tensors. It fills plain memory with `u8` pixels, and your framework wraps
//! that memory.
//!
//! # How the types fit together
//!
//! ```text
//! clipshard::Dataset                  the packed clips
//!     │ Split::of                     lists the clips of one split: train, val, test
//!     ▼
//! TrainSamples, TestSamples           decide what each sample of a pass shows:
//!     │                                 View                 one frame, or a stack of frames
//!     │                                 Sampling             which frames of the clip
//!     │                                 Crop, TestCrop       which part of each frame
//!     ▼
//! Loader                              decodes the samples with worker threads
//!     ▼
//! Batch                               the bytes of some samples, in order
//! ```
//!
//! * A [`View`] shows frames of a stream, each as a square of pixels: one frame, consecutive frames,
//!   or every `stride`th frame.
//! * A sample has one part per view, for example RGB frames and optical flow of the same moment.
//!   [`TrainSamples`] draws the moment at random, and each clip is one sample of an epoch.
//!   [`TestSamples`] takes the same number of samples from each clip, at fixed places.
//! * A [`Loader`] is an iterator over [`Batch`]es. A batch owns its memory until you drop it.
//!
//! # Train on RGB frames
//!
//! ```
//! use clip_loader::{Crop, Loader, Sampling, Split, TrainOptions, TrainSamples, View};
//! use clipshard::Dataset;
//! use std::sync::Arc;
//!
//! # mod synthetic { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/synthetic/mod.rs")); }
//! # let folder = synthetic::synthetic_dataset();
//! # let dir = folder.path();
//! let data = Arc::new(Dataset::open(dir)?);
//! let view = View::frame("rgb").side(32).crop(Crop::Random).flip(true);
//! let split = Split::of(&data, "1", &view)?;
//!
//! // Three frames per clip, one from each third. Each is a random crop of 32 x 32 pixels, mirrored half of the time.
//! let options = TrainOptions::new().sampling(Sampling::Segments).segments(3).seed(7);
//! let epoch = Arc::new(TrainSamples::new(&data, split.train, &view, options)?);
//! assert_eq!(epoch.shape(), [3, 1, 1, 32, 32, 3]); // segments, frames, planes, height, width, channels
//!
//! for batch in Loader::builder(epoch.clone()).batch_size(2).threads(2).start()? {
//!     let batch = batch?;
//!     let labels: Vec<Option<u32>> = batch.samples().map(|i| epoch.label(i)).collect();
//!     println!("{} samples, {} bytes, labels {labels:?}", batch.len(), batch.bytes().len());
//! }
//! # Ok::<(), clip_loader::Error>(())
//! ```
//!
//! Make new [`TrainSamples`] for each epoch, with [`TrainOptions::epoch`].
//!
//! # Train on several streams
//!
//! ```
//! # use clip_loader::{Crop, Loader, Split, TrainOptions, TrainSamples, View};
//! # use clipshard::Dataset;
//! # use std::sync::Arc;
//! # mod synthetic { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/synthetic/mod.rs")); }
//! # let folder = synthetic::synthetic_dataset();
//! # let data = Arc::new(Dataset::open(folder.path())?);
//! // An RGB frame and ten flow frames that start with it, mirrored together.
//! let views = [View::frame("rgb").side(32).flip(true), View::stack("flow", 10).side(32).flip(true)];
//! let clips = Split::of(&data, "1", &views[1])?.train;
//! let epoch = Arc::new(TrainSamples::of_views(&data, clips, &views, TrainOptions::new())?);
//! for batch in Loader::builder(epoch).batch_size(2).start()? {
//!     let batch = batch?;
//!     let (rgb, flow) = (batch.part(0), batch.part(1));
//!     assert_eq!(rgb.len() / 3, flow.len() / 20);
//! }
//! # Ok::<(), clip_loader::Error>(())
//! ```
//!
//! # Test on stacks of optical flow
//!
//! ```
//! # use clip_loader::{Loader, Split, TestCrop, TestOptions, TestSamples, View};
//! # use clipshard::Dataset;
//! # use std::sync::Arc;
//! # mod synthetic { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/synthetic/mod.rs")); }
//! # let folder = synthetic::synthetic_dataset();
//! # let data = Arc::new(Dataset::open(folder.path())?);
//! let view = View::stack("flow", 5).side(28);
//! let split = Split::of(&data, "1", &view)?;
//!
//! // Four samples per clip. Each has three views: the left, the middle and the right of the frames.
//! let options = TestOptions::new().samples(4).crop(TestCrop::Three);
//! let test = Arc::new(TestSamples::new(&data, split.test, &view, options)?);
//! assert_eq!(test.shape(), [3, 5, 2, 28, 28, 1]); // two planes per frame: x and y
//!
//! let batches = Loader::builder(test).batch_size(8).start()?.count();
//! assert_eq!(batches, 1);
//! # Ok::<(), clip_loader::Error>(())
//! ```
//!
//! # Reproduce and resume a pass
//!
//! The order, the frames, the crops and the flips are a pure function of seed, epoch and sample
//! number. The number of threads, slots and ranks does not change them. [`Loader::state`] is two
//! numbers; store them with serde to continue a pass later.
//!
//! ```
//! # use clip_loader::{Loader, Split, TrainOptions, TrainSamples, View};
//! # use clipshard::Dataset;
//! # use std::sync::Arc;
//! # mod synthetic { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/synthetic/mod.rs")); }
//! # let folder = synthetic::synthetic_dataset();
//! # let data = Arc::new(Dataset::open(folder.path())?);
//! # let view = View::frame("rgb").side(32);
//! # let clips = Split::of(&data, "1", &view)?.train;
//! # let epoch = Arc::new(TrainSamples::new(&data, clips.clone(), &view, TrainOptions::new())?);
//! // Two ranks share the epoch. Each makes one batch of one sample.
//! let mut first = Loader::builder(epoch.clone()).batch_size(1).rank(0, 2).start()?;
//! let mut second = Loader::builder(epoch.clone()).batch_size(1).rank(1, 2).start()?;
//! first.next_batch()?;
//! second.next_batch()?;
//! let state = first.state();
//!
//! // A single process continues with the other samples of the epoch.
//! let rest = Loader::builder(epoch.clone()).batch_size(2).resume(&state)?.start()?;
//! let samples: usize = rest.map(|batch| batch.map_or(0, |batch| batch.len())).sum();
//! assert_eq!(samples, clips.len() - 2);
//! # Ok::<(), clip_loader::Error>(())
//! ```
//!
//! # Memory
//!
//! The loader holds a ring of batch slots. When you drop a batch, the loader uses its slot again.
//! If you hold all slots and ask for another batch, the loader allocates one more slot.
//! [`LoaderBuilder::memory`] sets where the memory comes from: ordinary memory ([`Heap`], the
//! default), page-locked memory for a GPU, or a buffer of another language ([`Allocate`]).
//!
//! # Damage
//!
//! A damaged record ends the pass with an error that names shard, clip and frame. With
//! [`Damage::replace`], another sample replaces the damaged one instead, and
//! [`TrainSamples::damaged`] counts it.
//!
//! # Your own samples
//!
//! Implement [`Samples`] for a type. A [`Loader`] then makes batches of it, with threads, ring,
//! ranks and state.

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
pub use samples::{Damage, Samples, Short, TestOptions, TestSamples, TrainOptions, TrainSamples, Worker};
pub use sampling::Sampling;
pub use share::State;
pub use split::{Split, SplitClip};
pub use view::{Crop, MAX_SEGMENTS, TestCrop, View};
pub use work::Work;

/// The example of the README, which must compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
