//! The convolutions that use Winograd's algorithm.

use super::transform::{OUT, PRODUCTS};
use crate::cpu::product::panel_width;
use crate::cpu::simd::Isa;
use crate::geometry::{Hw, Images};

/// A convolution for which [`suits`] returned true.
#[derive(Clone, Copy)]
pub(crate) struct Winograd {
    pub isa: Isa,
    pub src: Images,
    pub dst: Images,
    /// Zeros around the source, in pixels.
    pub padding: usize,
}

/// Returns whether Winograd's algorithm is possible and useful for a convolution from `src` to `dst`
/// with stride 1, without dilation and groups.
pub(crate) fn suits(isa: Isa, src: Images, dst: Images, kernel: Hw) -> bool {
    let width = panel_width(isa);
    // Tiles that cross the edge of the image waste multiplications.
    let products = dst.h.div_ceil(OUT) * dst.w.div_ceil(OUT) * PRODUCTS;
    kernel == Hw::from(3)
        && src.c.is_multiple_of(width)
        && dst.c.is_multiple_of(width)
        && src.len() > 0
        && dst.len() > 0
        && 2 * products <= dst.h * dst.w * 9
}

/// Size of the planes of a block, in bytes, that fits in the last-level cache.
const BLOCK_BYTES: usize = 6 << 20;

/// Returns the largest size of the planes of a block, in bytes, for kernels from `c` to `o` channels.
///
/// Each block reads the planes of all kernels, so a block has at least as many values as the kernels.
pub(super) fn block_bytes(c: usize, o: usize) -> usize {
    BLOCK_BYTES.max(PRODUCTS * c * o * 4)
}
