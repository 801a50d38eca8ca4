//! The shapes of a weight gradient, and what its tasks share.

use crate::cpu::conv::taps::Taps;
use crate::cpu::simd::Isa;
use crate::geometry::Images;
use std::ops::Range;

/// The shapes of a convolution whose weight gradient is computed.
pub(crate) struct WeightGrad {
    pub isa: Isa,
    pub input: Images,
    pub output: Images,
    pub rows: Taps,
    pub cols: Taps,
    /// Number of groups of channels.
    pub groups: usize,
}

/// Some output channels of one group.
#[derive(Clone)]
pub(super) struct Slice {
    pub group: usize,
    pub channels: Range<usize>,
}

/// The inputs of a weight gradient, prepared for products.
pub(super) trait Inputs<T>: Sync {
    /// Returns the number of bands of output rows of one image that are added together.
    fn bands(&self) -> usize;

    /// Returns the sums of a slice over some bands, as [taps, input channels of the group, channels
    /// of the slice].
    fn sums(&self, slice: &Slice, bands: Range<usize>, grad: &[T]) -> Vec<f32>;
}
