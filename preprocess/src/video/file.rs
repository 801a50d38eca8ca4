//! A video file and its properties.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clipshard::Attributes;

use super::attributes::measured;
use super::probe::{Probed, probe};
use super::timing::Timing;
use crate::clip::{Absence, MIN_FLOW_FRAMES};
use crate::error::ClipError;
use crate::quantity::counted;
use crate::stream::StreamKind;

/// The video of a clip.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VideoFile {
    /// Path of the file.
    pub path: PathBuf,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Number of frames, counted as packets. A few of them may be hidden, empty or duplicated.
    pub frames: u32,
    /// Number of frames in the header, if it has one.
    pub header_frames: Option<u32>,
    /// Number of flow frames in the published frame tree of UCF101, one less than its RGB frames.
    /// `None` for clips of other datasets.
    pub published_flow_frames: Option<u32>,
    /// The timestamps, if the file has some.
    pub(super) timing: Option<Timing>,
}

impl VideoFile {
    /// Reads the properties of a video file without decoding it.
    pub(crate) fn probe(
        path: &Path,
        published_flow_frames: Option<u32>,
        cancel: &AtomicBool,
    ) -> Result<Self, ClipError> {
        let Probed { packets, header_frames, timing } =
            probe(path, cancel).map_err(|error| error.at(|| path.to_owned()))?;
        let bytes = path.metadata().map_or(0, |metadata| metadata.len());
        Ok(Self { path: path.to_owned(), bytes, frames: packets, header_frames, published_flow_frames, timing })
    }

    /// Returns the attributes of a clip with `frames` decoded frames. `size` is their width and
    /// height, if it is known.
    pub(crate) fn attributes(&self, frames: u32, size: Option<(u16, u16)>) -> Attributes {
        measured(self.timing.as_ref(), frames, size)
    }

    /// Returns an error if the video has too few frames.
    pub(crate) fn check(&self) -> Result<(), Absence> {
        let Self { ref path, frames, header_frames, .. } = *self;
        if frames == 0 || frames <= MIN_FLOW_FRAMES && header_frames.is_some_and(|expected| expected > frames + 1) {
            let but = header_frames.map_or_else(String::new, |expected| format!(", but its header says {expected}"));
            return Err(Absence::of_file(
                path,
                format!("it has {}{but}; get the file again", counted(frames.into(), "frame", "frames")),
            ));
        }
        if frames <= MIN_FLOW_FRAMES { Err(Absence::short_video(path, frames)) } else { Ok(()) }
    }
}

/// Returns the number of frames of a stream, for a video with `frames` frames.
pub(crate) fn frames_of(kind: StreamKind, frames: u32) -> u32 {
    match kind {
        StreamKind::Rgb => frames,
        StreamKind::Flow => frames.saturating_sub(1),
    }
}
