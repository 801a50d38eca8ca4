//! Codec 2, `zstd`: one independent frame that states its content size; no dictionary, no frame checksum (the record has one).

use crate::error::{Error, Result};

pub(super) fn compressor(level: i32) -> Result<zstd::bulk::Compressor<'static>> {
    zstd::bulk::Compressor::new(level).map_err(|e| Error::Usage(format!("zstd level {level}: {e}")))
}

pub(super) fn decompressor() -> Result<zstd::bulk::Decompressor<'static>> {
    zstd::bulk::Decompressor::new().map_err(|e| Error::Usage(format!("no zstd context: {e}")))
}

pub(super) fn encode(compressor: &mut zstd::bulk::Compressor<'static>, pixels: &[u8]) -> Result<Vec<u8>> {
    compressor.compress(pixels).map_err(|e| Error::Usage(format!("zstd cannot compress {} bytes: {e}", pixels.len())))
}

pub(super) fn decode(
    decompressor: &mut zstd::bulk::Decompressor<'static>,
    bytes: &[u8],
    out: &mut [u8],
) -> Result<(), String> {
    match decompressor.decompress_to_buffer(bytes, out) {
        Ok(n) if n == out.len() => Ok(()),
        Ok(n) => Err(format!("zstd frame of {n} bytes where the image has {}", out.len())),
        Err(e) => Err(format!("zstd: {e}")),
    }
}
