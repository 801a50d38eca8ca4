//! Images that are encoded as JPEG here.

use clipshard::ImageSize;
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder as JpegEncoder, SamplingFactor};

use crate::error::{Error, Result};

/// A baseline JPEG file of grey or RGB pixels, colours at half the resolution as in most frame trees (4:2:0) and in most videos,
/// from which nothing is lost thereby.
pub(crate) fn encode_jpeg(pixels: &[u8], size: ImageSize, quality: u8) -> Result<Vec<u8>> {
    let colour = if size.channels == 3 { ColorType::Rgb } else { ColorType::Luma };
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new(&mut bytes, quality);
    if size.channels == 3 {
        encoder.set_sampling_factor(SamplingFactor::F_2_2);
        encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    }
    // Optimised Huffman tables would put each component into a scan of its own, which decoders read slowly if at all.
    encoder
        .encode(pixels, size.width, size.height, colour)
        .map_err(|error| Error::input(format!("an image of {size} cannot be encoded as JPEG: {error}")))?;
    Ok(bytes)
}
