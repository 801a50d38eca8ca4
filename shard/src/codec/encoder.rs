//! Encodes pixels as records.

use super::filter;
use super::kinds::{Codec, Filter};
#[cfg(feature = "lz4")]
use super::lz4;
use super::record::EncodedRecord;
#[cfg(feature = "zstd")]
use super::zstd;
use crate::error::{Error, Result};
use crate::samples::{Sample, SampleType, to_little_endian};
use crate::shape::Shape;
use zerocopy::IntoBytes;

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

    /// Replaces the filter by the one that suits a type of samples. Codec `Raw` keeps `None`.
    #[must_use]
    pub fn for_samples(self, samples: SampleType) -> Self {
        let filter = Filter::for_samples(samples);
        if filter.fits(self.codec, samples) { Self { filter, ..self } } else { self }
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
    compressor: Compressor,
    scratch: Vec<u8>,
}

/// The compression after the filter.
enum Compressor {
    /// Stores samples as they are.
    None,
    #[cfg(feature = "lz4")]
    Lz4 { level: i32 },
    #[cfg(feature = "zstd")]
    Zstd(zstd::Compressor),
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
    /// Returns [`Error::Usage`] if the codec does not support the filter or the level, is
    /// [`Codec::Jpeg`], or is not [compiled](Codec::is_compiled).
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
        let compressor = match options.codec {
            Codec::Raw => Compressor::None,
            #[cfg(feature = "lz4")]
            Codec::Lz4 => Compressor::Lz4 { level: options.level },
            #[cfg(feature = "zstd")]
            Codec::Zstd => Compressor::Zstd(zstd::compressor(options.level)?),
            codec => return Err(Error::Usage(format!("encoding needs codec {codec}, {}", codec.absence()))),
        };
        Ok(Self { options, compressor, scratch: Vec::new() })
    }

    /// Encodes one image or array. An [`ImageSize`](crate::ImageSize) stands for an image of u8
    /// samples.
    ///
    /// `pixels` has `shape.bytes()` bytes: little-endian samples in the order of the dimensions. An
    /// image has rows of pixels with interleaved channels. An array without samples is stored raw.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Usage`] if the format cannot store the shape, `pixels` has another length,
    /// or the filter does not support the type of the samples.
    pub fn encode(&mut self, pixels: &[u8], shape: impl Into<Shape>) -> Result<EncodedRecord> {
        self.encode_shape(pixels, shape.into())
    }

    fn encode_shape(&mut self, pixels: &[u8], shape: Shape) -> Result<EncodedRecord> {
        if !shape.is_storable() || pixels.len() != shape.bytes() {
            let what = if shape.is_image() { "an image" } else { "an array" };
            return Err(Error::Usage(format!("cannot encode {} bytes as {what} of {shape}", pixels.len())));
        }
        let EncodeOptions { codec, filter, .. } = self.options;
        if shape.is_empty() {
            return Ok(EncodedRecord::from_stored(Vec::new(), shape, Codec::Raw, Filter::None).trusted());
        }
        if !filter.fits(codec, shape.samples()) {
            return Err(Error::Usage(format!("filter {filter} does not support {} samples", shape.samples())));
        }
        let source = filter::apply(filter, pixels, shape, &mut self.scratch);
        let mut bytes = match &mut self.compressor {
            Compressor::None => source.to_vec(),
            #[cfg(feature = "lz4")]
            Compressor::Lz4 { level } => lz4::encode(source, *level)?,
            #[cfg(feature = "zstd")]
            Compressor::Zstd(compressor) => {
                let is_plane = filter == Filter::Up && shape.u8_image_size().is_some_and(|size| size.channels == 1);
                zstd::encode(compressor, source, is_plane)?
            }
        };
        // Compressors allocate memory for the worst case. Callers keep the records of a whole clip,
        // so the rest is freed.
        bytes.shrink_to_fit();
        Ok(EncodedRecord::from_stored(bytes, shape, codec, filter).trusted())
    }

    /// Encodes the samples of one image or array.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Encoder::encode`], and [`Error::Usage`] if `T` is not the type of the
    /// samples of `shape`.
    ///
    /// # Example
    ///
    /// ```
    /// use clipshard::{EncodeOptions, Encoder, SampleType, Shape};
    ///
    /// let options = EncodeOptions::zstd(9).for_samples(SampleType::F32);
    /// let boxes = Shape::array(&[2, 4], SampleType::F32)?; // two boxes of x, y, width, height
    /// let record = Encoder::new(options)?.encode_samples(&[1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], boxes)?;
    /// assert_eq!(record.shape(), boxes);
    /// # Ok::<(), clipshard::Error>(())
    /// ```
    pub fn encode_samples<T: Sample>(&mut self, samples: &[T], shape: Shape) -> Result<EncodedRecord> {
        if T::TYPE != shape.samples() {
            return Err(Error::Usage(format!("cannot encode {} samples as {shape}", T::TYPE)));
        }
        if cfg!(target_endian = "little") {
            return self.encode(samples.as_bytes(), shape);
        }
        let mut bytes = samples.as_bytes().to_vec();
        to_little_endian(&mut bytes, T::TYPE);
        self.encode(&bytes, shape)
    }
}
