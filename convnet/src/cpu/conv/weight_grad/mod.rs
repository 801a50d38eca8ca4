//! The weight gradient of a convolution of any geometry.
//!
//! The gradient is a matrix [taps x input channels, output channels]. It is a sum over all output
//! pixels, of a column of inputs times a row of output gradients. It is split into fixed tasks:
//! slices of output channels times parts of the output rows. The sums of the parts are added in
//! their order. Each group of channels has its own slices.
//!
//! A step of the products is one pixel if the values are f32, and two neighbouring pixels if they
//! are bf16. [`Pixels`] reads the first kind from the image. For the second kind, [`Planes`] has the
//! pixels of a channel next to each other.
#![allow(unsafe_code)]

mod pixels;
mod planes;
mod shapes;

use crate::cpu::element::Element;
use crate::cpu::parallel::split_by_lengths;
use crate::cpu::product::panel_width;
use crate::cpu::unwritten::Unwritten;
use pixels::Pixels;
use planes::Planes;
use rayon::prelude::*;
pub(super) use shapes::WeightGrad;
use shapes::{Inputs, Slice};

/// Approximate bytes of the gradient per task. They stay in cache while the task reads pixels.
const SLICE_BYTES: usize = 1 << 20;
/// Desired number of tasks.
const TASKS: usize = 16;
/// Least number of pixels per part.
const PART_PIXELS: usize = 256;

impl WeightGrad {
    /// Returns the gradient in OIHW order.
    pub(crate) fn run<T: Element>(&self, input: &[T], grad: &[T]) -> Vec<f32> {
        let (c, o) = (self.input.c / self.groups, self.output.c / self.groups);
        let depth = self.rows.count * self.cols.count * c;
        let pixels = self.output.n * self.output.h * self.output.w;
        if pixels * depth * o == 0 {
            return vec![0f32; self.groups * o * depth];
        }
        if let (Some(input), Some(grad)) = (T::bf16s(input), T::bf16s(grad)) {
            return self.run_on(&Planes::new(self, input), grad);
        }
        self.run_on(&Pixels::new(self, input), grad)
    }

    fn run_on<T: Element>(&self, inputs: &impl Inputs<T>, grad: &[T]) -> Vec<f32> {
        let (c, o) = (self.input.c / self.groups, self.output.c / self.groups);
        let depth = self.rows.count * self.cols.count * c;
        let len = o.div_ceil((depth * o * 4).div_ceil(SLICE_BYTES)).next_multiple_of(panel_width(self.isa));
        let slices_of = |group: usize| {
            let slice = move |first| Slice { group, channels: group * o + first..group * o + o.min(first + len) };
            (0..o).step_by(len).map(slice)
        };
        let slices: Vec<Slice> = (0..self.groups).flat_map(slices_of).collect();
        let (bands, pixels) = (inputs.bands(), self.output.n * self.output.h * self.output.w);
        let parts = TASKS.div_ceil(slices.len()).min(pixels / PART_PIXELS).clamp(1, bands);
        let bands_of = |part: usize| bands * part / parts..bands * (part + 1) / parts;
        let sums: Vec<Vec<f32>> = (0..slices.len() * parts)
            .into_par_iter()
            .map(|at| inputs.sums(&slices[at / parts], bands_of(at % parts), grad))
            .collect();
        self.gather_oihw(&slices, &sums, parts)
    }

    /// Adds the sums of the parts of each slice, and returns them in OIHW order.
    fn gather_oihw(&self, slices: &[Slice], sums: &[Vec<f32>], parts: usize) -> Vec<f32> {
        let (taps, c) = (self.rows.count * self.cols.count, self.input.c / self.groups);
        assert_eq!(sums.len(), slices.len() * parts, "a slice of channels without its sums");
        let mut out = Unwritten::new(self.output.c * c * taps);
        let lengths = slices.iter().map(|slice| slice.channels.len() * c * taps);
        let slots = split_by_lengths(out.slots(), lengths);
        slots.into_par_iter().zip(sums.par_chunks(parts)).for_each(|(out, sums)| {
            let cols = out.len() / (c * taps);
            let mut totals = vec![0f32; taps * cols];
            for channel in 0..c {
                // The loop adds all taps of a channel, so that it can write whole kernels.
                for (tap, total) in totals.chunks_exact_mut(cols).enumerate() {
                    let row = (tap * c + channel) * cols;
                    total.copy_from_slice(&sums[0][row..row + cols]);
                    for sum in &sums[1..] {
                        total.iter_mut().zip(&sum[row..row + cols]).for_each(|(total, sum)| *total += sum);
                    }
                }
                for (col, out) in out.chunks_exact_mut(c * taps).enumerate() {
                    let kernel = &mut out[channel * taps..(channel + 1) * taps];
                    for (out, total) in kernel.iter_mut().zip(totals[col..].iter().step_by(cols)) {
                        out.write(*total);
                    }
                }
            }
        });
        // SAFETY: the slices cover all output channels, which `split_by_lengths` asserts, and each
        // tap of each channel is written.
        unsafe { out.into_written() }
    }
}
