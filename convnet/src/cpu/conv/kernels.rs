//! The kernels of a convolution, in the layout that its products need.

use super::direct::{Class, Kernels};
use super::taps::Taps;
use super::winograd::{Strided, Winograd};
use crate::cpu::aligned::Aligned;
use crate::cpu::element::Element;
use crate::cpu::simd::Isa;
use crate::geometry::{Geometry, Hw};

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

/// The kernels of the gradient of the images.
pub(crate) enum GradientKernels<T> {
    Winograd(Aligned<f32>),
    /// Those of each class of pixels, whose rows and columns are `offset + i * stride`.
    Direct(Vec<ClassKernels<T>>),
}

/// The kernels of a class of pixels, whose place and taps [`Class`] describes.
pub(crate) struct ClassKernels<T> {
    offset: Hw,
    rows: Taps,
    cols: Taps,
    kernels: Kernels<T>,
}

impl<T: Element> GradientKernels<T> {
    /// Returns the kernels of `weight`, OIHW, for images of `geometry`.
    pub(crate) fn new(geometry: &Geometry, isa: Isa, weight: &[f32]) -> Self {
        let weights = geometry.weights(weight, true, None);
        if let Some(winograd) = geometry.gradient_winograd::<T>(isa) {
            return Self::Winograd(winograd.kernels(weights));
        }
        let (step, (row_axis, col_axis)) = (geometry.config.stride, geometry.axes());
        let mut classes = Vec::with_capacity(step.product());
        for row in 0..step.h {
            for col in 0..step.w {
                let (rows, taps_y) = row_axis.class_taps(row);
                let (cols, taps_x) = col_axis.class_taps(col);
                let positions: Vec<usize> =
                    taps_y.iter().flat_map(|y| taps_x.iter().map(move |x| y * geometry.kernel.w + x)).collect();
                let kernels = geometry.direct_kernels(isa, weights, &positions, cols);
                classes.push(ClassKernels { offset: Hw { h: row, w: col }, rows, cols, kernels });
            }
        }
        Self::Direct(classes)
    }

    /// Returns whether images of `geometry` need kernels of this layout.
    pub(crate) fn suit(&self, geometry: &Geometry, isa: Isa) -> bool {
        matches!(self, Self::Winograd(_)) == geometry.gradient_winograd::<T>(isa).is_some()
    }
}

impl<T> ClassKernels<T> {
    pub(super) fn class(&self) -> Class<'_, T> {
        let Self { offset, rows, cols, ref kernels } = *self;
        Class { offset, rows, cols, kernels }
    }
}
