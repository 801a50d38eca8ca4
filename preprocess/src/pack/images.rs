//! Reads the image files of a clip.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use clipshard::{MAX_IMAGE_BYTES, jpeg, read_regular};

use crate::error::{Error, Result};
use crate::source::{ClipFiles, StreamFiles};

/// The bytes of a clip's image files, by stream; `None` for a stream that is not wanted.
pub(crate) struct ReadImages<'a> {
    pub streams: Vec<Option<ReadStream<'a>>>,
}

pub(crate) struct ReadStream<'a> {
    pub files: &'a StreamFiles,
    /// The bytes of each frame, or the reason why they could not be read, by plane.
    pub planes: Vec<Vec<io::Result<Vec<u8>>>>,
}

impl<'a> ReadImages<'a> {
    /// Reads the wanted streams of a clip, folder by folder and frame by frame. Files usually have
    /// this order on the disk, so a spinning disk seeks little. `chosen` maps a stream's number of
    /// frames to the frames to read.
    pub fn read(
        clip: &'a ClipFiles,
        wanted: &[bool],
        chosen: fn(u32) -> Range<u32>,
        cancel: &AtomicBool,
    ) -> Result<Self> {
        let mut streams = Vec::new();
        for (files, wanted) in clip.streams.iter().zip(wanted) {
            if !wanted {
                streams.push(None);
                continue;
            }
            let mut planes = Vec::new();
            for plane in &files.planes {
                let mut read = Vec::new();
                for frame in chosen(files.frames) {
                    if cancel.load(Ordering::Relaxed) {
                        return Err(Error::Interrupted);
                    }
                    read.push(read_file(&plane.path(frame)));
                }
                planes.push(read);
            }
            streams.push(Some(ReadStream { files, planes }));
        }
        Ok(Self { streams })
    }

    /// Returns the number of pixels of a stream's first image. Returns `None` if that image is
    /// unread or invalid.
    pub fn pixels(&self, stream: usize) -> Option<u64> {
        let first = self.streams[stream].as_ref()?.planes.first()?.first()?.as_ref().ok()?;
        let size = jpeg::check_header(first).ok()?;
        Some(u64::from(size.width) * u64::from(size.height))
    }

    /// Returns the number of bytes of all files.
    pub fn bytes(&self) -> u64 {
        let planes = self.streams.iter().flatten().flat_map(|stream| &stream.planes);
        planes.flatten().map(|read| read.as_ref().map_or(0, |bytes| bytes.len() as u64)).sum()
    }
}

/// Reads an image file. Refuses files larger than [`MAX_IMAGE_BYTES`], and fails at once for pipes
/// and other special files.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    read_regular(path, MAX_IMAGE_BYTES as u64).map_err(|error| match (error.kind(), path.metadata()) {
        (io::ErrorKind::FileTooLarge, Ok(metadata)) => {
            io::Error::other(format!("{} bytes are too large for an image", metadata.len()))
        }
        _ => error,
    })
}
