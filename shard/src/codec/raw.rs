//! Codec 0, `raw`: the pixels themselves, row by row, channels interleaved. The stored size is the decoded size.

/// Copies the pixels.
pub(super) fn decode(bytes: &[u8], out: &mut [u8]) -> Result<(), String> {
    if bytes.len() != out.len() {
        return Err(format!("raw pixels of {} bytes where the image has {}", bytes.len(), out.len()));
    }
    out.copy_from_slice(bytes);
    Ok(())
}
