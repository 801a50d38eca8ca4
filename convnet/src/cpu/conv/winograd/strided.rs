//! Convolution with 7 x 7 kernels and stride 2, as one with 4 x 4 kernels and stride 1.
//!
//! The pixels of a square of 2 x 2 become the channels of one pixel, and the kernels get a row and a
//! column of zeros. Winograd's algorithm then needs a third of the multiplications.

use super::shape::Winograd;
use crate::cpu::aligned::Aligned;
use crate::cpu::conv::finish::Finish;
use crate::cpu::conv::pack::Weights;
use crate::cpu::element::Element;
use crate::cpu::product::panel_width;
use crate::cpu::simd::Isa;
use crate::cpu::unwritten::Unwritten;
use crate::geometry::{Conv2dConfig, Geometry, Hw, Images};
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Side of the kernels.
const KERNEL: usize = 7;
/// Side of the kernels over squares.
const SQUARES: usize = 4;
/// Least number of channels. With fewer, the sums are too short to save time.
const CHANNELS: usize = 8;

/// A convolution for which [`Strided::new`] returned a value.
#[derive(Clone, Copy)]
pub(crate) struct Strided {
    over_squares: Winograd,
    /// Channels of a pixel.
    c: usize,
    /// Rows of zeros before the kernels, and columns: 0 or 1.
    shift: usize,
}

impl Strided {
    /// Returns the convolution over squares, if it is possible and faster.
    pub(crate) fn new(isa: Isa, geometry: &Geometry) -> Option<Self> {
        let Geometry { input: Images { n, h, w, c }, output: dst, kernel, config } = *geometry;
        let Conv2dConfig { stride, padding, dilation, groups } = config;
        let is_strided = (kernel, stride, dilation) == (Hw::from(KERNEL), Hw::from(2), Hw::from(1));
        let fits = dst.c.is_multiple_of(panel_width(isa)) && c >= CHANNELS && n > 0;
        if !(is_strided && fits && padding.h == padding.w && groups == 1) {
            return None;
        }
        // Input row 2·i + k - padding of output row i is row (k + shift) % 2 of square i + (k + shift) / 2 -
        // (padding + shift) / 2.
        let shift = padding.h % 2;
        let src = Images { n, h: h.div_ceil(2), w: w.div_ceil(2), c: (4 * c).next_multiple_of(isa.lanes()) };
        let over_squares = Winograd { isa, src, dst, kernel: SQUARES, padding: padding.h.div_ceil(2) };
        Some(Self { over_squares, c, shift })
    }

    /// Computes the output with what [`Strided::kernels`] returned.
    pub(crate) fn forward<T: Element>(
        &self,
        x: &[T],
        (h, w): (usize, usize),
        kernels: &[f32],
        finish: &impl Finish<T>,
    ) -> Vec<T> {
        self.over_squares.run(&self.squares(x, h, w), kernels, finish)
    }

    /// Returns the transformed weights. Those of output channel o are multiplied by `scale[o]`.
    pub(crate) fn kernels(&self, weight: &[f32], scale: Option<&[f32]>) -> Aligned<f32> {
        let Winograd { src, dst, .. } = self.over_squares;
        let mut data = vec![0f32; dst.c * src.c * SQUARES * SQUARES];
        for (kernels, weight) in data.chunks_exact_mut(src.c * SQUARES * SQUARES).zip(weight.chunks_exact(self.len())) {
            self.places().for_each(|(from, to)| kernels[to] = weight[from]);
        }
        let (outputs, inputs, positions) = (dst.c, src.c, SQUARES * SQUARES);
        let weights = Weights { data: &data, outputs, inputs, positions, transposed: false, scale };
        self.over_squares.kernels(weights)
    }

    /// Returns the gradient of the weights in OIHW order.
    pub(crate) fn weight_grad<T: Element>(&self, x: &[T], (h, w): (usize, usize), grad: &[T]) -> Vec<f32> {
        let Winograd { src, dst, .. } = self.over_squares;
        let data = self.over_squares.weight_grad(&self.squares(x, h, w), grad);
        let mut out = vec![0f32; dst.c * self.len()];
        for (out, kernels) in out.chunks_exact_mut(self.len()).zip(data.chunks_exact(src.c * SQUARES * SQUARES)) {
            self.places().for_each(|(to, from)| out[to] = kernels[from]);
        }
        out
    }

    /// Returns the number of weights of an output channel.
    fn len(&self) -> usize {
        self.c * KERNEL * KERNEL
    }

    /// Returns, for each weight of an output channel, its place and that in the kernels over squares.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        let Self { c, shift, .. } = *self;
        (0..c * KERNEL * KERNEL).map(move |at| {
            let (channel, row, col) = (at / (KERNEL * KERNEL), at / KERNEL % KERNEL + shift, at % KERNEL + shift);
            let channel = (row % 2 * 2 + col % 2) * c + channel;
            (at, (channel * SQUARES + row / 2) * SQUARES + col / 2)
        })
    }

    /// Returns the squares of images of `h` x `w` pixels: [image, row, column, channels of 2 x 2 pixels].
    /// Pixels outside of the image, and channels after the last one, are 0.
    fn squares<T: Element>(&self, x: &[T], h: usize, w: usize) -> Aligned<T> {
        let (Images { n, h: rows, w: cols, c: values }, c) = (self.over_squares.src, self.c);
        assert_eq!(x.len(), n * h * w * c, "images of another size");
        let mut out = Unwritten::aligned(n * rows * cols * values);
        out.slots().par_chunks_mut(cols * values).enumerate().for_each(|(at, out)| {
            let (image, row) = (&x[at / rows * h * w * c..], at % rows * 2);
            let last = h.min(row + 2);
            for (col, out) in out.chunks_exact_mut(values).enumerate() {
                let (first, len) = (col * 2 * c, (w - col * 2).min(2) * c);
                out.fill(MaybeUninit::new(T::default()));
                for y in row..last {
                    out[(y - row) * 2 * c..][..len].write_copy_of_slice(&image[y * w * c + first..][..len]);
                }
            }
        });
        // SAFETY: each value was filled.
        #[allow(unsafe_code)]
        unsafe {
            out.into_aligned()
        }
    }
}
