//! The inner loops, which each set of instructions has its own form of.

/// Pixels that are converted at a time.
pub(super) const CHUNK: usize = 32;

/// The inner loops for some set of instructions.
pub(super) trait Kernels {
    /// Writes the 8 x 8 pixels of multiplied coefficients to `out`, whose rows are `stride` apart.
    fn block(coefficients: &[i32; 64], out: &mut [u8], stride: usize);

    /// YCbCr -> interleaved RGB.
    fn convert(luma: &[u8; CHUNK], blue: &[u8; CHUNK], red: &[u8; CHUNK], out: &mut [u8; 3 * CHUNK]);
}
