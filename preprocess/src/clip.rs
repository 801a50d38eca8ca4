//! What a clip needs to be packed, and why one is not.

use std::fmt;
use std::path::{Path, PathBuf};

/// A clip needs this many flow frames (or RGB frames less one): a temporal sample is a stack of ten.
pub const MIN_FLOW_FRAMES: u32 = 10;

/// Why a clip is not packed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Absence {
    /// It is missing or damaged: the source is not whole.
    Fault(Fault),
    /// It is whole but shorter than [`MIN_FLOW_FRAMES`].
    Short(Short),
}

/// What is wrong with a clip.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The file that is at fault, if one is.
    pub file: Option<PathBuf>,
    /// What is wrong, and what to do about it.
    pub what: String,
}

/// How short a clip is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Short {
    /// Its video, if it is one.
    pub file: Option<PathBuf>,
    /// Frames that are there: of flow in a tree, of RGB in a video.
    pub frames: u32,
}

impl Absence {
    /// What is wrong, where no single file is at fault.
    pub(crate) fn fault(what: impl Into<String>) -> Self {
        Self::Fault(Fault { file: None, what: what.into() })
    }

    /// What is wrong with a file.
    pub(crate) fn of_file(file: &Path, what: impl Into<String>) -> Self {
        Self::Fault(Fault { file: Some(file.to_owned()), what: what.into() })
    }

    /// A tree has so few flow frames of it.
    pub(crate) fn short(frames: u32) -> Self {
        Self::Short(Short { file: None, frames })
    }

    /// A video has so few frames.
    pub(crate) fn short_video(file: &Path, frames: u32) -> Self {
        Self::Short(Short { file: Some(file.to_owned()), frames })
    }

    /// Names the file that is at fault, unless one is named.
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
                write!(f, "too short: {frames} flow frames, {MIN_FLOW_FRAMES} are needed")
            }
            Self::Short(Short { frames, .. }) => {
                write!(f, "too short: {frames} frames, {} are needed", MIN_FLOW_FRAMES + 1)
            }
        }
    }
}
