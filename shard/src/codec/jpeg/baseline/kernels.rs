//! The interface of the inner loops, which have one implementation per instruction set.

/// Number of pixels that are converted at a time.
pub(super) const CHUNK: usize = 32;

/// The inner loops for an instruction set.
pub(super) trait Kernels {
    /// Transforms dequantised coefficients to 8 x 8 pixels. The rows of `out` are `stride` bytes
    /// apart.
    fn block(coefficients: &[i32; 64], out: &mut [u8], stride: usize);

    /// Converts YCbCr to interleaved RGB.
    fn convert(luma: &[u8; CHUNK], blue: &[u8; CHUNK], red: &[u8; CHUNK], out: &mut [u8; 3 * CHUNK]);
}
