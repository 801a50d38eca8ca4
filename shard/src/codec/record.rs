//! One image in its stored form.

use super::jpeg;
use super::kinds::{Codec, Filter};
use crate::error::{Error, Result};
use crate::geometry::ImageSize;

/// One image, ready to be written.
///
/// An [`Encoder`](crate::Encoder) makes records from pixels, [`EncodedRecord::from_jpeg`] from JPEG files. The records of a
/// shard convert by `EncodedRecord::from`, so that they can be copied to another shard without decoding.
///
/// # Example
///
/// ```
/// use clipshard::{Codec, EncodedRecord};
///
/// let file = std::fs::read("tests/golden/wave.jpg").unwrap();
/// let record = EncodedRecord::from_jpeg(file.clone())?;
/// assert_eq!((record.codec(), record.size().to_string()), (Codec::Jpeg, "16x12x3".into()));
/// assert_eq!(record.bytes(), file);
/// # Ok::<(), clipshard::jpeg::JpegFault>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedRecord {
    bytes: Vec<u8>,
    size: ImageSize,
    codec: Codec,
    filter: Filter,
    crc32: u32,
}

impl EncodedRecord {
    /// Makes a record of bytes that some other encoder compressed.
    ///
    /// The bytes are not decoded: that they hold an image of this size is up to the caller. A reader reports a record that
    /// holds something else as damaged.
    pub fn from_stored(bytes: Vec<u8>, size: ImageSize, codec: Codec, filter: Filter) -> Self {
        let crc32 = crc32fast::hash(&bytes);
        Self { bytes, size, codec, filter, crc32 }
    }

    /// Makes a record of a JPEG file, its bytes untouched. Checks its markers, size, components and end, but not its pixels.
    pub fn from_jpeg(bytes: Vec<u8>) -> Result<Self, jpeg::JpegFault> {
        let size = jpeg::check_header(&bytes)?;
        Ok(Self::from_stored(bytes, size, Codec::Jpeg, Filter::None))
    }

    /// Changes the number of channels that a JPEG record decodes to: 1 gives luma, 3 gives RGB, whatever the file holds.
    ///
    /// Returns [`Error::Usage`] for other codecs and other numbers.
    pub fn with_channels(mut self, channels: u8) -> Result<Self> {
        if self.codec != Codec::Jpeg || !matches!(channels, 1 | 3) {
            return Err(Error::Usage(format!(
                "a {} record of {} cannot have {channels} channels",
                self.codec, self.size
            )));
        }
        self.size.channels = channels;
        Ok(self)
    }

    /// Returns the stored bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the size of the decoded image.
    pub fn size(&self) -> ImageSize {
        self.size
    }

    /// Returns the codec of the bytes.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Returns what was done to the pixels before compression.
    pub fn filter(&self) -> Filter {
        self.filter
    }

    /// Returns the CRC-32 of the stored bytes.
    pub fn crc32(&self) -> u32 {
        self.crc32
    }
}
