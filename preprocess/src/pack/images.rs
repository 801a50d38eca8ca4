//! The image files of a clip, read as they are.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use clipshard::{MAX_IMAGE_BYTES, jpeg, read_regular};

use crate::error::{Error, Result};
use crate::source::{ClipFiles, StreamFiles};

/// The files of a clip as they were read; `None` for a stream that is not wanted.
pub(crate) struct ReadImages<'a> {
    pub streams: Vec<Option<ReadStream<'a>>>,
}

pub(crate) struct ReadStream<'a> {
    pub files: &'a StreamFiles,
    /// For each plane the bytes of each frame, or why they could not be read.
    pub planes: Vec<Vec<io::Result<Vec<u8>>>>,
}

impl<'a> ReadImages<'a> {
    /// Reads the wanted streams of a clip, folder after folder and frame after frame, as they were once written: on a
    /// spinning disk that is the order in which they lie. `chosen` are the frames of a stream that has so many.
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

    /// Pixels of the first image of a stream, if that was read and is one.
    pub fn pixels(&self, stream: usize) -> Option<u64> {
        let first = self.streams[stream].as_ref()?.planes.first()?.first()?.as_ref().ok()?;
        let size = jpeg::check_header(first).ok()?;
        Some(u64::from(size.width) * u64::from(size.height))
    }

    /// Bytes of the files.
    pub fn bytes(&self) -> u64 {
        let planes = self.streams.iter().flatten().flat_map(|stream| &stream.planes);
        planes.flatten().map(|read| read.as_ref().map_or(0, |bytes| bytes.len() as u64)).sum()
    }
}

/// Reads a file that is no larger than an image can be. Anything but a regular file is an error and never waited for.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    read_regular(path, MAX_IMAGE_BYTES as u64).map_err(|error| match (error.kind(), path.metadata()) {
        (io::ErrorKind::FileTooLarge, Ok(metadata)) => {
            io::Error::other(format!("{} bytes are too many for an image", metadata.len()))
        }
        _ => error,
    })
}
