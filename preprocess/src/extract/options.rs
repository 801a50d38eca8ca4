//! Options and result of an extraction.

use std::path::PathBuf;

use crate::error::{Skipped, SomeClasses};
use crate::pack::DatasetKind;
use crate::video::VideoOptions;

/// Options of [`extract`](super::extract()).
#[derive(Debug, Clone)]
pub struct ExtractOptions {
    /// Folder of the videos.
    pub videos: PathBuf,
    /// The tree to make.
    pub out: PathBuf,
    /// The kind of dataset, which decides how split lists are read.
    pub dataset: DatasetKind,
    /// Folder of the official split lists, or the CSV file of a custom dataset.
    pub lists: Option<PathBuf>,
    /// Classes to extract; `None` extracts all.
    pub classes: Option<Vec<String>>,
    /// Size, quality and flow.
    pub video: VideoOptions,
    /// Whether to extract the remaining videos if some are missing or damaged.
    pub keep_going: bool,
    /// Whether to continue an existing tree.
    pub resume: bool,
}

/// The result of an extraction.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ExtractReport {
    /// Number of clips that were extracted.
    pub clips: u64,
    /// Number of clips that already existed.
    pub kept: u64,
    /// Number of files that were written.
    pub images: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Skipped clips, sorted by id.
    pub skipped: Vec<Skipped>,
    /// The classes with clips, if the folder lacks all clips of others.
    pub some_classes: Option<SomeClasses>,
    /// Remarks that are no errors.
    pub notes: Vec<String>,
}
