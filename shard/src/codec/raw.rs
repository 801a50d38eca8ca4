//! Codec 0, `raw`: the samples without compression.

/// Checks that the stored bytes have the size of the record.
pub(super) fn check(bytes: &[u8], expected: usize) -> Result<(), String> {
    if bytes.len() == expected {
        return Ok(());
    }
    Err(format!("it has {} bytes of raw samples, but the record has {expected}", bytes.len()))
}
