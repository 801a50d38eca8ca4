//! What can go wrong between a shard and a batch.

use clipshard::ImageSize;
use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The data set cannot be read, or a record is damaged ([`Error::is_damage`] tells which).
    #[error(transparent)]
    Shard(#[from] clipshard::Error),
    /// The data set has no split of this name.
    #[error("{} has no split {split}; it has {}", .dir.display(), .known.join(", "))]
    NoSplit {
        /// Folder of the data set.
        dir: PathBuf,
        /// The name that was asked for.
        split: String,
        /// The splits that exist.
        known: Vec<String>,
    },
    /// No training clip belongs to this group.
    #[error("no training clip is of group {group}; {}", groups(.known))]
    NoGroup {
        /// The group that was asked for.
        group: String,
        /// The groups that exist, sorted.
        known: Vec<String>,
    },
    /// All training clips belong to the groups that are held out.
    #[error("the groups that are held out leave no clip to train on")]
    NothingToTrain,
    /// A clip has fewer frames than a view needs.
    #[error("clip {clip} has {frames} frames, and a view needs {needed}")]
    TooShort {
        /// Id of the clip.
        clip: String,
        /// Its frames in the view's stream.
        frames: u32,
        /// Frames of a view.
        needed: u32,
    },
    /// A frame is too small for a random crop.
    #[error("clip {clip}: frames of {}x{} are too small to crop {side}x{side}", .size.width, .size.height)]
    TooSmall {
        /// Id of the clip.
        clip: String,
        /// Size of the stored frame.
        size: ImageSize,
        /// Height and width of the crop in pixels.
        side: usize,
    },
    /// An option has a value that it must not have.
    #[error("{option} {value} is not {allowed}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// Its value.
        value: String,
        /// The values that are allowed, in words.
        allowed: String,
    },
    /// An image could not be resized.
    #[error("cannot resize an image of {}x{} to {side}x{side}: {fault}", .size.width, .size.height)]
    Resize {
        /// Size of the image.
        size: ImageSize,
        /// Height and width of the result in pixels.
        side: usize,
        /// What the library for resizing reports.
        fault: String,
    },
    /// A sample is damaged, and so is everything that could replace it.
    #[error("a damaged sample cannot be replaced, because the samples after it are damaged too")]
    NothingToReplace(#[source] Box<Self>),
    /// There is not enough memory for a slot of the ring.
    #[error("cannot allocate {bytes} bytes for a batch: {fault}")]
    Memory {
        /// Bytes of one batch.
        bytes: usize,
        /// What the allocator reports.
        fault: String,
    },
    /// The system starts no more threads.
    #[error("cannot start a thread that decodes")]
    Thread(#[source] std::io::Error),
    /// A thread panicked while it decoded. This is a defect of this crate or of the [`Samples`](crate::Samples).
    #[error("a thread that decodes panicked: {message}")]
    Panicked {
        /// The message of the panic.
        message: String,
    },
    /// The loader has ended after an earlier error.
    #[error("the loader has stopped after an error")]
    Stopped,
    /// A state does not belong to these samples.
    #[error("cannot resume: the state is of other samples (another seed, epoch, view or list of clips)")]
    OtherSamples,
    /// A state lies behind the end of the samples.
    #[error("cannot resume: the state has seen {seen} samples, and there are {samples}")]
    BehindTheEnd {
        /// Samples that the state has seen.
        seen: u64,
        /// Samples that there are.
        samples: u64,
    },
    /// An error of [`Samples`](crate::Samples) or of an [allocator](crate::Allocate) that the caller implements.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Whether the error is that stored bytes are damaged: a record that does not fit its checksum or cannot be decoded, or a
    /// damaged index of a clip.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Shard(error) if error.is_clip_damage())
    }

    /// Wraps an error of the caller's own code.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// An option with a wrong value.
    #[allow(clippy::needless_pass_by_value, reason = "numbers")]
    pub(crate) fn option(option: &'static str, value: impl std::fmt::Display, allowed: impl Into<String>) -> Self {
        Self::Option { option, value: value.to_string(), allowed: allowed.into() }
    }
}

fn groups(known: &[String]) -> String {
    if known.is_empty() { "no clip has a group".into() } else { format!("the groups are {}", known.join(", ")) }
}
