//! Codec 2, `zstd`: one independent frame that states its content size, without a dictionary.
//!
//! The frame has no checksum, because the record has one.

#[cfg(feature = "write")]
mod compressor;
#[cfg(feature = "write")]
mod matches;
#[cfg(feature = "write")]
mod sequences;

#[cfg(feature = "write")]
pub(super) use compressor::{Compressor, compressor, encode};

use crate::error::{Error, Result};

/// First four bytes of a frame.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

pub(super) fn decompressor() -> Result<zstd::bulk::Decompressor<'static>> {
    zstd::bulk::Decompressor::new().map_err(|e| Error::Usage(format!("zstd cannot create a context: {e}")))
}

/// Decompresses one frame, whose content must fill `out` exactly.
pub(super) fn decode(
    decompressor: &mut zstd::bulk::Decompressor<'static>,
    bytes: &[u8],
    out: &mut [u8],
) -> Result<(), String> {
    // The library accepts frames of unknown size and several frames in a row. The format allows
    // only one frame that states its size.
    if !bytes.starts_with(&MAGIC) {
        // Some builds of the library also decode frames of versions before 1.0.
        return Err("it is not a zstd frame".into());
    }
    match zstd::zstd_safe::get_frame_content_size(bytes) {
        Ok(Some(n)) if n == out.len() as u64 => {}
        Ok(Some(n)) => return Err(format!("its zstd frame states {n} bytes, but the image has {}", out.len())),
        Ok(None) => return Err("its zstd frame does not state its content size".into()),
        Err(_) => return Err("it is not a zstd frame".into()),
    }
    if zstd::zstd_safe::find_frame_compressed_size(bytes) != Ok(bytes.len()) {
        return Err("it is not exactly one whole zstd frame".into());
    }
    match decompressor.decompress_to_buffer(bytes, out) {
        Ok(n) if n == out.len() => Ok(()),
        Ok(n) => Err(format!("its zstd frame decodes to {n} bytes, but the image has {}", out.len())),
        Err(e) => Err(format!("zstd reports: {e}")),
    }
}
