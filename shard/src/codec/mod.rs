//! How the pixels of one image are stored: one file a codec.

#[allow(clippy::inline_always, reason = "what is compiled for a set of instructions must be one function")]
pub mod filter;
#[allow(clippy::inline_always, reason = "as above")]
pub mod jpeg;
pub mod lz4;
mod matches;
pub mod raw;
mod sequences;
mod stream;
pub mod zstd;

use crate::error::{Error, Result};
use crate::layout::MAX_IMAGE_BYTES;
use std::ops::Range;

/// What the stored bytes of a record are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codec {
    /// The pixels themselves.
    Raw = 0,
    /// A JPEG file, untouched.
    Jpeg = 1,
    /// One zstd frame with its content size.
    Zstd = 2,
    /// One LZ4 block.
    Lz4 = 3,
}

/// What was done to the pixels before they were compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Filter {
    /// Nothing.
    None = 0,
    /// From each row the row above was subtracted, modulo 256.
    Up = 1,
}

impl Codec {
    /// The codec of a stored byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Raw,
            1 => Self::Jpeg,
            2 => Self::Zstd,
            3 => Self::Lz4,
            _ => return None,
        })
    }

    /// Its name as written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Jpeg => "jpeg",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        }
    }
}

impl Filter {
    /// The filter of a stored byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::None,
            1 => Self::Up,
            _ => return None,
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Up => "up",
        }
    }
}

/// Size of one image of u8 samples, stored row by row with interleaved channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImageSize {
    /// Pixels a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// Samples a pixel: 1 to 4.
    pub channels: u8,
}

impl ImageSize {
    /// Bytes of the decoded image.
    pub fn bytes(self) -> usize {
        self.width as usize * self.height as usize * self.channels as usize
    }

    /// Bytes of one row.
    pub fn row_bytes(self) -> usize {
        self.width as usize * self.channels as usize
    }

    /// All of it.
    pub fn whole(self) -> Window {
        Window { x: 0, y: 0, width: self.width, height: self.height }
    }

    /// Whether the format can store it: no empty image, 1 to 4 channels, at most [`MAX_IMAGE_BYTES`].
    pub fn is_storable(self) -> bool {
        // In 64 bits, because 65535 x 65535 x 4 overflows a usize of 32.
        let bytes = u64::from(self.width) * u64::from(self.height) * u64::from(self.channels);
        bytes > 0 && self.channels <= 4 && bytes <= MAX_IMAGE_BYTES as u64
    }
}

impl std::fmt::Display for ImageSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}", self.width, self.height, self.channels)
    }
}

/// A part of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Column of its first pixel.
    pub x: u16,
    /// Row of its first pixel.
    pub y: u16,
    /// Pixels a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

impl Window {
    /// Bytes of the window of an image.
    pub fn bytes(self, image: ImageSize) -> usize {
        ImageSize { width: self.width, height: self.height, ..image }.bytes()
    }

    /// Whether it is a part of an image of that size, and not empty.
    pub fn is_inside(self, image: ImageSize) -> bool {
        self.width > 0
            && self.height > 0
            && self.columns().end <= image.width.into()
            && self.rows().end <= image.height.into()
    }

    pub(crate) fn columns(self) -> Range<usize> {
        usize::from(self.x)..usize::from(self.x) + usize::from(self.width)
    }

    pub(crate) fn rows(self) -> Range<usize> {
        usize::from(self.y)..usize::from(self.y) + usize::from(self.height)
    }

    /// Copies it out of an image.
    fn cut(self, pixels: &[u8], image: ImageSize, out: &mut [u8]) {
        if self == image.whole() {
            return stream::copy(pixels, out);
        }
        let channels = usize::from(image.channels);
        let columns = self.columns().start * channels..self.columns().end * channels;
        let rows = pixels.chunks_exact(image.row_bytes()).skip(self.rows().start);
        for (out, row) in out.chunks_exact_mut(columns.len()).zip(rows) {
            out.copy_from_slice(&row[columns.clone()]);
        }
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{} at column {}, row {}", self.width, self.height, self.x, self.y)
    }
}

/// How an [`Encoder`] stores pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeOptions {
    /// `Raw`, `Zstd` or `Lz4`; `Jpeg` records are made by [`EncodedRecord::from_jpeg`].
    pub codec: Codec,
    /// Applied before compression; `None` for `Raw`.
    pub filter: Filter,
    /// zstd 1 to 22; LZ4-HC 1 to 12; ignored for `Raw`.
    pub level: i32,
}

/// One image, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedRecord {
    /// The stored bytes.
    pub bytes: Vec<u8>,
    /// Size of the decoded image.
    pub size: ImageSize,
    /// What the bytes are.
    pub codec: Codec,
    /// What was done to the pixels first.
    pub filter: Filter,
    /// CRC-32 of the bytes.
    pub crc32: u32,
}

impl EncodedRecord {
    pub(crate) fn new(bytes: Vec<u8>, size: ImageSize, codec: Codec, filter: Filter) -> Self {
        let crc32 = crc32fast::hash(&bytes);
        Self { bytes, size, codec, filter, crc32 }
    }

    /// A JPEG file as a record, its bytes untouched. Its markers, size, components and end are checked, its pixels are not.
    pub fn from_jpeg(bytes: Vec<u8>) -> Result<Self, jpeg::JpegFault> {
        let size = jpeg::check_header(&bytes)?;
        Ok(Self::new(bytes, size, Codec::Jpeg, Filter::None))
    }
}

/// Stores pixels as records; keeps its compression context and scratch memory between images.
pub struct Encoder {
    options: EncodeOptions,
    zstd: Option<zstd::Compressor>,
    scratch: Vec<u8>,
}

impl Encoder {
    /// An encoder for one choice of codec.
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

    /// Stores one image. `pixels` holds `size.bytes()` samples, row by row, channels interleaved.
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
        Ok(EncodedRecord::new(bytes, size, codec, filter))
    }
}

/// Decodes records; keeps its contexts and scratch memory between images. Make one a thread.
pub struct Decoder {
    zstd: ::zstd::bulk::Decompressor<'static>,
    jpeg: jpeg::Decoder,
    /// A whole image, of which the wanted window is copied.
    image: Vec<u8>,
    /// Stored bytes of shards that are not mapped.
    pub(crate) stored: Vec<u8>,
}

impl Decoder {
    /// A decoder for any codec.
    pub fn new() -> Result<Self> {
        Ok(Self { zstd: zstd::decompressor()?, jpeg: jpeg::Decoder::new(), image: Vec::new(), stored: Vec::new() })
    }

    /// Decodes a window of stored bytes whose checksum was verified into `out`, which has the window's size; says what is wrong
    /// with the bytes otherwise.
    pub(crate) fn decode(
        &mut self,
        bytes: &[u8],
        size: ImageSize,
        (codec, filter): (Codec, Filter),
        window: Window,
        out: &mut [u8],
    ) -> Result<(), String> {
        debug_assert!(window.is_inside(size) && out.len() == window.bytes(size));
        match codec {
            Codec::Jpeg => return self.jpeg.decode(bytes, size, window, out).map_err(|fault| fault.to_string()),
            Codec::Raw if bytes.len() == size.bytes() => window.cut(bytes, size, out),
            _ => {
                // Where matches and the row above are read back from the cache.
                self.image.resize(size.bytes(), 0);
                unpack(&mut self.zstd, bytes, codec, &mut self.image)?;
                if filter == Filter::Up {
                    if window == size.whole() && filter::undo_up_to(&self.image, size.row_bytes(), out) {
                        return Ok(());
                    }
                    filter::undo_up(&mut self.image, size.row_bytes());
                }
                window.cut(&self.image, size, out);
            }
        }
        Ok(())
    }
}

/// Decodes a whole image of one of the pixel codecs, its filter not undone.
fn unpack(
    zstd: &mut ::zstd::bulk::Decompressor<'static>,
    bytes: &[u8],
    codec: Codec,
    out: &mut [u8],
) -> Result<(), String> {
    match codec {
        Codec::Zstd => zstd::decode(zstd, bytes, out),
        Codec::Lz4 => lz4::decode(bytes, out),
        Codec::Raw | Codec::Jpeg => raw::decode(bytes, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn textured(size: ImageSize) -> Vec<u8> {
        (0..size.bytes()).map(|i| ((crate::order::mix64(i as u64) % 17) as usize * 3 + i / 40) as u8).collect()
    }

    #[test]
    fn every_pixel_codec_returns_what_it_was_given() {
        for codec in [Codec::Raw, Codec::Zstd, Codec::Lz4] {
            for filter in [Filter::None, Filter::Up] {
                if codec == Codec::Raw && filter == Filter::Up {
                    continue;
                }
                let mut encoder = Encoder::new(EncodeOptions { codec, filter, level: 9 }).unwrap();
                let mut decoder = Decoder::new().unwrap();
                for (width, height, channels) in [(1, 1, 1), (224, 224, 1), (33, 7, 3), (5, 129, 4)] {
                    let size = ImageSize { width, height, channels };
                    let pixels = textured(size);
                    let record = encoder.encode(&pixels, size).unwrap();
                    let mut out = vec![0; size.bytes()];
                    decoder.decode(&record.bytes, size, (codec, filter), size.whole(), &mut out).unwrap();
                    assert_eq!(out, pixels, "{codec:?} {filter:?} {size}");
                    let window =
                        Window { x: width / 3, y: height / 2, width: width.div_ceil(2), height: height.div_ceil(3) };
                    let mut part = vec![0; window.bytes(size)];
                    decoder.decode(&record.bytes, size, (codec, filter), window, &mut part).unwrap();
                    let mut expected = Vec::new();
                    for y in window.rows() {
                        for x in window.columns() {
                            let at = y * size.row_bytes() + x * channels as usize;
                            expected.extend_from_slice(&pixels[at..at + channels as usize]);
                        }
                    }
                    assert_eq!(part, expected, "{codec:?} {filter:?} {size} {window}");
                }
            }
        }
    }

    #[test]
    fn bytes_of_another_length_are_refused() {
        let size = ImageSize { width: 16, height: 16, channels: 1 };
        let larger = ImageSize { width: 17, ..size };
        let smaller = ImageSize { width: 15, ..size };
        let mut decoder = Decoder::new().unwrap();
        for codec in [Codec::Raw, Codec::Zstd, Codec::Lz4] {
            let mut encoder = Encoder::new(EncodeOptions { codec, filter: Filter::None, level: 3 }).unwrap();
            let record = encoder.encode(&textured(size), size).unwrap();
            for wrong in [larger, smaller] {
                let mut out = vec![0; wrong.bytes()];
                assert!(
                    decoder.decode(&record.bytes, wrong, (codec, Filter::None), wrong.whole(), &mut out).is_err(),
                    "{codec:?}"
                );
            }
            let mut out = vec![0; size.bytes()];
            let cut = &record.bytes[..record.bytes.len() - 1];
            assert!(decoder.decode(cut, size, (codec, Filter::None), size.whole(), &mut out).is_err(), "{codec:?}");
        }
    }

    #[test]
    fn options_out_of_range_are_refused() {
        let new = |codec, filter, level| Encoder::new(EncodeOptions { codec, filter, level }).is_err();
        assert!(new(Codec::Zstd, Filter::Up, 0) && new(Codec::Zstd, Filter::Up, 23));
        assert!(new(Codec::Lz4, Filter::Up, 13) && new(Codec::Raw, Filter::Up, 0) && new(Codec::Jpeg, Filter::None, 0));
        let mut raw = Encoder::new(EncodeOptions { codec: Codec::Raw, filter: Filter::None, level: 0 }).unwrap();
        assert!(raw.encode(&[0; 4], ImageSize { width: 2, height: 2, channels: 3 }).is_err());
        assert!(raw.encode(&[], ImageSize { width: 0, height: 2, channels: 1 }).is_err());
    }
}
