//! Which convolutions are computed so.

use super::transform::{OUT, PRODUCTS};
use crate::cpu::product::panel_width;
use crate::cpu::simd::Isa;
use crate::geometry::Images;

/// A convolution that [`suits`].
#[derive(Clone, Copy)]
pub(crate) struct Winograd {
    pub isa: Isa,
    pub src: Images,
    pub dst: Images,
    /// Zeros around the source, in pixels.
    pub padding: usize,
}

/// Whether a convolution from `src` to `dst` by a kernel of `kernel` and `stride` can be computed so, and gains by it.
pub(crate) fn suits(isa: Isa, src: Images, dst: Images, kernel: (usize, usize), stride: usize) -> bool {
    let width = panel_width(isa);
    // Tiles that hang over the edge waste products.
    let products = dst.h.div_ceil(OUT) * dst.w.div_ceil(OUT) * PRODUCTS;
    kernel == (3, 3)
        && stride == 1
        && src.c.is_multiple_of(width)
        && dst.c.is_multiple_of(width)
        && src.len() > 0
        && dst.len() > 0
        && 2 * products <= dst.h * dst.w * 9
}

/// Bytes of planes that a block may fill: a share of the last-level cache.
pub(super) const BLOCK_BYTES: usize = 6 << 20;
