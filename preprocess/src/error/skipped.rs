//! Clips that are left out, and trees that lack clips.

use std::fmt;

use super::problem::Names;
use super::setting::Setting;
use crate::escape::escape;

/// A clip that is left out of the data set, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Skipped {
    /// Canonical clip id, e.g. `v_Archery_g01_c03`.
    pub clip: String,
    /// The reason in words, with the file where there is one.
    pub reason: String,
}

/// The clips that keep a tree from being whole.
#[derive(Debug)]
#[non_exhaustive]
pub struct NotWhole {
    /// Every damaged or missing clip, in order of ids.
    pub faults: Vec<Skipped>,
    /// Number of clips that the lists ask for.
    pub asked: usize,
    /// The tree or the folder of videos, as the user knows it.
    pub tree: String,
}

/// How many clips an error names before it only counts.
const NAMED: usize = 10;

impl NotWhole {
    pub(crate) fn new(faults: Vec<Skipped>, asked: usize, tree: &str) -> Self {
        Self { faults, asked, tree: tree.to_owned() }
    }

    /// Writes the message, which has lines of its own; all names in it are escaped.
    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>, names: Names<'_>) -> fmt::Result {
        let tree = escape(&self.tree);
        write!(f, "{tree} is not whole: {} of {} clips cannot be packed", self.faults.len(), self.asked)?;
        for fault in self.faults.iter().take(NAMED) {
            write!(f, "\n  {}: {}", escape(&fault.clip), escape(&fault.reason))?;
        }
        if self.faults.len() > NAMED {
            write!(f, "\n  ... and {} more", self.faults.len() - NAMED)?;
        }
        write!(f, "\nmend them, or pack the rest with {}", names(Setting::KeepGoing))
    }
}
