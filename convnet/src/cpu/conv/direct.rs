//! Convolution as products of pixels' neighbourhoods, read where they are, with packed weights: the forward pass and the data
//! gradient of any geometry.
//!
//! Both gather: a destination pixel is the sum over the kernel's taps of a source pixel times a weight matrix. The forward
//! pass steps through the source by the stride. The data gradient splits the input pixels into stride x stride classes; all
//! pixels of a class see the same taps, so that each class is a convolution with stride 1 and no multiplication is wasted.
#![allow(unsafe_code)]

use super::finish::Finish;
use super::pack::{Border, pad};
use super::taps::Taps;
use crate::cpu::parallel::split_by_lengths;
use crate::cpu::product::{Product, Rows, Runs, Target};
use crate::cpu::simd::Isa;
use crate::cpu::unwritten::{Unwritten, written};
use crate::geometry::Images;
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Destination pixels in a block: enough to make up for reading the weights, few enough to share the work out.
const BLOCK_PIXELS: (usize, usize) = (96, 256);

/// The pixels of one class: destination rows and columns `offset + i * step`, the taps they see and the weights of those taps.
pub(crate) struct Class {
    /// First destination row and column of the class.
    pub offset: (usize, usize),
    pub rows: Taps,
    pub cols: Taps,
    /// Panels of destination channels, each [rows.count, cols.count, source channels, panel width].
    pub weights: Vec<f32>,
}

/// A whole gather: `classes.len() == step * step`, every destination pixel belongs to one class.
pub(crate) struct Gather {
    pub isa: Isa,
    pub src: Images,
    pub dst: Images,
    /// Distance of the pixels of a class in the destination.
    pub step: usize,
    pub classes: Vec<Class>,
}

impl Gather {
    /// Computes the destination.
    pub(crate) fn run(&self, src: &[f32], finish: &impl Finish) -> Vec<f32> {
        let dst = self.dst;
        if dst.len() == 0 || src.is_empty() {
            return vec![0f32; dst.len()];
        }
        assert_eq!(self.classes.len(), self.step * self.step, "a gather without all of its classes");
        let mut out = Unwritten::new(dst.len());
        let border = self.border();
        let (src, padded) = pad(src, self.src, border);
        // A group is `step` rows of one image (fewer at its lower edge); a block is some groups, across images.
        let groups_per_image = dst.h.div_ceil(self.step);
        let groups = dst.n * groups_per_image;
        let rows_of = |group: usize| (dst.h - group % groups_per_image * self.step).min(self.step);
        let pixels_per_group = dst.w.div_ceil(self.step);
        let wanted = (groups * pixels_per_group / 16).clamp(BLOCK_PIXELS.0, BLOCK_PIXELS.1);
        let groups_per_block = (wanted / pixels_per_group).max(1);
        let blocks: Vec<Range<usize>> =
            (0..groups).step_by(groups_per_block).map(|first| first..(first + groups_per_block).min(groups)).collect();
        let lengths = blocks.iter().map(|block| block.clone().map(rows_of).sum::<usize>() * dst.w * dst.c);
        split_by_lengths(out.slots(), lengths).into_par_iter().zip(blocks).for_each_init(
            Places::default,
            |places, (out, block)| {
                for class in &self.classes {
                    places.clear();
                    let mut at = 0;
                    for group in block.clone() {
                        let (image, index) = (group / groups_per_image, group % groups_per_image);
                        if class.offset.0 < rows_of(group) {
                            self.place_row(class, (image, index), padded, border, at + class.offset.0, places);
                        }
                        at += rows_of(group);
                    }
                    self.multiply(class, &src, padded, places, out);
                }
                let (image, index) = (block.start / groups_per_image, block.start % groups_per_image);
                // SAFETY: every pixel of the block belongs to one class, and `multiply` writes all channels of a class' pixels.
                let out = unsafe { written(out) };
                finish.finish((image * dst.h + index * self.step) * dst.w * dst.c, out);
            },
        );
        // SAFETY: the blocks cover everything, and each was written.
        unsafe { out.into_written() }
    }

    /// The zeros that the classes need around the source.
    fn border(&self) -> Border {
        let mut border = Border::default();
        for Class { offset, rows, cols, .. } in &self.classes {
            let count = |size: usize, offset: usize| (size + self.step - 1).saturating_sub(offset) / self.step;
            let (top, bottom) = rows.missing(self.src.h, count(self.dst.h, offset.0));
            let (left, right) = cols.missing(self.src.w, count(self.dst.w, offset.1));
            border.top = border.top.max(top);
            border.bottom = border.bottom.max(bottom);
            border.left = border.left.max(left);
            border.right = border.right.max(right);
        }
        border
    }

    /// Adds the pixels of one destination row, the `index`-th of its class in its image and the `row`-th of its block.
    fn place_row(
        &self,
        class: &Class,
        (image, index): (usize, usize),
        src: Images,
        border: Border,
        row: usize,
        places: &mut Places,
    ) {
        let width = (self.dst.w + self.step - 1).saturating_sub(class.offset.1) / self.step;
        let y = (index * class.rows.step + border.top) as isize + class.rows.first;
        let x = border.left as isize + class.cols.first;
        let from = ((image * src.h) as isize + y) * src.w as isize + x;
        let to = row * self.dst.w + class.offset.1;
        places.from.extend((0..width).map(|i| (from as usize + i * class.cols.step) * src.c));
        places.to.extend((0..width).map(|i| (to + i * self.step) * self.dst.c));
    }

    /// Writes all channels of the pixels in `places`.
    fn multiply(&self, class: &Class, data: &[f32], src: Images, places: &mut Places, out: &mut [MaybeUninit<f32>]) {
        if class.rows.count * class.cols.count == 0 {
            for &to in &places.to {
                out[to..to + self.dst.c].fill(MaybeUninit::new(0.));
            }
            return;
        }
        places.runs.extend((0..class.rows.count).map(|y| y * src.w * src.c));
        let runs = Runs { starts: &places.runs, len: class.cols.count * src.c, step: 1 };
        let rows = Rows { data, starts: &places.from, runs };
        let target = Target::unwritten(out, &places.to, self.dst.c);
        self.isa.run(Product { rows, panels: &class.weights, target });
    }
}

/// Where the pixels of a block come from and go to; kept from block to block.
#[derive(Default)]
struct Places {
    from: Vec<usize>,
    to: Vec<usize>,
    runs: Vec<usize>,
}

impl Places {
    fn clear(&mut self) {
        self.from.clear();
        self.to.clear();
        self.runs.clear();
    }
}
