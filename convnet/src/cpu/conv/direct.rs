//! Convolution as matrix products of pixels with packed weights: forward pass and data gradient,
//! for any geometry.
//!
//! Both gather: a destination pixel is a sum over the taps of the kernel, of a source pixel times a
//! weight matrix. The source pixels are read from the image, without im2col. The forward pass steps
//! through the source by the stride. The data gradient divides the input pixels into stride x
//! stride classes. All pixels of a class have the same taps, so each class is a convolution with
//! stride 1, and no multiplication is wasted.
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

/// Least and largest number of destination pixels per block: enough to outweigh reading the
/// weights, few enough to use all threads.
const BLOCK_PIXELS: (usize, usize) = (96, 256);

/// A class of destination pixels, those at rows and columns `offset + i * step`: its taps, and the
/// weights of these taps.
pub(crate) struct Class {
    /// First destination row and column of the class.
    pub offset: (usize, usize),
    pub rows: Taps,
    pub cols: Taps,
    /// Panels of destination channels. Each is [rows.count, cols.count, source channels, panel
    /// width].
    pub weights: Vec<f32>,
}

/// All classes of a convolution: `classes.len() == step * step`, and each destination pixel is in
/// one class.
pub(crate) struct Gather {
    pub isa: Isa,
    pub src: Images,
    pub dst: Images,
    /// Distance between neighbouring pixels of a class in the destination.
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
        // A group is `step` rows of one image, or fewer at its lower edge. A block is some
        // consecutive groups; it can span images.
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
                // SAFETY: each pixel of the block is in one class, and `multiply` writes all
                // channels of the pixels of a class.
                let out = unsafe { written(out) };
                finish.finish((image * dst.h + index * self.step) * dst.w * dst.c, out);
            },
        );
        // SAFETY: the blocks cover all pixels, and each block was written.
        unsafe { out.into_written() }
    }

    /// Returns the border of zeros that the classes need around the source.
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

    /// Adds the pixels of a destination row to `places`.
    ///
    /// It is row `index` of the class in its image, and row `row` of the block.
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

/// Source and destination positions of the pixels of a block. Blocks reuse the memory.
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
