//! The result of a scan: the files of each listed clip.

use std::path::PathBuf;
use std::sync::Arc;

use super::numbering::FrameName;
use crate::clip::Absence;
use crate::error::{Result, Skipped};
use crate::quantity::counted;
use crate::stream::StreamKind;
use crate::video::{VideoFile, frames_of};

/// The result of a scan, with one entry per listed clip in the same order.
#[derive(Debug)]
#[non_exhaustive]
pub struct Scan {
    /// The listed clips.
    pub clips: Vec<ScannedClip>,
    /// Number of clip folders or videos that no list names.
    pub unlisted: usize,
    /// Remarks about the numbering, the frame counts and skipped entries.
    pub notes: Vec<String>,
    /// Existing clips whose names cannot become clip ids, or that cannot be read.
    pub strangers: Vec<Skipped>,
}

/// The files of a listed clip.
#[derive(Debug)]
#[non_exhaustive]
pub struct ScannedClip {
    /// The files, or the reason why the clip cannot be packed.
    pub files: Result<FoundClip, Absence>,
    /// Number of frames of each stream for the plan, derived from the highest frame number. It is
    /// also set for clips that cannot be packed, and 0 if nothing is known.
    pub nominal_frames: Vec<u32>,
}

impl Scan {
    /// Returns existing clips that cannot be packed under their names. If `lists` is set, lists name
    /// the wanted clips, so the others are only counted in a note and none is returned.
    pub(crate) fn faults_of_strangers(&mut self, lists: bool) -> Vec<Skipped> {
        let strangers = std::mem::take(&mut self.strangers);
        if let (true, Some(first)) = (lists, strangers.first()) {
            self.notes.push(format!(
                "skipped {} that no list can contain, such as {}",
                counted(strangers.len() as u64, "clip", "clips"),
                first.reason
            ));
            return Vec::new();
        }
        strangers
    }
}

/// The source of a clip.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum FoundClip {
    /// Its image files.
    Images(ClipFiles),
    /// Its video.
    Video(VideoFile),
}

impl FoundClip {
    /// Returns the bytes of the video, or `None` for images.
    pub(crate) fn video_bytes(&self) -> Option<u64> {
        match self {
            Self::Images(_) => None,
            Self::Video(file) => Some(file.bytes),
        }
    }

    /// Returns the path of the video, or of the first image. No two clips share it.
    pub(super) fn place(&self) -> Option<PathBuf> {
        match self {
            Self::Images(files) => files.streams.first()?.planes.first().map(|plane| plane.path(0)),
            Self::Video(file) => Some(file.path.clone()),
        }
    }

    /// Returns the number of frames of one stream. For a video, it is derived from the container.
    pub fn frames(&self, streams: &[StreamKind], stream: usize) -> u32 {
        match self {
            Self::Images(files) => files.streams[stream].frames,
            Self::Video(file) => frames_of(streams[stream], file.frames),
        }
    }
}

/// The image files of a clip.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClipFiles {
    /// The streams of the tree that was scanned, in its order.
    pub streams: Vec<StreamFiles>,
}

/// The image files of one stream of a clip.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StreamFiles {
    /// The stream.
    pub kind: StreamKind,
    /// Number of frames.
    pub frames: u32,
    /// The planes: RGB, or x and y.
    pub planes: Vec<PlaneFiles>,
}

/// The numbered files of one plane.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PlaneFiles {
    /// Folder of the files.
    pub folder: PathBuf,
    /// Pattern of the file names.
    pub name: Arc<FrameName>,
    /// Number of the first file.
    pub first: u32,
}

impl PlaneFiles {
    /// Returns the path of a frame, counted from 0.
    pub fn path(&self, frame: u32) -> PathBuf {
        self.folder.join(self.name.file(self.first + frame))
    }
}
