//! Inputs of a weight gradient whose products have one pixel per step.
#![allow(unsafe_code)]

use super::shapes::{Inputs, Slice, WeightGrad};
use crate::cpu::conv::pack::{Border, Padded, pad};
use crate::cpu::element::Element;
use crate::cpu::product::{Product, Rows, Runs, Target, panel_width};
use crate::cpu::unwritten::{Unwritten, written};
use crate::geometry::Images;
use std::ops::Range;

/// Number of pixels per matrix product.
const BLOCK_PIXELS: usize = 128;

/// Images with a border of zeros. A band is an output row.
pub(super) struct Pixels<'a, T> {
    shapes: &'a WeightGrad,
    input: Padded<'a, T>,
    padded: Images,
}

impl<'a, T: Element> Pixels<'a, T> {
    pub(super) fn new(shapes: &'a WeightGrad, input: &'a [T]) -> Self {
        assert_eq!(T::STEP, 1, "a step of one pixel");
        let (top, bottom) = shapes.rows.missing(shapes.input.h, shapes.output.h);
        let (left, right) = shapes.cols.missing(shapes.input.w, shapes.output.w);
        let (input, padded) = pad(input, shapes.input, Border { top, bottom, left, right });
        Self { shapes, input, padded }
    }
}

impl<T: Element> Inputs<T> for Pixels<'_, T> {
    fn bands(&self) -> usize {
        self.shapes.output.n * self.shapes.output.h
    }

    fn sums(&self, slice: &Slice, bands: Range<usize>, grad: &[T]) -> Vec<f32> {
        let WeightGrad { isa, output, rows, cols, groups, .. } = *self.shapes;
        let (Images { h, w, c: o, .. }, padded) = (output, self.padded);
        let (inputs, width) = (padded.c / groups, slice.channels.len());
        let pitch = padded.w * padded.c;
        let taps = rows.distances().flat_map(|y| cols.distances().map(move |x| y * pitch + x * padded.c));
        let columns: Vec<usize> =
            taps.flat_map(|tap| (0..inputs).map(move |channel| tap + slice.group * inputs + channel)).collect();
        let targets: Vec<usize> = (0..columns.len()).map(|row| row * width).collect();
        let mut sum = Unwritten::new(columns.len() * width);
        let mut panels = Vec::new();
        let bands: Vec<usize> = bands.collect();
        assert!(!bands.is_empty(), "a task without rows");
        for (at, bands) in bands.chunks((BLOCK_PIXELS / w).max(1)).enumerate() {
            let grad = &grad[bands[0] * w * o..][..bands.len() * w * o];
            pack(grad, o, slice.channels.clone(), panel_width(isa), &mut panels);
            let starts: Vec<usize> =
                bands.iter().map(|row| (row / h * padded.h + row % h * rows.step) * pitch).collect();
            let runs = Runs { starts: &starts, len: w, step: cols.step * padded.c };
            let target = if at == 0 {
                Target::unwritten(sum.slots(), &targets, width)
            } else {
                // SAFETY: the first product wrote `width` values of each row.
                Target::sum(unsafe { written(sum.slots()) }, &targets, width)
            };
            Product { rows: Rows { data: &self.input, starts: &columns, runs }, panels: &panels, target }.run(isa);
        }
        // SAFETY: there are bands, so there was a first product, and it wrote `width` values of each
        // row.
        unsafe { sum.into_written() }
    }
}

/// Packs channels of pixels with `c` channels into panels of `width` channels, each [pixels, `width`].
/// Channels after the last one are 0.
fn pack<T: Element>(pixels: &[T], c: usize, channels: Range<usize>, width: usize, panels: &mut Vec<T>) {
    panels.clear();
    for first in channels.clone().step_by(width) {
        let lanes = first..channels.end.min(first + width);
        for pixel in pixels.chunks_exact(c) {
            panels.extend_from_slice(&pixel[lanes.clone()]);
            panels.extend(std::iter::repeat_n(T::default(), width - lanes.len()));
        }
    }
}
