//! Decodes records to pixels.

use super::kinds::{Codec, Filter};
use super::uncached::{copy, cut};
use super::{filter, jpeg, lz4, raw, zstd};
use crate::error::Result;
use crate::geometry::Window;
use crate::shape::Shape;

/// A decoder for records of any codec.
///
/// It keeps contexts and memory between images, so create one per thread and reuse it.
///
/// # Example
///
/// ```
/// use clipshard::{Dataset, Decoder};
///
/// let data = Dataset::open("tests/golden")?;
/// let clip = data.clip("rgb", 0)?;
/// let mut decoder = Decoder::new()?;
/// let mut pixels = vec![0; clip.size(0, 0)?.bytes()];
/// for frame in 0..clip.frame_count() {
///     clip.decode(frame, 0, &mut decoder, &mut pixels)?;
/// }
/// # Ok::<(), clipshard::Error>(())
/// ```
pub struct Decoder {
    zstd: ::zstd::bulk::Decompressor<'static>,
    jpeg: jpeg::Decoder,
    /// A whole record after decompression.
    image: Vec<u8>,
    /// A whole record after its bytes were joined again, from which a window is copied.
    plain: Vec<u8>,
    /// Stored bytes of a record, for shards that are not mapped.
    pub(crate) stored: Vec<u8>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

impl Decoder {
    /// Creates a decoder for all codecs.
    pub fn new() -> Result<Self> {
        Ok(Self {
            zstd: zstd::decompressor()?,
            jpeg: jpeg::Decoder::new(),
            image: Vec::new(),
            plain: Vec::new(),
            stored: Vec::new(),
        })
    }

    /// Decodes stored bytes into `out`: the window of an image, or the whole record if there is no
    /// window. `out` has the size of the result.
    ///
    /// The checksum of the bytes must have been verified. Returns the fault in words if the bytes
    /// cannot be decoded.
    pub(crate) fn decode(
        &mut self,
        bytes: &[u8],
        shape: Shape,
        (codec, filter): (Codec, Filter),
        window: Option<Window>,
        out: &mut [u8],
    ) -> Result<(), String> {
        let part = shape.image_size().zip(window).filter(|(size, window)| *window != size.whole());
        debug_assert!(part.is_some() || out.len() == shape.bytes());
        match (codec, shape.u8_image_size()) {
            (Codec::Jpeg, Some(size)) => {
                let window = window.unwrap_or(size.whole());
                return self.jpeg.decode(bytes, size, window, out).map_err(|fault| fault.to_string());
            }
            (Codec::Jpeg, None) => return Err(format!("a JPEG file cannot hold {shape}")),
            _ => {}
        }
        let source = if codec == Codec::Raw {
            raw::check(bytes, shape.bytes())?;
            bytes
        } else {
            // Decompression and filter read back what they wrote. This buffer stays in the cache;
            // `out` does not.
            self.image.resize(shape.bytes(), 0);
            unpack(&mut self.zstd, bytes, codec, &mut self.image)?;
            if filter::undo_into(filter, &mut self.image, shape, part.is_none().then_some(&mut *out), &mut self.plain) {
                return Ok(());
            }
            if filter.is_shuffled() { &self.plain } else { &self.image }
        };
        match part {
            Some((size, window)) => cut(window, source, (size, shape.samples().bytes()), out),
            None => copy(source, out),
        }
        Ok(())
    }
}

/// Decompresses a whole image without undoing its filter.
fn unpack(
    zstd: &mut ::zstd::bulk::Decompressor<'static>,
    bytes: &[u8],
    codec: Codec,
    out: &mut [u8],
) -> Result<(), String> {
    match codec {
        Codec::Zstd => zstd::decode(zstd, bytes, out),
        Codec::Lz4 => lz4::decode(bytes, out),
        Codec::Raw | Codec::Jpeg => Err("it is not compressed".into()),
    }
}
