//! Convolution on the CPU.
//!
//! Winograd's algorithm computes most 3 x 3 kernels with stride 1. It also computes 7 x 7 kernels with
//! stride 2, on more channels than RGB has. Depthwise kernels are sums per channel. All others are direct
//! matrix products.

mod depthwise;
mod direct;
mod finish;
mod kernels;
mod pack;
mod taps;
mod weight_grad;
mod window;
mod winograd;

#[cfg(test)]
mod tests;

use super::element::Element;
use super::max_pool::maxima;
use super::product::uses_tiles;
use super::simd::Isa;
use super::unwritten::Unwritten;
use crate::geometry::{Conv2dConfig, Geometry, Hw, Images, MaxPool2dConfig};
use depthwise::DepthwiseWeightGrad;
use direct::{Class, Gather, Kernels, joined};
pub(crate) use finish::{Finish, Shift};
use kernels::{Algorithm, ClassKernels};
pub(crate) use kernels::{ForwardKernels, GradientKernels};
use pack::Weights;
use rayon::prelude::*;
use taps::{Axis, Taps};
use weight_grad::WeightGrad;
use winograd::{Strided, Winograd};

impl Geometry {
    /// Returns the sizes along the height and along the width.
    fn axes(&self) -> (Axis, Axis) {
        let (kernel, Conv2dConfig { stride, padding, dilation, .. }) = (self.kernel, self.config);
        (
            Axis { kernel: kernel.h, stride: stride.h, padding: padding.h, dilation: dilation.h },
            Axis { kernel: kernel.w, stride: stride.w, padding: padding.w, dilation: dilation.w },
        )
    }

    /// Returns the weights of all groups of channels.
    fn weights<'a>(&self, data: &'a [f32], transposed: bool, scale: Option<&'a [f32]>) -> Weights<'a> {
        let (outputs, inputs) = (self.output.c, self.input.c / self.config.groups);
        Weights { data, outputs, inputs, positions: self.kernel.product(), transposed, scale }
    }

    /// Returns the Winograd convolution from `src` to `dst`, if it is possible and faster.
    ///
    /// Products of bf16 with tiles are faster than the transforms.
    fn winograd<T: Element>(&self, isa: Isa, src: Images, dst: Images, padding: usize) -> Option<Winograd> {
        if uses_tiles::<T>(isa) {
            return None;
        }
        let Conv2dConfig { stride, padding: Hw { h, w }, dilation, groups } = self.config;
        let plain = h == w && groups == 1 && (stride, dilation) == (Hw::from(1), Hw::from(1));
        (plain && winograd::suits(isa, src, dst, self.kernel)).then_some(Winograd {
            isa,
            src,
            dst,
            kernel: self.kernel.h,
            padding,
        })
    }

    /// Returns the Winograd convolution with stride 2, if it is possible and faster.
    fn strided<T: Element>(&self, isa: Isa) -> Option<Strided> {
        if uses_tiles::<T>(isa) { None } else { Strided::new(isa, self) }
    }

    /// Returns how the forward pass is computed. The weight gradient is computed in the same way.
    fn algorithm<T: Element>(&self, isa: Isa) -> Algorithm {
        if let Some(winograd) = self.winograd::<T>(isa, self.input, self.output, self.config.padding.h) {
            return Algorithm::Winograd(winograd);
        }
        self.strided::<T>(isa).map_or(Algorithm::Direct, Algorithm::Strided)
    }

    /// Returns the weights at `positions` of the kernel, for rows of the taps `cols`, in the layout
    /// that their direct product needs.
    fn direct_kernels<T: Element>(
        &self,
        isa: Isa,
        weights: Weights<'_>,
        positions: &[usize],
        cols: Taps,
    ) -> Kernels<T> {
        if self.is_depthwise() {
            return Kernels::Depthwise(weights.by_position(positions));
        }
        let per_run = if joined(self.config.groups, cols) { cols.count } else { 1 };
        let panels = |weights: Weights<'_>| weights.panels(isa, positions, per_run);
        Kernels::Panels(weights.groups(self.config.groups).map(panels).collect())
    }

    /// Computes the output. `kernels` must [suit](ForwardKernels::suit) the images.
    pub(crate) fn forward<T: Element>(
        &self,
        isa: Isa,
        x: &[T],
        kernels: &ForwardKernels<T>,
        finish: &impl Finish<T>,
    ) -> Vec<T> {
        match (self.algorithm::<T>(isa), kernels) {
            (Algorithm::Winograd(winograd), ForwardKernels::Winograd(kernels)) => winograd.run(x, kernels, finish),
            (Algorithm::Strided(strided), ForwardKernels::Strided(kernels)) => {
                strided.forward(x, (self.input.h, self.input.w), kernels, finish)
            }
            (Algorithm::Direct, ForwardKernels::Direct(kernels)) => {
                let (rows, cols) = self.axes();
                let class = Class { offset: Hw::from(0), rows: rows.taps(), cols: cols.taps(), kernels };
                let classes = vec![class];
                Gather { isa, src: self.input, dst: self.output, step: Hw::from(1), classes }.run(x, finish)
            }
            _ => unreachable!("the layout of the kernels does not suit the images"),
        }
    }

    /// Computes the output like [`Geometry::forward`], and returns the maxima of its windows, [N, rows,
    /// columns, C].
    ///
    /// A thread computes one image after the other, so that its output stays in cache. `finish` is the last
    /// step of each image.
    pub(crate) fn forward_pooled<T: Element>(
        &self,
        isa: Isa,
        x: &[T],
        kernels: &ForwardKernels<T>,
        finish: &impl Finish<T>,
        (pool, rows, cols): (MaxPool2dConfig, usize, usize),
    ) -> Vec<T> {
        let (Images { n, h, w, c }, result) = (self.input, self.output);
        let one = |images: Images| Images { n: 1, ..images };
        let image = Self { input: one(self.input), output: one(result), ..*self };
        let mut out = Unwritten::new(n * rows * cols * result.c);
        let parts = out.slots().par_chunks_mut((rows * cols * result.c).max(1));
        parts.zip(x.par_chunks((h * w * c).max(1))).for_each(|(out, x)| {
            let y = image.forward(isa, x, kernels, finish);
            maxima(pool, &y, (result.h, result.w, result.c), cols, out);
        });
        // SAFETY: there are as many images as parts, and the maxima of each were written.
        #[allow(unsafe_code)]
        unsafe {
            out.into_written()
        }
    }

    /// Returns the Winograd convolution from the gradient of the output to that of the images, if it is possible
    /// and faster.
    fn gradient_winograd<T: Element>(&self, isa: Isa) -> Option<Winograd> {
        let padding = 2_usize.checked_sub(self.config.padding.h)?;
        self.winograd::<T>(isa, self.output, self.input, padding)
    }

    /// Computes the gradient of the images. `kernels` must [suit](GradientKernels::suit) them.
    pub(crate) fn data_grad<T: Element>(&self, isa: Isa, kernels: &GradientKernels<T>, grad: &[T]) -> Vec<T> {
        match (self.gradient_winograd::<T>(isa), kernels) {
            (Some(winograd), GradientKernels::Winograd(kernels)) => winograd.run(grad, kernels, &()),
            (None, GradientKernels::Direct(classes)) => {
                let classes = classes.iter().map(ClassKernels::class).collect();
                Gather { isa, src: self.output, dst: self.input, step: self.config.stride, classes }.run(grad, &())
            }
            _ => unreachable!("the layout of the kernels does not suit the images"),
        }
    }

    pub(crate) fn weight_grad<T: Element>(&self, isa: Isa, x: &[T], grad: &[T]) -> Vec<f32> {
        match self.algorithm::<T>(isa) {
            Algorithm::Winograd(winograd) => return winograd.weight_grad(x, grad),
            Algorithm::Strided(strided) => return strided.weight_grad(x, (self.input.h, self.input.w), grad),
            Algorithm::Direct => {}
        }
        let (rows, cols) = self.axes();
        let (input, output, rows, cols) = (self.input, self.output, rows.taps(), cols.taps());
        if self.is_depthwise() {
            return DepthwiseWeightGrad { isa, input, output, rows, cols }.run(x, grad);
        }
        WeightGrad { isa, input, output, rows, cols, groups: self.config.groups }.run(x, grad)
    }
}
