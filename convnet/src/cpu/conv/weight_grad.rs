//! The weight gradient of a convolution of any geometry.
//!
//! The gradient is a matrix [taps x input channels, output channels]. It is a sum over all output
//! pixels, of a column of inputs times a row of output gradients. It is split into fixed tasks:
//! slices of output channels times parts of the output rows. The sums of the parts are added in
//! their order. Each group of channels has its own slices.
//!
//! A step of the products is two neighbouring pixels if the values are bf16. Their values are not
//! neighbours in memory, so both operands are copied with the pixels in pairs.
#![allow(unsafe_code)]

use super::pack::{Border, pad};
use super::taps::Taps;
use crate::cpu::element::Element;
use crate::cpu::parallel::split_by_lengths;
use crate::cpu::product::{Product, Rows, Runs, Target, panel_width};
use crate::cpu::simd::Isa;
use crate::cpu::unwritten::{Unwritten, written};
use crate::geometry::Images;
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;

/// Approximate bytes of the gradient per task. They stay in cache while the task reads pixels.
const SLICE_BYTES: usize = 1 << 20;
/// Number of pixels per matrix product.
const BLOCK_PIXELS: usize = 128;
/// Desired number of tasks.
const TASKS: usize = 16;
/// Least number of pixels per part.
const PART_PIXELS: usize = 256;

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
struct Slice {
    group: usize,
    channels: Range<usize>,
}

impl WeightGrad {
    /// Returns the gradient in OIHW order.
    pub(crate) fn run<T: Element>(&self, input: &[T], grad: &[T]) -> Vec<f32> {
        let (c, o) = (self.input.c / self.groups, self.output.c / self.groups);
        let depth = self.rows.count * self.cols.count * c;
        let out_rows = self.output.n * self.output.h;
        if out_rows * self.output.w * depth * o == 0 {
            return vec![0f32; self.groups * o * depth];
        }
        let (top, bottom) = self.rows.missing(self.input.h, self.output.h);
        let (left, right) = self.cols.missing(self.input.w, self.output.w);
        let (input, padded) = pad(input, self.input, Border { top, bottom, left, right }, 0);
        let input = if T::STEP == 1 { input } else { Cow::Owned(with_next(&input, padded, self.cols.step)) };

        let len = o.div_ceil((depth * o * 4).div_ceil(SLICE_BYTES)).next_multiple_of(panel_width(self.isa));
        let slices_of = |group: usize| {
            let slice = move |first| Slice { group, channels: group * o + first..group * o + o.min(first + len) };
            (0..o).step_by(len).map(slice)
        };
        let slices: Vec<Slice> = (0..self.groups).flat_map(slices_of).collect();
        let parts = TASKS.div_ceil(slices.len()).min(out_rows * self.output.w / PART_PIXELS).clamp(1, out_rows);
        let rows_of = |part: usize| out_rows * part / parts..out_rows * (part + 1) / parts;
        let sums: Vec<Vec<f32>> = (0..slices.len() * parts)
            .into_par_iter()
            .map(|at| self.partial(&slices[at / parts], rows_of(at % parts), &input, padded, grad))
            .collect();
        self.gather_oihw(&slices, &sums, parts)
    }

    /// Returns the sums of a slice over some output rows, counted across images, as [depth, channels
    /// of the slice].
    fn partial<T: Element>(
        &self,
        slice: &Slice,
        rows: Range<usize>,
        input: &[T],
        padded: Images,
        grad: &[T],
    ) -> Vec<f32> {
        let Images { h, w, c: o, .. } = self.output;
        // A value has as many neighbours in memory as pixels in a step.
        let (c, inputs) = (padded.c * T::STEP, padded.c / self.groups);
        let cols = slice.channels.len();
        let pitch = padded.w * c;
        let taps = self.rows.distances().flat_map(|y| self.cols.distances().map(move |x| y * pitch + x * c));
        let columns: Vec<usize> = taps
            .flat_map(|tap| (0..inputs).map(move |channel| tap + (slice.group * inputs + channel) * T::STEP))
            .collect();
        let targets: Vec<usize> = (0..columns.len()).map(|row| row * cols).collect();
        let mut sum = Unwritten::new(columns.len() * cols);
        let width = panel_width(self.isa);
        let mut panels = Vec::new();
        let rows: Vec<usize> = rows.collect();
        assert!(!rows.is_empty(), "a task without rows");
        for (at, rows) in rows.chunks((BLOCK_PIXELS / w).max(1)).enumerate() {
            let grad = &grad[rows[0] * w * o..][..rows.len() * w * o];
            pack_pixels(grad, (w, o), slice.channels.clone(), width, &mut panels);
            let starts: Vec<usize> =
                rows.iter().map(|row| (row / h * padded.h + row % h * self.rows.step) * pitch).collect();
            let runs = Runs { starts: &starts, len: w.div_ceil(T::STEP), step: T::STEP * self.cols.step * c };
            let target = if at == 0 {
                Target::unwritten(sum.slots(), &targets, cols)
            } else {
                // SAFETY: the first product wrote `cols` values of each row.
                Target::sum(unsafe { written(sum.slots()) }, &targets, cols)
            };
            self.isa.run(Product { rows: Rows { data: input, starts: &columns, runs }, panels: &panels, target });
        }
        // SAFETY: there are rows, so there was a first product, and it wrote `cols` values of each
        // row.
        unsafe { sum.into_written() }
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

/// Returns each value of the images with that of the pixel `step` columns further: [N, H, W, C, 2].
/// Outside the image, the value is 0.
fn with_next<T: Element>(input: &[T], images: Images, step: usize) -> Vec<T> {
    let (row, distance) = (images.w * images.c, step * images.c);
    let mut out = vec![T::default(); 2 * input.len()];
    if row > 0 {
        out.par_chunks_mut(2 * row).zip(input.par_chunks(row)).for_each(|(out, input)| {
            let next = input[distance.min(row)..].iter().copied().chain(std::iter::repeat(T::default()));
            for ((out, &value), next) in out.chunks_exact_mut(2).zip(input).zip(next) {
                out[0] = value;
                out[1] = next;
            }
        });
    }
    out
}

/// Packs channels of rows of `w` pixels with `c` channels into panels of `width` channels, each
/// [rows, steps of a row, `width`, pixels of a step]. Channels after the last one, and pixels after
/// the end of a row, are 0.
fn pack_pixels<T: Element>(
    pixels: &[T],
    (w, c): (usize, usize),
    channels: Range<usize>,
    width: usize,
    panels: &mut Vec<T>,
) {
    panels.clear();
    for first in channels.clone().step_by(width) {
        let lanes = first..channels.end.min(first + width);
        if T::STEP == 1 {
            for pixel in pixels.chunks_exact(c) {
                panels.extend_from_slice(&pixel[lanes.clone()]);
                panels.extend(std::iter::repeat_n(T::default(), width - lanes.len()));
            }
            continue;
        }
        for row in pixels.chunks_exact(w * c) {
            for step in row.chunks(T::STEP * c) {
                let start = panels.len();
                panels.resize(start + T::STEP * width, T::default());
                for (k, pixel) in step.chunks_exact(c).enumerate() {
                    let places = panels[start + k..].iter_mut().step_by(T::STEP);
                    places.zip(&pixel[lanes.clone()]).for_each(|(place, &value)| *place = value);
                }
            }
        }
    }
}
