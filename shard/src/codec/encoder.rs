//! Pixels to records.

use super::kinds::{Codec, Filter};
use super::record::EncodedRecord;
use super::{filter, lz4, zstd};
use crate::error::{Error, Result};
use crate::geometry::ImageSize;

/// How an [`Encoder`] stores pixels.
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
    /// `Raw`, `Zstd` or `Lz4`; `Jpeg` records are made by [`EncodedRecord::from_jpeg`].
    pub codec: Codec,
    /// Applied before compression; `None` for `Raw`.
    pub filter: Filter,
    /// zstd 1 to 22; LZ4-HC 1 to 12; ignored for `Raw`.
    pub level: i32,
}

impl EncodeOptions {
    /// Combines codec, filter and level; [`Encoder::new`] checks that they fit together.
    pub const fn new(codec: Codec, filter: Filter, level: i32) -> Self {
        Self { codec, filter, level }
    }

    /// Stores pixels without compression.
    pub const fn raw() -> Self {
        Self::new(Codec::Raw, Filter::None, 0)
    }

    /// Compresses by zstd with the filter `up`; levels 1 to 22. Level 9 suits optical flow.
    pub const fn zstd(level: i32) -> Self {
        Self::new(Codec::Zstd, Filter::Up, level)
    }

    /// Compresses by LZ4-HC with the filter `up`; levels 1 to 12.
    pub const fn lz4(level: i32) -> Self {
        Self::new(Codec::Lz4, Filter::Up, level)
    }

    /// Replaces the filter.
    #[must_use]
    pub const fn with_filter(self, filter: Filter) -> Self {
        Self { filter, ..self }
    }
}

/// Encodes pixels as records; keeps its compression context and scratch memory between images. Make one per thread.
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
    /// Creates an encoder. Returns [`Error::Usage`] where codec, filter and level do not fit together.
    pub fn new(options: EncodeOptions) -> Result<Self> {
        let levels = match options.codec {
            Codec::Zstd => 1..=22,
            Codec::Lz4 => 1..=12,
            Codec::Raw => i32::MIN..=i32::MAX,
            Codec::Jpeg => return Err(Error::Usage("JPEG files are stored as they are, not encoded".into())),
        };
        if !levels.contains(&options.level) {
            let (low, high) = (levels.start(), levels.end());
            return Err(Error::Usage(format!(
                "{} level {} is not in {low}..={high}",
                options.codec.name(),
                options.level
            )));
        }
        if options.codec == Codec::Raw && options.filter != Filter::None {
            return Err(Error::Usage("raw records take no filter".into()));
        }
        let zstd = (options.codec == Codec::Zstd).then(|| zstd::compressor(options.level)).transpose()?;
        Ok(Self { options, zstd, scratch: Vec::new() })
    }

    /// Encodes one image. `pixels` holds `size.bytes()` samples, row by row, channels interleaved.
    pub fn encode(&mut self, pixels: &[u8], size: ImageSize) -> Result<EncodedRecord> {
        if !size.is_storable() || pixels.len() != size.bytes() {
            return Err(Error::Usage(format!("an image of {size} cannot be stored from {} bytes", pixels.len())));
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
        // Compressors take room for the worst case, many times what they need; whole clips of records wait to be written.
        bytes.shrink_to_fit();
        Ok(EncodedRecord::from_stored(bytes, size, codec, filter))
    }
}
