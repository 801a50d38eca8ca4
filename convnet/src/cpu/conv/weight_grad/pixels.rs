//! Inputs of a weight gradient whose products have one pixel per step.
#![allow(unsafe_code)]

use super::shapes::{Inputs, Slice, WeightGrad};
use crate::cpu::conv::window::{Border, Window, bands_by_image};
use crate::cpu::element::Element;
use crate::cpu::product::{Product, Rows, Runs, Target, panel_width};
use crate::cpu::unwritten::{Unwritten, written};
use crate::geometry::Images;
use std::ops::Range;

/// Number of pixels per matrix product.
const BLOCK_PIXELS: usize = 128;

/// Images. A band is an output row.
pub(super) struct Pixels<'a, T> {
    shapes: &'a WeightGrad,
    input: &'a [T],
    border: Border,
}

impl<'a, T: Element> Pixels<'a, T> {
    pub(super) fn new(shapes: &'a WeightGrad, input: &'a [T]) -> Self {
        assert_eq!(T::STEP, 1, "a step of one pixel");
        let (top, bottom) = shapes.rows.missing(shapes.input.h, shapes.output.h);
        let (left, right) = shapes.cols.missing(shapes.input.w, shapes.output.w);
        Self { shapes, input, border: Border { top, bottom, left, right } }
    }
}

impl<T: Element> Inputs<T> for Pixels<'_, T> {
    fn bands(&self) -> usize {
        self.shapes.output.n * self.shapes.output.h
    }

    fn sums(&self, slice: &Slice, bands: Range<usize>, grad: &[T]) -> Vec<f32> {
        let WeightGrad { isa, output, rows, cols, groups, .. } = *self.shapes;
        let Images { h, w, c: o, .. } = output;
        let (c, border) = (self.shapes.input.c, self.border);
        let (inputs, width) = (c / groups, slice.channels.len());
        let pitch = (border.left + self.shapes.input.w + border.right) * c;
        let taps = rows.distances().flat_map(|y| cols.distances().map(move |x| y * pitch + x * c));
        let columns: Vec<usize> =
            taps.flat_map(|tap| (0..inputs).map(move |channel| tap + slice.group * inputs + channel)).collect();
        let targets: Vec<usize> = (0..columns.len()).map(|row| row * width).collect();
        let mut sum = Unwritten::new(columns.len() * width);
        let (mut panels, mut window) = (Vec::new(), Window::default());
        assert!(!bands.is_empty(), "a task without rows");
        for first in bands.clone().step_by((BLOCK_PIXELS / w).max(1)) {
            let block = first..bands.end.min(first + (BLOCK_PIXELS / w).max(1));
            let grad = &grad[block.start * w * o..block.end * w * o];
            pack(grad, o, slice.channels.clone(), panel_width(isa), &mut panels);
            let (image, bands_of) = bands_by_image(&block, h);
            let reached = bands_of.map(|bands| rows.reach(bands));
            let (data, images) = window.fill(self.input, self.shapes.input, (border, 0), image, reached);
            let start = |band: usize| {
                let (row, place) = images[band / h - image];
                let y = (band % h * rows.step) as isize + rows.first - row;
                place + (y * pitch as isize + (border.left as isize + cols.first) * c as isize) as usize
            };
            let starts: Vec<usize> = block.map(start).collect();
            let runs = Runs { starts: &starts, len: w, step: cols.step * c };
            let target = if first == bands.start {
                Target::unwritten(sum.slots(), &targets, width)
            } else {
                // SAFETY: the first product wrote `width` values of each row.
                Target::sum(unsafe { written(sum.slots()) }, &targets, width)
            };
            Product { rows: Rows { data, starts: &columns, runs }, panels: &panels, target }.run(isa);
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
