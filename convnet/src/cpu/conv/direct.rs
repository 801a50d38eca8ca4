//! Convolution as matrix products of pixels with packed weights: forward pass and data gradient,
//! for any geometry.
//!
//! Both gather: a destination pixel is a sum over the taps of the kernel, of a source pixel times a
//! weight matrix. The source pixels are read from the image, without im2col. The forward pass steps
//! through the source by the stride. The data gradient divides the input pixels into stride x
//! stride classes. All pixels of a class have the same taps, so each class is a convolution with
//! stride 1, and no multiplication is wasted. Groups of channels are separate products. If each
//! channel has its own kernel, a weight matrix is diagonal, and [`Depthwise`] replaces the product.
#![allow(unsafe_code)]

use super::depthwise::Depthwise;
use super::finish::Finish;
use super::taps::{Segment, Taps};
use super::window::{Border, Window, bands_by_image};
use crate::cpu::aligned::Aligned;
use crate::cpu::element::Element;
use crate::cpu::parallel::split_by_lengths;
use crate::cpu::product::{Product, Rows, Runs, Target, steps, uses_tiles};
use crate::cpu::simd::Isa;
use crate::cpu::unwritten::{Unwritten, written};
use crate::geometry::{Hw, Images};
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Least and largest number of destination pixels per block: enough to outweigh reading the
/// weights, few enough to use all threads.
const BLOCK_PIXELS: (usize, usize) = (96, 256);

/// The weights of a class, for its taps from the first to the last, row by row.
pub(crate) enum Kernels<T> {
    /// For each group of channels: panels of its destination channels. The runs of a panel are the
    /// rows of the kernel if [`joined`], and single taps otherwise.
    Panels(Vec<Aligned<T>>),
    /// [taps, channels]
    Depthwise(Vec<f32>),
}

/// A class of destination pixels, those at rows and columns `offset + i * step`: its taps, and the
/// weights of these taps.
pub(crate) struct Class<'a, T> {
    /// First destination row and column of the class.
    pub offset: Hw,
    pub rows: Taps,
    pub cols: Taps,
    pub kernels: &'a Kernels<T>,
}

impl<T> Class<'_, T> {
    /// Returns the number of values per run, and of runs per row of the kernel, for `c` source
    /// channels.
    fn runs(&self, c: usize, groups: usize) -> (usize, usize) {
        let taps = self.cols.count;
        if joined(groups, self.cols) { (taps * c, 1) } else { (c / groups, taps) }
    }
}

/// All classes of a convolution: there are as many as pixels in a step, and each destination pixel
/// is in one class.
pub(crate) struct Gather<'a, T> {
    pub isa: Isa,
    pub src: Images,
    pub dst: Images,
    /// Distance between neighbouring pixels of a class in the destination.
    pub step: Hw,
    pub classes: Vec<Class<'a, T>>,
}

impl<T: Element> Gather<'_, T> {
    /// Computes the destination.
    pub(crate) fn run(&self, src: &[T], finish: &impl Finish<T>) -> Vec<T> {
        let dst = self.dst;
        if dst.len() == 0 || src.is_empty() {
            // Sums without summands.
            let mut out = vec![T::default(); dst.len()];
            if !out.is_empty() {
                finish.finish(0, &mut out);
            }
            return out;
        }
        assert_eq!(self.classes.len(), self.step.product(), "a gather without all of its classes");
        let mut out = Unwritten::new(dst.len());
        let (border, slack) = (self.border(), self.slack());
        let width = border.left + self.src.w + border.right;
        // A band is `step.h` rows of one image, or fewer at its lower edge. A block is some
        // consecutive bands; it can span images.
        let bands_per_image = dst.h.div_ceil(self.step.h);
        let bands = dst.n * bands_per_image;
        let rows_of = |band: usize| (dst.h - band % bands_per_image * self.step.h).min(self.step.h);
        let pixels_per_band = dst.w.div_ceil(self.step.w);
        let wanted = (bands * pixels_per_band / 16).clamp(BLOCK_PIXELS.0, BLOCK_PIXELS.1);
        let mut bands_per_block = (wanted / pixels_per_band).max(1);
        if uses_tiles::<T>(self.isa) {
            bands_per_block = whole_images(bands_per_block, bands_per_image);
        }
        let blocks: Vec<Range<usize>> =
            (0..bands).step_by(bands_per_block).map(|first| first..(first + bands_per_block).min(bands)).collect();
        let segments =
            |class: &Class<'_, T>| class.cols.segments(count(dst.w, class.offset.w, self.step.w), self.src.w);
        let segments: Vec<_> = self.classes.iter().map(segments).collect();
        let lengths = blocks.iter().map(|block| block.clone().map(rows_of).sum::<usize>() * dst.w * dst.c);
        split_by_lengths(out.slots(), lengths).into_par_iter().zip(blocks).for_each_init(
            || (Places::default(), Window::default()),
            |(places, window), (out, block)| {
                let (first_image, bands_of) = bands_by_image(&block, bands_per_image);
                let source_rows = bands_of.map(|bands| self.source_rows(bands));
                let (rows, images) = window.fill(src, self.src, (border, slack), first_image, source_rows);
                for (class, segments) in self.classes.iter().zip(&segments) {
                    places.clear();
                    let mut at = 0;
                    for band in block.clone() {
                        let (row, place) = (at + class.offset.h, (band / bands_per_image, band % bands_per_image));
                        at += rows_of(band);
                        if row >= at {
                            continue;
                        }
                        match class.kernels {
                            Kernels::Panels(_) => {
                                self.place_row(
                                    class,
                                    place.1,
                                    images[place.0 - first_image],
                                    (border.left, width),
                                    row,
                                    places,
                                );
                            }
                            Kernels::Depthwise(weights) => {
                                let kernels = (weights.as_slice(), segments.as_slice());
                                self.depthwise_row(class, kernels, src, place, &mut out[row * dst.w * dst.c..]);
                            }
                        }
                    }
                    if let Kernels::Panels(groups) = class.kernels {
                        self.multiply(class, groups, rows, width, places, out);
                    }
                }
                let (image, index) = (block.start / bands_per_image, block.start % bands_per_image);
                // SAFETY: each pixel of the block is in one class. `multiply` and `depthwise_row`
                // write all channels of the pixels of a class.
                let out = unsafe { written(out) };
                finish.finish((image * dst.h + index * self.step.h) * dst.w * dst.c, out);
            },
        );
        // SAFETY: the blocks cover all pixels, and each block was written.
        unsafe { out.into_written() }
    }

    /// Returns the number of values after the source that products read, because their runs are
    /// longer than those of the kernel.
    fn slack(&self) -> usize {
        let rest = |class: &Class<'_, T>| match class.kernels {
            Kernels::Panels(groups) => {
                let len = class.runs(self.src.c, groups.len()).0;
                steps::<T>(self.isa, len) * T::STEP - len
            }
            Kernels::Depthwise(_) => 0,
        };
        self.classes.iter().map(rest).max().unwrap_or(0)
    }

    /// Returns the border of zeros that products need around the source.
    fn border(&self) -> Border {
        let mut border = Border::default();
        for Class { offset, rows, cols, kernels } in &self.classes {
            if matches!(kernels, Kernels::Depthwise(_)) {
                continue;
            }
            let (top, bottom) = rows.missing(self.src.h, count(self.dst.h, offset.h, self.step.h));
            let (left, right) = cols.missing(self.src.w, count(self.dst.w, offset.w, self.step.w));
            border.top = border.top.max(top);
            border.bottom = border.bottom.max(bottom);
            border.left = border.left.max(left);
            border.right = border.right.max(right);
        }
        border
    }

    /// Returns the source rows that products need for some bands of an image.
    fn source_rows(&self, bands: Range<usize>) -> Range<isize> {
        let rows = |Class { rows, cols, .. }: &Class<'_, T>| {
            let has_taps = rows.count * cols.count > 0;
            has_taps.then(|| rows.reach(bands.clone()))
        };
        let join = |a: Range<isize>, b: Range<isize>| a.start.min(b.start)..a.end.max(b.end);
        self.classes.iter().filter_map(rows).reduce(join).unwrap_or(0..0)
    }

    /// Adds the pixels of a destination row to `places`.
    ///
    /// It is row `index` of the class in its image, and row `row` of the block. `image` is the first source
    /// row of the image and its place. A source row has `pitch` pixels, and `left` of them are zeros before the
    /// image.
    fn place_row(
        &self,
        class: &Class<'_, T>,
        index: usize,
        image: (isize, usize),
        (left, pitch): (usize, usize),
        row: usize,
        places: &mut Places,
    ) {
        let Class { offset, rows, cols, .. } = class;
        let width = count(self.dst.w, offset.w, self.step.w);
        let to = row * self.dst.w + offset.w;
        places.to.extend((0..width).map(|i| (to + i * self.step.w) * self.dst.c));
        if rows.count * cols.count == 0 {
            return;
        }
        let y = (index * rows.step) as isize + rows.first - image.0;
        let x = left as isize + cols.first;
        let from = (y * pitch as isize + x) as usize;
        places.from.extend((0..width).map(|i| image.1 + (from + i * cols.step) * self.src.c));
    }

    /// Writes row `index` of the class in an image, for kernels of single channels. `segments` are those of
    /// the columns. `out` starts with the first pixel of the destination row.
    fn depthwise_row(
        &self,
        class: &Class<'_, T>,
        (weights, segments): (&[f32], &[Segment]),
        data: &[T],
        (image, index): (usize, usize),
        out: &mut [MaybeUninit<T>],
    ) {
        let Class { offset, rows, cols, .. } = class;
        let Images { h, w, c, .. } = self.src;
        let inside = rows.inside(index, h);
        let row = |tap: usize| ((index * rows.step + tap * rows.spacing) as isize + rows.first) as usize;
        let kernel_rows: Vec<(usize, usize)> =
            inside.clone().map(|tap| ((tap - inside.start) * rows.spacing * w * c, tap * cols.count * c)).collect();
        for Segment { positions, taps } in segments {
            let (first, pixels) = (positions.start, positions.len());
            let out = &mut out[(offset.w + first * self.step.w) * c..];
            if taps.is_empty() || inside.is_empty() {
                for pixel in 0..pixels {
                    out[pixel * self.step.w * c..][..c].fill(MaybeUninit::new(T::default()));
                }
            } else {
                let x = ((first * cols.step + taps.start * cols.spacing) as isize + cols.first) as usize;
                self.isa.run(Depthwise {
                    data: &data[((image * h + row(inside.start)) * w + x) * c..],
                    step: cols.step * c,
                    rows: &kernel_rows,
                    cols: taps.len(),
                    spacing: cols.spacing * c,
                    weights: &weights[taps.start * c..],
                    c,
                    out,
                    out_step: self.step.w * c,
                    pixels,
                });
            }
        }
    }

    /// Writes all channels of the pixels in `places`. A row of `data` has `width` pixels.
    fn multiply(
        &self,
        class: &Class<'_, T>,
        groups: &[Aligned<T>],
        data: &[T],
        width: usize,
        places: &mut Places,
        out: &mut [MaybeUninit<T>],
    ) {
        let Class { rows, cols, .. } = class;
        if rows.count * cols.count == 0 {
            for &to in &places.to {
                out[to..to + self.dst.c].fill(MaybeUninit::new(T::default()));
            }
            return;
        }
        let c = self.src.c;
        let (inputs, outputs) = (c / groups.len(), self.dst.c / groups.len());
        let (len, per_row) = class.runs(c, groups.len());
        let runs_of = |y: usize| cols.distances().take(per_row).map(move |x| (y * width + x) * c);
        places.runs.extend(rows.distances().flat_map(runs_of));
        // The weights of values after the end of a run are 0.
        let runs = Runs { starts: &places.runs, len: steps::<T>(self.isa, len), step: T::STEP };
        for (group, panels) in groups.iter().enumerate() {
            let rows = Rows { data: &data[group * inputs..], starts: &places.from, runs };
            let target = Target::unwritten(&mut out[group * outputs..], &places.to, outputs);
            Product { rows, panels, target }.run(self.isa);
        }
    }
}

/// Returns whether neighbouring taps of a row of the kernel are one run: their pixels are neighbours,
/// and all channels count.
pub(super) fn joined(groups: usize, cols: Taps) -> bool {
    groups == 1 && cols.spacing == 1
}

/// Returns about `bands` bands: equal parts of the bands of an image, or whole images. Tiles waste rows
/// at the end of an image, so a block has few of these ends.
fn whole_images(bands: usize, bands_per_image: usize) -> usize {
    if bands < bands_per_image {
        return bands_per_image.div_ceil(bands_per_image.div_ceil(bands));
    }
    (bands + bands_per_image / 2) / bands_per_image * bands_per_image
}

/// Returns the number of positions `offset + i * step` below `size`.
fn count(size: usize, offset: usize, step: usize) -> usize {
    (size + step - 1).saturating_sub(offset) / step
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
