//! What a scan of a source finds: the files of each listed clip.

use std::path::PathBuf;
use std::sync::Arc;

use super::numbering::FrameName;
use crate::clip::Absence;
use crate::error::{Result, Skipped};
use crate::stream::StreamKind;
use crate::video::{VideoFile, frames_of};

/// What a scan found: one entry for each clip that was asked for, in the same order.
#[derive(Debug)]
#[non_exhaustive]
pub struct Scan {
    /// One for each listed clip.
    pub clips: Vec<ScannedClip>,
    /// Clip folders that no list names.
    pub unlisted: usize,
    /// What is worth a word about the numbering, the counts, and what was skipped.
    pub notes: Vec<String>,
    /// Clips that are there and cannot be packed under their names.
    pub strangers: Vec<Skipped>,
}

/// One listed clip as the tree has it.
#[derive(Debug)]
#[non_exhaustive]
pub struct ScannedClip {
    /// Its files, or why it cannot be packed.
    pub files: Result<FoundClip, Absence>,
    /// Frames of each stream for the plan, also of a clip that cannot be packed: as many as the highest number says.
    pub nominal_frames: Vec<u32>,
}

impl Scan {
    /// What is wrong with the tree besides its listed clips: clips that no name can be made of, where no `lists` say which are
    /// asked for. With lists they are strangers, which a note counts.
    pub(crate) fn faults_of_strangers(&mut self, lists: bool) -> Vec<Skipped> {
        let strangers = std::mem::take(&mut self.strangers);
        if let (true, Some(first)) = (lists, strangers.first()) {
            self.notes.push(format!("{} clips cannot be in any list, such as {}", strangers.len(), first.reason));
            return Vec::new();
        }
        strangers
    }
}

/// What a clip is made from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum FoundClip {
    /// Files of its images.
    Images(ClipFiles),
    /// A video.
    Video(VideoFile),
}

impl FoundClip {
    /// Size of the video; `None` for images.
    pub(crate) fn video_bytes(&self) -> Option<u64> {
        match self {
            Self::Images(_) => None,
            Self::Video(file) => Some(file.bytes),
        }
    }

    /// The video, or the folder and the name of the first images: what no two clips share.
    pub(super) fn place(&self) -> Option<PathBuf> {
        match self {
            Self::Images(files) => files.streams.first()?.planes.first().map(|plane| plane.path(0)),
            Self::Video(file) => Some(file.path.clone()),
        }
    }

    /// Frames of one of the clip's streams; of a video as the container says.
    pub fn frames(&self, streams: &[StreamKind], stream: usize) -> u32 {
        match self {
            Self::Images(files) => files.streams[stream].frames,
            Self::Video(file) => frames_of(streams[stream], file.frames),
        }
    }
}

/// The images of one clip.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClipFiles {
    /// One for each of `Tree::streams`.
    pub streams: Vec<StreamFiles>,
}

/// The images of one stream of one clip.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StreamFiles {
    /// Which stream.
    pub kind: StreamKind,
    /// Frames.
    pub frames: u32,
    /// One for each plane: RGB, or x and y.
    pub planes: Vec<PlaneFiles>,
}

/// The numbered files of one plane.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PlaneFiles {
    /// Their folder.
    pub folder: PathBuf,
    /// How they are called.
    pub name: Arc<FrameName>,
    /// Number of the first.
    pub first: u32,
}

impl PlaneFiles {
    /// The file of a frame, counted from 0.
    pub fn path(&self, frame: u32) -> PathBuf {
        self.folder.join(self.name.file(self.first + frame))
    }
}
