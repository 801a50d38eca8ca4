//! An image in its stored form.

#[cfg(feature = "jpeg")]
use super::jpeg;
use super::kinds::{Codec, Filter};
use crate::error::{Error, Result};
use crate::geometry::ImageSize;
use crate::shape::Shape;

/// An encoded image, ready to be written to a shard.
///
/// An [`Encoder`](crate::Encoder) creates records from pixels, and [`EncodedRecord::from_jpeg`]
/// from JPEG files. `EncodedRecord::from` converts a [`Record`](crate::Record) of a shard, to copy
/// it to another shard without decoding.
///
/// # Example
///
/// ```
/// use clipshard::{Codec, EncodedRecord};
///
/// let file = std::fs::read("tests/golden/wave.jpg").unwrap();
/// let record = EncodedRecord::from_jpeg(file.clone())?;
/// assert_eq!((record.codec(), record.shape().to_string()), (Codec::Jpeg, "16x12x3".into()));
/// assert_eq!(record.bytes(), file);
/// # Ok::<(), clipshard::jpeg::JpegFault>(())
/// ```
#[derive(Clone, Debug)]
pub struct EncodedRecord {
    bytes: Vec<u8>,
    shape: Shape,
    codec: Codec,
    filter: Filter,
    crc32: u32,
    /// This crate encoded the record, or copied it from a shard.
    is_trusted: bool,
}

impl PartialEq for EncodedRecord {
    /// Compares the stored bytes and what they stand for.
    fn eq(&self, other: &Self) -> bool {
        let parts = |record: &Self| (record.shape, record.codec, record.filter, record.crc32);
        parts(self) == parts(other) && self.bytes == other.bytes
    }
}

impl Eq for EncodedRecord {}

impl EncodedRecord {
    /// Creates a record from bytes that another encoder compressed.
    ///
    /// The bytes are not checked. If they do not hold a record of this shape, readers report the
    /// record as damaged. An [`ImageSize`] stands for an image of u8 samples.
    pub fn from_stored(bytes: Vec<u8>, shape: impl Into<Shape>, codec: Codec, filter: Filter) -> Self {
        let crc32 = crc32fast::hash(&bytes);
        Self { bytes, shape: shape.into(), codec, filter, crc32, is_trusted: false }
    }

    /// Marks the record as one that an encoder of this crate made, or that was copied from a shard.
    pub(crate) fn trusted(self) -> Self {
        Self { is_trusted: true, ..self }
    }

    /// Returns whether the bytes need not be decoded before they are written.
    pub(crate) fn is_trusted(&self) -> bool {
        self.is_trusted
    }

    /// Creates a record from a JPEG file without changing its bytes.
    ///
    /// # Errors
    ///
    /// Returns a fault if markers, size, components or end of the file are wrong. The image data is
    /// not checked; see [`check_scans`](jpeg::check_scans) for that.
    #[cfg(feature = "jpeg")]
    pub fn from_jpeg(bytes: Vec<u8>) -> Result<Self, jpeg::JpegFault> {
        let size = jpeg::check_header(&bytes)?;
        Ok(Self::from_stored(bytes, size, Codec::Jpeg, Filter::None))
    }

    /// Sets the number of channels that a JPEG record decodes to: 1 for luma, 3 for RGB.
    ///
    /// The number may differ from the number of components in the file.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Usage`] for other codecs and other numbers.
    pub fn with_channels(mut self, channels: u8) -> Result<Self> {
        if self.codec != Codec::Jpeg || !matches!(channels, 1 | 3) {
            return Err(Error::Usage(format!(
                "a {} record of {} cannot be decoded to {channels} channels; only JPEG records can, to 1 or 3",
                self.codec, self.shape
            )));
        }
        if let Some(size) = self.shape.image_size() {
            self.shape = ImageSize { channels, ..size }.into();
        }
        self.is_trusted = false;
        Ok(self)
    }

    /// Returns the stored bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the shape of the decoded record.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Returns the codec of the bytes.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Returns the filter that was applied to the pixels before compression.
    pub fn filter(&self) -> Filter {
        self.filter
    }

    /// Returns the CRC-32 of the stored bytes.
    pub fn crc32(&self) -> u32 {
        self.crc32
    }
}
