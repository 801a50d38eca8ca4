//! Codec 3, `lz4`: one LZ4 block without a size prefix, because the index has the size. LZ4-HC
//! compresses it.

#[cfg(feature = "write")]
use crate::error::{Error, Result};

/// Compresses `pixels` to one block.
#[cfg(feature = "write")]
pub(super) fn encode(pixels: &[u8], level: i32) -> Result<Vec<u8>> {
    let mode = lz4::block::CompressionMode::HIGHCOMPRESSION(level);
    lz4::block::compress(pixels, Some(mode), false)
        .map_err(|e| Error::Usage(format!("LZ4 cannot compress {} bytes: {e}", pixels.len())))
}

/// Decompresses one block, whose content must fill `out` exactly.
pub(super) fn decode(bytes: &[u8], out: &mut [u8]) -> Result<(), String> {
    // The library takes both sizes as i32. An image has at most 2^28 bytes, but the file may state
    // more stored bytes.
    if i32::try_from(bytes.len()).is_err() {
        return Err(format!("its LZ4 block has {} bytes, which is too large", bytes.len()));
    }
    match lz4::block::decompress_to_buffer(bytes, Some(out.len() as i32), out) {
        Ok(n) if n == out.len() => Ok(()),
        Ok(n) => Err(format!("its LZ4 block decodes to {n} bytes, but the image has {}", out.len())),
        Err(e) => Err(format!("LZ4 reports: {e}")),
    }
}
