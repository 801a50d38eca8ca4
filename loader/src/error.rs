//! The errors of this crate.

use clipshard::ImageSize;
use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The dataset cannot be read, or a record is damaged. [`Error::is_damage`] tells them
    /// apart.
    #[error(transparent)]
    Shard(#[from] clipshard::Error),
    /// The dataset has no split of this name.
    #[error("{} has no split {split}; it has {}", .dir.display(), .known.join(", "))]
    NoSplit {
        /// Folder of the dataset.
        dir: PathBuf,
        /// Name of the missing split.
        split: String,
        /// Names of the existing splits.
        known: Vec<String>,
    },
    /// No training clip belongs to this group.
    #[error("no training clip belongs to group {group}; {}", groups(.known))]
    NoGroup {
        /// Name of the missing group.
        group: String,
        /// Names of the existing groups, sorted.
        known: Vec<String>,
    },
    /// All training clips belong to the groups to hold out.
    #[error("all training clips belong to the groups to hold out; hold out fewer groups")]
    NothingToTrain,
    /// A training clip has no group, so it may show the same people as a val clip.
    #[error("{clips} of {all} training clips have no group, for example {clip}; pack the dataset with groups")]
    WithoutGroup {
        /// Id of the first training clip without a group.
        clip: String,
        /// Number of training clips without a group.
        clips: usize,
        /// Number of training clips.
        all: usize,
    },
    /// No group of training clips can be held out.
    #[error(
        "no group can be held out for a share of {share}: each class has one group, or its groups are too large; use \
         a larger share"
    )]
    NothingHeldOut {
        /// Share of the training clips that should be held out.
        share: f64,
    },
    /// The records of a stream are arrays.
    #[error(
        "{}: the records of stream {stream} are {form}, but a loader needs images; use another stream",
        .dir.display()
    )]
    NotImages {
        /// Folder of the dataset.
        dir: PathBuf,
        /// Name of the stream.
        stream: String,
        /// Form of the records, such as `f32 arrays [n, 17, 3]`.
        form: String,
    },
    /// A clip has fewer frames than a view needs.
    #[error("clip {clip} has {frames} frames, but a view needs {needed}")]
    TooShort {
        /// Id of the clip.
        clip: String,
        /// Number of frames of the clip.
        frames: u32,
        /// Number of frames that a view needs.
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
    /// An option has a wrong value.
    #[error("{option} {value} is not {allowed}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// Value of the option.
        value: String,
        /// The allowed values, in words.
        allowed: String,
    },
    /// An image could not be resized.
    #[error("cannot resize an image of {}x{} to {side}x{side}: {fault}", .size.width, .size.height)]
    Resize {
        /// Size of the image.
        size: ImageSize,
        /// Height and width of the result in pixels.
        side: usize,
        /// Error message of the resizing library.
        fault: String,
    },
    /// A sample is damaged, and so are all samples that could replace it. The source is the first
    /// damage.
    #[error("cannot replace a damaged sample: the samples that could replace it are damaged too")]
    NothingToReplace(#[source] Box<Self>),
    /// Memory is not sufficient for a slot of the ring.
    #[error("cannot allocate {bytes} bytes for a batch: {fault}")]
    Memory {
        /// Number of bytes of one batch.
        bytes: usize,
        /// Error message of the allocator.
        fault: String,
    },
    /// The system cannot start another thread.
    #[error("cannot start a thread that decodes")]
    Thread(#[source] std::io::Error),
    /// A thread panicked while it decoded. This is a defect of this crate or of the
    /// [`Samples`](crate::Samples).
    #[error("a thread that decodes panicked: {message}")]
    Panicked {
        /// Message of the panic.
        message: String,
    },
    /// The loader has stopped after an error that it has already returned.
    #[error("the loader has stopped after an error")]
    Stopped,
    /// A state does not belong to these samples.
    #[error("cannot resume: the state belongs to other samples (another seed, epoch, view or list of clips)")]
    OtherSamples,
    /// A state has seen more samples than there are.
    #[error("cannot resume: the state has seen {seen} samples, but there are only {samples}")]
    BehindTheEnd {
        /// Number of samples that the state has seen.
        seen: u64,
        /// Number of existing samples.
        samples: u64,
    },
    /// An error of [`Samples`](crate::Samples) or of an [allocator](crate::Allocate) that the
    /// caller implements.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Returns whether stored bytes are damaged: a record fails its checksum or cannot be decoded,
    /// or the index of a clip is damaged.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Shard(error) if error.is_clip_damage())
    }

    /// Wraps an error of the caller's own code.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// Makes the error of an option with a wrong value.
    #[allow(clippy::needless_pass_by_value, reason = "values are numbers")]
    pub(crate) fn option(option: &'static str, value: impl std::fmt::Display, allowed: impl Into<String>) -> Self {
        Self::Option { option, value: value.to_string(), allowed: allowed.into() }
    }
}

/// Number of groups that a message names. Further ones are only counted.
const NAMED: usize = 30;

fn groups(known: &[String]) -> String {
    let more = known.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let named = known.get(..NAMED).unwrap_or(known).join(", ");
    if known.is_empty() { "no clip has a group".into() } else { format!("the groups are {named}{more}") }
}
