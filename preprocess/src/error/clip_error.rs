//! Why work on a clip ended: the clip is at fault, or it is not.

use std::path::PathBuf;

use super::failure::Error;
use crate::clip::Absence;

/// Why work on a clip ended.
#[derive(Debug)]
pub(crate) enum ClipError {
    /// The clip is at fault. Work on others goes on.
    Clip(Absence),
    /// The machine or the user ended all work.
    Work(Error),
}

impl ClipError {
    /// What is wrong with the clip, in a file that the caller names ([`ClipError::at`]).
    pub fn fault(what: impl Into<String>) -> Self {
        Self::Clip(Absence::fault(what))
    }

    /// Names the file that is at fault, unless one is named.
    pub fn at(self, path: impl FnOnce() -> PathBuf) -> Self {
        match self {
            Self::Clip(absence) => Self::Clip(absence.at(path)),
            work @ Self::Work(_) => work,
        }
    }
}

impl From<Error> for ClipError {
    fn from(error: Error) -> Self {
        Self::Work(error)
    }
}

impl From<Absence> for ClipError {
    fn from(absence: Absence) -> Self {
        Self::Clip(absence)
    }
}
