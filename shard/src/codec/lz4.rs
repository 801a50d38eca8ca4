//! Codec 3, `lz4`: one LZ4 block without a size prefix (the index knows the size), made by LZ4-HC.

use crate::error::{Error, Result};

pub(super) fn encode(pixels: &[u8], level: i32) -> Result<Vec<u8>> {
    let mode = lz4::block::CompressionMode::HIGHCOMPRESSION(level);
    lz4::block::compress(pixels, Some(mode), false)
        .map_err(|e| Error::Usage(format!("LZ4 cannot compress {} bytes: {e}", pixels.len())))
}

pub(super) fn decode(bytes: &[u8], out: &mut [u8]) -> Result<(), String> {
    // An image has at most 2^28 bytes, so its size fits an i32.
    match lz4::block::decompress_to_buffer(bytes, Some(out.len() as i32), out) {
        Ok(n) if n == out.len() => Ok(()),
        Ok(n) => Err(format!("LZ4 block of {n} bytes where the image has {}", out.len())),
        Err(e) => Err(format!("LZ4: {e}")),
    }
}
