//! The weight gradient of a convolution of any geometry.
//!
//! The gradient is a matrix [taps x input channels, output channels]. It is a sum over all output
//! pixels, of a column of inputs times a row of output gradients. It is split into fixed tasks:
//! slices of output channels times groups of output rows. The sums of the groups are added in group
//! order.
#![allow(unsafe_code)]

use super::pack::{Border, pad};
use super::taps::Taps;
use crate::cpu::product::{Product, Rows, Runs, Target, panel_width};
use crate::cpu::simd::Isa;
use crate::cpu::unwritten::{Unwritten, written};
use crate::geometry::Images;
use rayon::prelude::*;
use std::ops::Range;

/// Approximate bytes of the gradient per task. They stay in cache while the task reads pixels.
const SLICE_BYTES: usize = 1 << 20;
/// Number of pixels per matrix product.
const BLOCK_PIXELS: usize = 128;
/// Desired number of tasks.
const TASKS: usize = 16;
/// Least number of pixels per group.
const GROUP_PIXELS: usize = 256;

/// The shapes of a convolution whose weight gradient is computed.
pub(crate) struct WeightGrad {
    pub isa: Isa,
    pub input: Images,
    pub output: Images,
    pub rows: Taps,
    pub cols: Taps,
}

/// A task: some output channels, summed over some output rows. Rows are counted across images.
struct Task {
    channels: Range<usize>,
    rows: Range<usize>,
}

impl WeightGrad {
    /// Returns the gradient in OIHW order.
    pub(crate) fn run(&self, input: &[f32], grad: &[f32]) -> Vec<f32> {
        let (c, o) = (self.input.c, self.output.c);
        let depth = self.rows.count * self.cols.count * c;
        let out_rows = self.output.n * self.output.h;
        if out_rows * self.output.w * depth * o == 0 {
            return vec![0f32; o * depth];
        }
        let (top, bottom) = self.rows.missing(self.input.h, self.output.h);
        let (left, right) = self.cols.missing(self.input.w, self.output.w);
        let (input, padded) = pad(input, self.input, Border { top, bottom, left, right });

        let width = panel_width(self.isa);
        let slices = (depth * o * 4).div_ceil(SLICE_BYTES);
        let slice = o.div_ceil(slices).next_multiple_of(width);
        let slices = o.div_ceil(slice);
        let groups = TASKS.div_ceil(slices).min(out_rows * self.output.w / GROUP_PIXELS).clamp(1, out_rows);
        let tasks: Vec<Task> = (0..slices)
            .flat_map(|at| {
                (0..groups).map(move |group| Task {
                    channels: at * slice..o.min((at + 1) * slice),
                    rows: out_rows * group / groups..out_rows * (group + 1) / groups,
                })
            })
            .collect();
        let sums: Vec<Vec<f32>> = tasks.par_iter().map(|task| self.partial(task, &input, padded, grad)).collect();
        self.gather_oihw(&sums, groups, slice)
    }

    /// Returns the sums over the rows of the task, as [depth, channels of the task].
    fn partial(&self, task: &Task, input: &[f32], padded: Images, grad: &[f32]) -> Vec<f32> {
        let Images { h, w, c: o, .. } = self.output;
        let c = padded.c;
        let cols = task.channels.len();
        let pitch = padded.w * c;
        let row_len = self.cols.count * c;
        let columns: Vec<usize> = (0..self.rows.count).flat_map(|y| (0..row_len).map(move |x| y * pitch + x)).collect();
        let targets: Vec<usize> = (0..columns.len()).map(|row| row * cols).collect();
        let mut sum = Unwritten::new(columns.len() * cols);
        let width = panel_width(self.isa);
        let mut panels = Vec::new();
        let rows: Vec<usize> = task.rows.clone().collect();
        assert!(!rows.is_empty(), "a task without rows");
        for (at, rows) in rows.chunks((BLOCK_PIXELS / w).max(1)).enumerate() {
            let pixels = rows.len() * w;
            let grad = &grad[rows[0] * w * o..][..pixels * o];
            pack_pixels(grad, o, task.channels.clone(), width, &mut panels);
            let starts: Vec<usize> =
                rows.iter().map(|row| (row / h * padded.h + row % h * self.rows.step) * pitch).collect();
            let runs = Runs { starts: &starts, len: w, step: self.cols.step * c };
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

    /// Adds the sums of the groups, and returns them in OIHW order.
    fn gather_oihw(&self, sums: &[Vec<f32>], groups: usize, slice: usize) -> Vec<f32> {
        let (taps, c, o) = (self.rows.count * self.cols.count, self.input.c, self.output.c);
        assert_eq!(sums.len(), o.div_ceil(slice) * groups, "a slice of channels without its sums");
        let mut out = Unwritten::new(o * c * taps);
        out.slots().par_chunks_mut(slice * c * taps).zip(sums.par_chunks(groups)).for_each(|(out, sums)| {
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
        // SAFETY: the slices cover all output channels, as asserted above, and each tap of each
        // channel is written.
        unsafe { out.into_written() }
    }
}

/// Packs channels of pixels into panels of `width` channels, each [pixels, `width`]. Channels after
/// the last one are 0.
fn pack_pixels(pixels: &[f32], c: usize, channels: Range<usize>, width: usize, panels: &mut Vec<f32>) {
    panels.clear();
    for first in channels.clone().step_by(width) {
        let lanes = first..channels.end.min(first + width);
        for pixel in pixels.chunks_exact(c) {
            panels.extend_from_slice(&pixel[lanes.clone()]);
            panels.extend(std::iter::repeat_n(0., width - lanes.len()));
        }
    }
}
