//! What to extract, and what was extracted.

use std::path::PathBuf;

use crate::error::Skipped;
use crate::pack::DatasetKind;
use crate::video::VideoOptions;

/// What to extract.
#[derive(Debug, Clone)]
pub struct ExtractOptions {
    /// Folder of the videos.
    pub videos: PathBuf,
    /// The tree to make.
    pub out: PathBuf,
    /// Whose lists these are.
    pub dataset: DatasetKind,
    /// Folder of the lists, or a CSV file.
    pub lists: Option<PathBuf>,
    /// These classes only.
    pub classes: Option<Vec<String>>,
    /// Size, quality and flow.
    pub video: VideoOptions,
    /// Extract the rest of videos that are not all whole.
    pub keep_going: bool,
    /// Go on with a tree that is there.
    pub resume: bool,
}

/// What was extracted.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ExtractReport {
    /// Clips that were made.
    pub clips: u64,
    /// Clips that were there.
    pub kept: u64,
    /// Files that were written.
    pub images: u64,
    /// Their size.
    pub bytes: u64,
    /// Clips left out, by id.
    pub skipped: Vec<Skipped>,
    /// Things worth a word that are no errors.
    pub notes: Vec<String>,
}
