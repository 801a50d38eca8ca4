//! The kernels of a forward pass, in the layout that its products need.

use super::direct::Kernels;
use super::winograd::{Strided, Winograd};
use crate::cpu::aligned::Aligned;
use crate::cpu::element::Element;
use crate::cpu::simd::Isa;
use crate::geometry::Geometry;

/// How a forward pass is computed.
pub(super) enum Algorithm {
    Winograd(Winograd),
    Strided(Strided),
    Direct,
}

/// The kernels of a forward pass. They depend on the weights, and on the images only through the algorithm.
pub(crate) enum ForwardKernels<T> {
    Winograd(Aligned<f32>),
    Strided(Aligned<f32>),
    Direct(Kernels<T>),
}

impl<T: Element> ForwardKernels<T> {
    /// Returns the kernels of `weight`, OIHW, for images of `geometry`. The weights of output channel o are
    /// multiplied by `scale[o]`.
    pub(crate) fn new(geometry: &Geometry, isa: Isa, weight: &[f32], scale: Option<&[f32]>) -> Self {
        let weights = geometry.weights(weight, false, scale);
        match geometry.algorithm::<T>(isa) {
            Algorithm::Winograd(winograd) => Self::Winograd(winograd.kernels(weights)),
            Algorithm::Strided(strided) => Self::Strided(strided.kernels(weight, scale)),
            Algorithm::Direct => {
                let positions: Vec<usize> = (0..geometry.kernel.product()).collect();
                Self::Direct(geometry.direct_kernels(isa, weights, &positions, geometry.axes().1.taps()))
            }
        }
    }

    /// Returns whether images of `geometry` need kernels of this layout.
    pub(crate) fn suit(&self, geometry: &Geometry, isa: Isa) -> bool {
        matches!(
            (self, geometry.algorithm::<T>(isa)),
            (Self::Winograd(_), Algorithm::Winograd(_))
                | (Self::Strided(_), Algorithm::Strided(_))
                | (Self::Direct(_), Algorithm::Direct)
        )
    }
}
