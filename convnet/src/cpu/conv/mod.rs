//! Convolution on the CPU: Winograd's algorithm for most 3 x 3 kernels with stride 1, direct matrix
//! products for all others.

mod direct;
mod finish;
mod pack;
mod taps;
mod weight_grad;
mod winograd;

#[cfg(test)]
mod tests;

use super::product::panel_width;
use super::simd::Isa;
use crate::geometry::{Conv2dConfig, Geometry, Images};
use direct::{Class, Gather};
pub(crate) use finish::{Finish, Shift};
use pack::Weights;
use taps::Taps;
use weight_grad::WeightGrad;
use winograd::Winograd;

impl Geometry {
    fn taps(&self, count: usize) -> Taps {
        Taps { first: -(self.config.padding as isize), count, step: self.config.stride }
    }

    fn weights<'a>(&self, data: &'a [f32], transposed: bool, scale: Option<&'a [f32]>) -> Weights<'a> {
        let positions = self.kernel.0 * self.kernel.1;
        Weights { data, outputs: self.output.c, inputs: self.input.c, positions, transposed, scale }
    }

    /// Returns the Winograd convolution from `src` to `dst`, if it is possible and faster.
    fn winograd(&self, isa: Isa, src: Images, dst: Images, padding: usize) -> Option<Winograd> {
        winograd::suits(isa, src, dst, self.kernel, self.config.stride).then_some(Winograd { isa, src, dst, padding })
    }

    /// Computes the output. The weights of output channel o are multiplied by `scale[o]`.
    pub(crate) fn forward(
        &self,
        isa: Isa,
        x: &[f32],
        weight: &[f32],
        scale: Option<&[f32]>,
        finish: &impl Finish,
    ) -> Vec<f32> {
        let weights = self.weights(weight, false, scale);
        if let Some(winograd) = self.winograd(isa, self.input, self.output, self.config.padding) {
            return winograd.run(x, weights, finish);
        }
        let (kh, kw) = self.kernel;
        let positions: Vec<usize> = (0..kh * kw).collect();
        let weights = weights.panels(&positions, panel_width(isa));
        let class = Class { offset: (0, 0), rows: self.taps(kh), cols: self.taps(kw), weights };
        Gather { isa, src: self.input, dst: self.output, step: 1, classes: vec![class] }.run(x, finish)
    }

    pub(crate) fn data_grad(&self, isa: Isa, weight: &[f32], grad: &[f32]) -> Vec<f32> {
        if self.config.padding <= 2
            && let Some(winograd) = self.winograd(isa, self.output, self.input, 2 - self.config.padding)
        {
            return winograd.run(grad, self.weights(weight, true, None), &());
        }
        let (stride, weights) = (self.config.stride, self.weights(weight, true, None));
        let mut classes = Vec::with_capacity(stride * stride);
        for row in 0..stride {
            for col in 0..stride {
                let (rows, taps_y) = self.class_taps(row, self.kernel.0);
                let (cols, taps_x) = self.class_taps(col, self.kernel.1);
                let positions: Vec<usize> =
                    taps_y.iter().flat_map(|y| taps_x.iter().map(move |x| y * self.kernel.1 + x)).collect();
                let weights = weights.panels(&positions, panel_width(isa));
                classes.push(Class { offset: (row, col), rows, cols, weights });
            }
        }
        Gather { isa, src: self.output, dst: self.input, step: stride, classes }.run(grad, &())
    }

    /// Returns the kernel positions that connect input positions `offset + i·stride` with outputs.
    ///
    /// A kernel position connects to output `i + (offset + padding - position) / stride`. The
    /// positions are in the order of these outputs.
    fn class_taps(&self, offset: usize, kernel: usize) -> (Taps, Vec<usize>) {
        let Conv2dConfig { stride, padding } = self.config;
        let positions: Vec<usize> = (0..kernel).rev().filter(|k| (offset + padding) % stride == k % stride).collect();
        let first = positions.first().map_or(0, |&k| ((offset + padding) as isize - k as isize) / stride as isize);
        (Taps { first, count: positions.len(), step: 1 }, positions)
    }

    pub(crate) fn weight_grad(&self, isa: Isa, x: &[f32], grad: &[f32]) -> Vec<f32> {
        if let Some(winograd) = self.winograd(isa, self.input, self.output, self.config.padding) {
            return winograd.weight_grad(x, grad);
        }
        let (kh, kw) = self.kernel;
        WeightGrad { isa, input: self.input, output: self.output, rows: self.taps(kh), cols: self.taps(kw) }
            .run(x, grad)
    }
}
