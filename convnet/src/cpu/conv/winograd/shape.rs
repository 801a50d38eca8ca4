//! The convolutions that use Winograd's algorithm.

use super::tiles::{CHUNK, Tiles};
use super::transform::{IN, PRODUCTS};
use crate::cpu::product::panel_width;
use crate::cpu::simd::Isa;
use crate::geometry::{Hw, Images};
use std::ops::Range;

/// Side of the kernels of [`suits`].
pub(super) const KERNEL: usize = 3;

/// A convolution with stride 1. The numbers of channels are whole vectors, and those of `dst` whole
/// panels.
#[derive(Clone, Copy)]
pub(crate) struct Winograd {
    pub isa: Isa,
    pub src: Images,
    pub dst: Images,
    /// Side of the kernel: 3 or 4.
    pub kernel: usize,
    /// Zeros around the source, in pixels.
    pub padding: usize,
}

/// Returns whether Winograd's algorithm is possible and useful for a convolution from `src` to `dst`
/// with stride 1, without dilation and groups.
pub(crate) fn suits(isa: Isa, src: Images, dst: Images, kernel: Hw) -> bool {
    let width = panel_width(isa);
    // Tiles that cross the edge of the image waste multiplications.
    let side = tile(KERNEL);
    let products = dst.h.div_ceil(side) * dst.w.div_ceil(side) * PRODUCTS;
    kernel == Hw::from(KERNEL)
        && src.c.is_multiple_of(width)
        && dst.c.is_multiple_of(width)
        && src.len() > 0
        && dst.len() > 0
        && 2 * products <= dst.h * dst.w * 9
}

/// Returns the side of a tile of results of kernels with side `kernel`.
pub(super) fn tile(kernel: usize) -> usize {
    IN + 1 - kernel
}

/// Size of the planes of a block, in bytes, that fits in the last-level cache.
const SHARED_BYTES: usize = 6 << 20;
/// Size of the planes of kernels and of a block, in bytes, that fits in the cache of a core.
const OWN_BYTES: usize = 7 << 18;

/// How threads share the work on a convolution.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Sharing {
    /// Each thread computes blocks of its own. A block has up to [`CHUNK`] tiles, or one row of them.
    /// The planes stay in the cache of the core.
    Blocks,
    /// All threads compute a block together, each some of its planes.
    Planes,
}

impl Winograd {
    pub(super) fn tiles(&self) -> Tiles {
        Tiles::new(self.src, self.dst, self.padding, tile(self.kernel))
    }

    pub(super) fn sharing(&self) -> Sharing {
        let (c, o) = (self.src.c, self.dst.c);
        let bytes = PRODUCTS * (c * o + CHUNK * (c + o)) * size_of::<f32>();
        if bytes <= OWN_BYTES { Sharing::Blocks } else { Sharing::Planes }
    }

    /// Splits all rows of tiles into blocks.
    pub(super) fn blocks(&self, tiles: Tiles) -> Vec<Range<usize>> {
        let (c, o) = (self.src.c, self.dst.c);
        let tile = PRODUCTS * (c + o) * size_of::<f32>();
        let most = match self.sharing() {
            Sharing::Blocks => CHUNK * tile,
            // Each block reads the planes of all kernels, so it is at least as large as these.
            Sharing::Planes => SHARED_BYTES.max(PRODUCTS * c * o * size_of::<f32>()),
        };
        tiles.blocks(most, tile)
    }
}

impl Sharing {
    /// Returns the least number of planes of a block that a thread computes.
    pub(super) fn planes(self) -> usize {
        match self {
            Self::Blocks => PRODUCTS,
            Self::Planes => 1,
        }
    }
}
