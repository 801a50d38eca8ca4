//! Encodes images as JPEG.

use clipshard::ImageSize;
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder as JpegEncoder, SamplingFactor};

use crate::error::{Error, Result};

/// Encodes grey or RGB pixels as a baseline JPEG file.
///
/// Colours have half the resolution (4:2:0), like those of most videos and frame trees, so such
/// sources lose no colour resolution.
pub(crate) fn encode_jpeg(pixels: &[u8], size: ImageSize, quality: u8) -> Result<Vec<u8>> {
    let colour = if size.channels == 3 { ColorType::Rgb } else { ColorType::Luma };
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new(&mut bytes, quality);
    if size.channels == 3 {
        encoder.set_sampling_factor(SamplingFactor::F_2_2);
        encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    }
    // The encoder writes each component as a separate scan if Huffman tables are optimised. Many
    // decoders read such files slowly or not at all.
    encoder
        .encode(pixels, size.width, size.height, colour)
        .map_err(|error| Error::input(format!("cannot encode an image of {size} as JPEG: {error}")))?;
    Ok(bytes)
}
