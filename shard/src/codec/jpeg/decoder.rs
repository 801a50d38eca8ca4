//! Decodes JPEG files to pixels.

use super::baseline;
use super::fault::JpegFault;
use super::header::{check_header, has_end};
use super::scan::check_scans;
use crate::codec::uncached::cut;
use crate::geometry::{ImageSize, Window};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// A decoder for JPEG files.
///
/// It keeps tables and memory between files, so create one per thread and reuse it.
///
/// # Example
///
/// ```
/// use clipshard::jpeg::Decoder;
///
/// let file = std::fs::read("tests/golden/wave.jpg").unwrap();
/// let (size, pixels) = Decoder::new().decode_checked(&file, 3)?;
/// assert_eq!((size.width, size.height), (16, 12));
/// assert_eq!(pixels, std::fs::read("tests/golden/wave.rgb").unwrap());
/// # Ok::<(), clipshard::jpeg::JpegFault>(())
/// ```
pub struct Decoder {
    baseline: baseline::Baseline,
    /// A whole image from zune-jpeg, from which the window is copied.
    image: Vec<u8>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// Names and versions of the decoders, for the log of a run.
    pub const NAME: &str = concat!("clipshard ", env!("CARGO_PKG_VERSION"), " (baseline), zune-jpeg (other)");

    /// Creates a decoder for all JPEG files that the format can store.
    pub fn new() -> Self {
        Self { baseline: baseline::Baseline::new(), image: Vec::new() }
    }

    /// Decodes a window of an image into `out`, which must have the size of the window.
    ///
    /// `size.channels` selects the result: 1 for luma, 3 for RGB.
    ///
    /// # Errors
    ///
    /// Returns a fault if the file does not have the width and height of `size`, or if image data
    /// that the window needs is missing or damaged.
    pub fn decode(&mut self, bytes: &[u8], size: ImageSize, window: Window, out: &mut [u8]) -> Result<(), JpegFault> {
        if !matches!(size.channels, 1 | 3) {
            return Err(JpegFault::Unusable(format!("a JPEG record has 1 or 3 channels, not {}", size.channels)));
        }
        if !window.is_inside(size) || out.len() != window.bytes(size) {
            let n = out.len();
            return Err(JpegFault::Unusable(format!(
                "the window {window} of an image of {size} does not fit the image or the buffer of {n} bytes"
            )));
        }
        if !has_end(bytes) {
            // Returns the fault.
            check_header(bytes)?;
        }
        if self.baseline.decode(bytes, size, window, out)? {
            return Ok(());
        }
        if window == size.whole() {
            return decode_other(bytes, size, out);
        }
        self.image.resize(size.bytes(), 0);
        decode_other(bytes, size, &mut self.image)?;
        cut(window, &self.image, (size, 1), out);
        Ok(())
    }

    /// Checks a file with [`check_scans`], and decodes it to 1 or 3 channels.
    pub fn decode_checked(&mut self, bytes: &[u8], channels: u8) -> Result<(ImageSize, Vec<u8>), JpegFault> {
        let size = ImageSize { channels, ..check_scans(bytes)? };
        let mut pixels = vec![0; size.bytes()];
        self.decode(bytes, size, size.whole(), &mut pixels)?;
        Ok((size, pixels))
    }
}

/// Decodes a file with zune-jpeg into `out`, which has `size.bytes()` bytes. 1 channel is luma, 3
/// channels are RGB.
fn decode_other(bytes: &[u8], size: ImageSize, out: &mut [u8]) -> Result<(), JpegFault> {
    let colour = match size.channels {
        1 => ColorSpace::Luma,
        3 => ColorSpace::RGB,
        n => return Err(JpegFault::Unusable(format!("a JPEG record has 1 or 3 channels, not {n}"))),
    };
    check_header(bytes)?;
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(size.width as usize)
        .set_max_height(size.height as usize)
        .jpeg_set_out_colorspace(colour);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let unusable = |e: zune_jpeg::errors::DecodeErrors| JpegFault::Unusable(e.to_string());
    decoder.decode_headers().map_err(unusable)?;
    let info = decoder.info().ok_or_else(|| JpegFault::Unusable("it has no frame header".into()))?;
    if (info.width, info.height) != (size.width, size.height) || decoder.output_buffer_size() != Some(out.len()) {
        return Err(JpegFault::Unusable(format!(
            "it has {}x{} pixels, but {size} are expected",
            info.width, info.height
        )));
    }
    decoder.decode_into(out).map_err(unusable)
}
