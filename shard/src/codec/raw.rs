//! Codec 0, `raw`: the pixels without compression, as rows with interleaved channels.

/// Copies the pixels to `out`, which must have the same size.
pub(super) fn decode(bytes: &[u8], out: &mut [u8]) -> Result<(), String> {
    if bytes.len() != out.len() {
        return Err(format!("it has {} bytes of raw pixels, but the image has {}", bytes.len(), out.len()));
    }
    out.copy_from_slice(bytes);
    Ok(())
}
