//! Skipped clips, and sources with missing or damaged clips.

use std::fmt;

use super::problem::Names;
use super::setting::Setting;
use crate::escape::escape;

/// A clip that is not in the dataset, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Skipped {
    /// Id of the clip, such as `v_Archery_g01_c03`.
    pub clip: String,
    /// The reason, with the file if there is one.
    pub reason: String,
}

/// The missing and damaged clips of a source.
#[derive(Debug)]
#[non_exhaustive]
pub struct NotWhole {
    /// Every missing or damaged clip, in order of ids.
    pub faults: Vec<Skipped>,
    /// Number of clips that the lists name.
    pub asked: usize,
    /// The tree or the folder of videos, as the user named it.
    pub tree: String,
}

/// Number of clips that an error names. More are only counted.
const NAMED: usize = 10;

impl NotWhole {
    pub(crate) fn new(faults: Vec<Skipped>, asked: usize, tree: &str) -> Self {
        Self { faults, asked, tree: tree.to_owned() }
    }

    /// Writes the message, which has several lines. All names in it are escaped.
    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>, names: Names<'_>) -> fmt::Result {
        let tree = escape(&self.tree);
        write!(f, "{} of {} clips in {tree} cannot be used:", self.faults.len(), self.asked)?;
        for fault in self.faults.iter().take(NAMED) {
            write!(f, "\n  {}: {}", escape(&fault.clip), escape(&fault.reason))?;
        }
        if self.faults.len() > NAMED {
            write!(f, "\n  ... and {} more", self.faults.len() - NAMED)?;
        }
        write!(f, "\nFix them, or skip them with {}", names(Setting::KeepGoing))
    }
}
