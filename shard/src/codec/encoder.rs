//! Encodes pixels as records.

use super::kinds::{Codec, Filter};
use super::record::EncodedRecord;
use super::{filter, lz4, zstd};
use crate::error::{Error, Result};
use crate::geometry::ImageSize;

/// Codec, filter and level of an [`Encoder`].
///
/// # Example
///
/// ```
/// use clipshard::{Codec, EncodeOptions, Filter};
///
/// assert_eq!(EncodeOptions::zstd(9), EncodeOptions::new(Codec::Zstd, Filter::Up, 9));
/// assert_eq!(EncodeOptions::lz4(9).with_filter(Filter::None).filter, Filter::None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EncodeOptions {
    /// Codec: `Raw`, `Zstd` or `Lz4`. [`EncodedRecord::from_jpeg`] creates `Jpeg` records.
    pub codec: Codec,
    /// Filter before compression. `Raw` needs `None`.
    pub filter: Filter,
    /// Compression level: 1 to 22 for zstd, 1 to 12 for LZ4. `Raw` ignores it.
    pub level: i32,
}

impl EncodeOptions {
    /// Combines codec, filter and level. [`Encoder::new`] checks the combination.
    pub const fn new(codec: Codec, filter: Filter, level: i32) -> Self {
        Self { codec, filter, level }
    }

    /// Selects storage without compression.
    pub const fn raw() -> Self {
        Self::new(Codec::Raw, Filter::None, 0)
    }

    /// Selects zstd with the filter `up` and a level from 1 to 22. Level 9 suits optical flow.
    pub const fn zstd(level: i32) -> Self {
        Self::new(Codec::Zstd, Filter::Up, level)
    }

    /// Selects LZ4-HC with the filter `up` and a level from 1 to 12.
    pub const fn lz4(level: i32) -> Self {
        Self::new(Codec::Lz4, Filter::Up, level)
    }

    /// Replaces the filter.
    #[must_use]
    pub const fn with_filter(self, filter: Filter) -> Self {
        Self { filter, ..self }
    }
}

/// An encoder of pixels to records.
///
/// It keeps its compression context and memory between images, so create one per thread and reuse
/// it.
///
/// # Example
///
/// ```
/// use clipshard::{EncodeOptions, Encoder, ImageSize};
///
/// let size = ImageSize { width: 64, height: 48, channels: 1 };
/// let mut encoder = Encoder::new(EncodeOptions::zstd(9))?;
/// let record = encoder.encode(&vec![128; size.bytes()], size)?;
/// assert!(record.bytes().len() < 100);
/// # Ok::<(), clipshard::Error>(())
/// ```
pub struct Encoder {
    options: EncodeOptions,
    zstd: Option<zstd::Compressor>,
    scratch: Vec<u8>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Encoder {
    /// Creates an encoder.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Usage`] if the codec does not support the filter or the level, or is
    /// [`Codec::Jpeg`].
    pub fn new(options: EncodeOptions) -> Result<Self> {
        let levels = match options.codec {
            Codec::Zstd => 1..=22,
            Codec::Lz4 => 1..=12,
            Codec::Raw => i32::MIN..=i32::MAX,
            Codec::Jpeg => {
                let fault = "cannot encode pixels as JPEG; store existing JPEG files instead";
                return Err(Error::Usage(fault.into()));
            }
        };
        if !levels.contains(&options.level) {
            let (low, high) = (levels.start(), levels.end());
            return Err(Error::Usage(format!(
                "{} has no level {}, only {low} to {high}",
                options.codec.name(),
                options.level
            )));
        }
        if options.codec == Codec::Raw && options.filter != Filter::None {
            return Err(Error::Usage("codec raw does not support a filter".into()));
        }
        let zstd = (options.codec == Codec::Zstd).then(|| zstd::compressor(options.level)).transpose()?;
        Ok(Self { options, zstd, scratch: Vec::new() })
    }

    /// Encodes one image. `pixels` has `size.bytes()` samples: rows of pixels with interleaved
    /// channels.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Usage`] if the format cannot store the size, or `pixels` has another
    /// length.
    pub fn encode(&mut self, pixels: &[u8], size: ImageSize) -> Result<EncodedRecord> {
        if !size.is_storable() || pixels.len() != size.bytes() {
            return Err(Error::Usage(format!("cannot encode {} bytes as an image of {size}", pixels.len())));
        }
        let EncodeOptions { codec, filter, level } = self.options;
        let source = match filter {
            Filter::None => pixels,
            Filter::Up => {
                filter::up(pixels, size.row_bytes(), &mut self.scratch);
                &self.scratch
            }
        };
        let mut bytes = match (codec, &mut self.zstd) {
            (Codec::Zstd, Some(compressor)) => {
                zstd::encode(compressor, source, filter == Filter::Up && size.channels == 1)?
            }
            (Codec::Lz4, _) => lz4::encode(source, level)?,
            _ => source.to_vec(),
        };
        // Compressors allocate memory for the worst case. Callers keep the records of a whole clip,
        // so the rest is freed.
        bytes.shrink_to_fit();
        Ok(EncodedRecord::from_stored(bytes, size, codec, filter))
    }
}
