//! Decodes records to pixels.

use super::kinds::{Codec, Filter};
use super::uncached::cut;
use super::{filter, jpeg, lz4, raw, zstd};
use crate::error::Result;
use crate::geometry::{ImageSize, Window};

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
    /// A whole image, from which the window is copied.
    image: Vec<u8>,
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
        Ok(Self { zstd: zstd::decompressor()?, jpeg: jpeg::Decoder::new(), image: Vec::new(), stored: Vec::new() })
    }

    /// Decodes a window of stored bytes into `out`, which has the size of the window.
    ///
    /// The checksum of the bytes must have been verified. Returns the fault in words if the bytes
    /// cannot be decoded.
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
            Codec::Raw if bytes.len() == size.bytes() => cut(window, bytes, size, out),
            _ => {
                // Decompression and filter read back what they wrote. This buffer stays in the
                // cache; `out` does not.
                self.image.resize(size.bytes(), 0);
                unpack(&mut self.zstd, bytes, codec, &mut self.image)?;
                if filter == Filter::Up {
                    if window == size.whole() && filter::undo_up_to(&self.image, size.row_bytes(), out) {
                        return Ok(());
                    }
                    filter::undo_up(&mut self.image, size.row_bytes());
                }
                cut(window, &self.image, size, out);
            }
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
        Codec::Raw | Codec::Jpeg => raw::decode(bytes, out),
    }
}
