//! The error of work on one clip.

use std::path::PathBuf;

use super::failure::Error;
use crate::clip::Absence;

/// The reason why work on a clip ended.
#[derive(Debug)]
pub(crate) enum ClipError {
    /// The clip is missing, damaged or too short. Work on other clips continues.
    Clip(Absence),
    /// An error that ends all work, such as a full disk or an interruption.
    Work(Error),
}

impl ClipError {
    /// Creates a fault of the clip. The caller adds the file with [`ClipError::at`].
    pub fn fault(what: impl Into<String>) -> Self {
        Self::Clip(Absence::fault(what))
    }

    /// Adds the file, unless there is one already.
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
