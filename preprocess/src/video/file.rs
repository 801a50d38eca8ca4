//! A video file that was probed.

use std::path::PathBuf;

use crate::stream::StreamKind;

/// One video of a clip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoFile {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Frames, as many as its packets; a few of them may be hidden, empty or doubled.
    pub frames: u32,
    /// Frames as its header says, where that has a count.
    pub header_frames: Option<u32>,
    /// Flow frames of the published frame tree of UCF101, one less than its RGB frames; `None` for other clips.
    pub published_flow_frames: Option<u32>,
}

/// Frames of a stream of a video with so many frames.
pub(crate) fn frames_of(kind: StreamKind, frames: u32) -> u32 {
    match kind {
        StreamKind::Rgb => frames,
        StreamKind::Flow => frames.saturating_sub(1),
    }
}
