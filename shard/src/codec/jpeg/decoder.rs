//! JPEG files to pixels.

use super::baseline;
use super::fault::JpegFault;
use super::header::check_header;
use super::scan::check_scans;
use crate::codec::uncached::cut;
use crate::geometry::{ImageSize, Window};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// Decodes JPEG files; keeps tables and scratch memory between them. Make one per thread.
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
    /// Whole images of the general decoder.
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
    /// Names the decoders and their versions, for the records of a run.
    pub const NAME: &str = concat!("clipshard ", env!("CARGO_PKG_VERSION"), " (baseline), zune-jpeg (other)");

    /// Creates a decoder of any JPEG file that can be stored.
    pub fn new() -> Self {
        Self { baseline: baseline::Baseline::new(), image: Vec::new() }
    }

    /// Decodes a window into `out`, which has its size. The file must say that it is of `size` (but for the channels); 1 channel is
    /// luma, 3 is RGB. Image data that end early are a fault, as far as the window needs them.
    pub fn decode(&mut self, bytes: &[u8], size: ImageSize, window: Window, out: &mut [u8]) -> Result<(), JpegFault> {
        if !matches!(size.channels, 1 | 3) {
            return Err(JpegFault::Unusable(format!("JPEG records have 1 or 3 channels, not {}", size.channels)));
        }
        if !window.is_inside(size) || out.len() != window.bytes(size) {
            let n = out.len();
            return Err(JpegFault::Unusable(format!("{n} bytes for a window of {window} in an image of {size}")));
        }
        if self.baseline.decode(bytes, size, window, out)? {
            return Ok(());
        }
        if window == size.whole() {
            return decode_other(bytes, size, out);
        }
        self.image.resize(size.bytes(), 0);
        decode_other(bytes, size, &mut self.image)?;
        cut(window, &self.image, size, out);
        Ok(())
    }

    /// Decodes a whole file to 1 or 3 channels; [`check_scans`] comes first.
    pub fn decode_checked(&mut self, bytes: &[u8], channels: u8) -> Result<(ImageSize, Vec<u8>), JpegFault> {
        let size = ImageSize { channels, ..check_scans(bytes)? };
        let mut pixels = vec![0; size.bytes()];
        self.decode(bytes, size, size.whole(), &mut pixels)?;
        Ok((size, pixels))
    }
}

/// Decodes any file into `out`, which holds exactly `size.bytes()`; 1 channel is luma, 3 is RGB.
fn decode_other(bytes: &[u8], size: ImageSize, out: &mut [u8]) -> Result<(), JpegFault> {
    let colour = match size.channels {
        1 => ColorSpace::Luma,
        3 => ColorSpace::RGB,
        n => return Err(JpegFault::Unusable(format!("JPEG records have 1 or 3 channels, not {n}"))),
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
    let info = decoder.info().ok_or_else(|| JpegFault::Unusable("no frame header".into()))?;
    if (info.width, info.height) != (size.width, size.height) || decoder.output_buffer_size() != Some(out.len()) {
        return Err(JpegFault::Unusable(format!(
            "it has {}x{} pixels where {size} are stated",
            info.width, info.height
        )));
    }
    decoder.decode_into(out).map_err(unusable)
}
