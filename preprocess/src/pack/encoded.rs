//! A clip as records, ready to be written.

use clipshard::EncodedRecord;

/// A clip ready to be written.
#[derive(Debug, Default)]
pub(crate) struct EncodedClip {
    /// For each stream that was read the records of all frames. Empty where the clip was only checked.
    pub streams: Vec<Option<Vec<EncodedRecord>>>,
    /// Bytes of the source files.
    pub bytes_in: u64,
    /// Source files, or images that were made of a video.
    pub images: u64,
    /// Frames that were decoded of a video.
    pub frames: u64,
    /// What is worth a word of a video.
    pub notes: Vec<String>,
    /// Whether some image had another number of channels than its stream has (colour flow, grey RGB).
    pub odd_channels: bool,
    /// Whether some image says that it is to be shown turned or mirrored.
    pub turned: bool,
}

impl EncodedClip {
    /// Bytes of all records.
    pub fn bytes(&self) -> u64 {
        self.streams.iter().flatten().flatten().map(|record| record.bytes().len() as u64).sum()
    }
}
