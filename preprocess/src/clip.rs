//! Reasons why a clip is not packed.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::quantity::counted;

/// Smallest number of flow frames of a clip: a temporal sample is a stack of ten. A clip needs one more RGB frame.
pub const MIN_FLOW_FRAMES: u32 = 10;

/// The reason why a clip is not packed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Absence {
    /// The clip is missing or damaged.
    Fault(Fault),
    /// The clip is undamaged, but has fewer than [`MIN_FLOW_FRAMES`] flow frames.
    Short(Short),
}

/// A fault of a clip.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The damaged file, if a single one is damaged.
    pub file: Option<PathBuf>,
    /// A description of the fault, with its cure.
    pub what: String,
    /// Whether the source has nothing with the clip's name.
    pub is_missing: bool,
}

/// The length of a clip that is too short.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Short {
    /// The video, if the clip is one.
    pub file: Option<PathBuf>,
    /// Number of flow frames in a tree, or of RGB frames in a video.
    pub frames: u32,
}

impl Absence {
    /// Creates a fault without a file.
    pub(crate) fn fault(what: impl Into<String>) -> Self {
        Self::Fault(Fault { file: None, what: what.into(), is_missing: false })
    }

    /// Creates the fault of a clip without any file or folder in the source.
    pub(crate) fn missing(what: impl Into<String>) -> Self {
        Self::Fault(Fault { file: None, what: what.into(), is_missing: true })
    }

    /// Creates a fault of a file.
    pub(crate) fn of_file(file: &Path, what: impl Into<String>) -> Self {
        Self::Fault(Fault { file: Some(file.to_owned()), what: what.into(), is_missing: false })
    }

    /// Creates the reason for a clip in a tree with this number of flow frames.
    pub(crate) fn short(frames: u32) -> Self {
        Self::Short(Short { file: None, frames })
    }

    /// Creates the reason for a video with this number of frames.
    pub(crate) fn short_video(file: &Path, frames: u32) -> Self {
        Self::Short(Short { file: Some(file.to_owned()), frames })
    }

    /// Returns whether the source has nothing with the clip's name.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Fault(Fault { is_missing: true, .. }))
    }

    /// Adds the file, unless there is one already.
    pub(crate) fn at(mut self, path: impl FnOnce() -> PathBuf) -> Self {
        let (Self::Fault(Fault { file, .. }) | Self::Short(Short { file, .. })) = &mut self;
        file.get_or_insert_with(path);
        self
    }
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Fault(Fault { file, .. }) | Self::Short(Short { file, .. })) = self;
        if let Some(file) = file {
            write!(f, "{}: ", file.display())?;
        }
        match self {
            Self::Fault(fault) => f.write_str(&fault.what),
            Self::Short(Short { file: None, frames }) => {
                write!(
                    f,
                    "too short: it has {}, but needs at least {MIN_FLOW_FRAMES}",
                    counted((*frames).into(), "flow frame", "flow frames")
                )
            }
            Self::Short(Short { frames, .. }) => {
                write!(
                    f,
                    "too short: it has {}, but needs at least {}",
                    counted((*frames).into(), "frame", "frames"),
                    MIN_FLOW_FRAMES + 1
                )
            }
        }
    }
}
