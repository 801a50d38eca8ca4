//! Codec 3, `lz4`: one LZ4 block without a size prefix (the index knows the size), made by LZ4-HC.

use crate::error::{Error, Result};

pub(super) fn encode(pixels: &[u8], level: i32) -> Result<Vec<u8>> {
    let mode = lz4::block::CompressionMode::HIGHCOMPRESSION(level);
    lz4::block::compress(pixels, Some(mode), false)
        .map_err(|e| Error::Usage(format!("LZ4 cannot compress {} bytes: {e}", pixels.len())))
}

pub(super) fn decode(bytes: &[u8], out: &mut [u8]) -> Result<(), String> {
    // The library takes both sizes as i32: an image has at most 2^28 bytes, but stored bytes are as many as the file says.
    if i32::try_from(bytes.len()).is_err() {
        return Err(format!("LZ4 block of {} stored bytes", bytes.len()));
    }
    match lz4::block::decompress_to_buffer(bytes, Some(out.len() as i32), out) {
        Ok(n) if n == out.len() => Ok(()),
        Ok(n) => Err(format!("LZ4 block of {n} bytes where the image has {}", out.len())),
        Err(e) => Err(format!("LZ4: {e}")),
    }
}
