//! An encoded clip.

use clipshard::{Attributes, EncodedRecord};

/// The records of a clip, ready to be written.
#[derive(Debug, Default)]
pub(crate) struct EncodedClip {
    /// The records of each stream; `None` for a stream that was not read. The list is empty if the
    /// clip was only checked.
    pub streams: Vec<Option<Vec<EncodedRecord>>>,
    /// Number of bytes of the source files.
    pub bytes_in: u64,
    /// Number of source images, or of images that were made from a video.
    pub images: u64,
    /// Remarks about a video.
    pub notes: Vec<String>,
    /// Attributes that were measured on a video.
    pub measured: Attributes,
    /// Whether the number of channels of some image differs from its stream's (colour flow, grey
    /// RGB).
    pub odd_channels: bool,
    /// Whether the EXIF data of some image ask viewers to rotate or mirror it.
    pub turned: bool,
}

impl EncodedClip {
    /// Returns the number of bytes of all records.
    pub fn bytes(&self) -> u64 {
        self.streams.iter().flatten().flatten().map(|record| record.bytes().len() as u64).sum()
    }
}
