//! Convolution as im2col blocks times a packed weight matrix: the kernel of the forward pass and of the data gradient.
//!
//! Both gather: a destination pixel is the sum over the kernel's taps of a source pixel times a weight matrix. The forward
//! pass steps through the source by the stride. The data gradient splits the input pixels into stride x stride classes; all
//! pixels of a class see the same taps, so that each class is a convolution with stride 1 and no multiplication is wasted.

use crate::matmul::{Mat, matmul};
use crate::parallel::split_by_lengths;
use rayon::prelude::*;

/// im2col block: about half of a core's second-level cache.
const BLOCK_BYTES: usize = 256 << 10;
/// Destination pixels in a block: enough to reuse the weights that gemm packs, few enough to share the work out.
const BLOCK_PIXELS: (usize, usize) = (96, 256);

/// A batch of NHWC images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Images {
    pub n: usize,
    pub h: usize,
    pub w: usize,
    pub c: usize,
}

impl Images {
    pub(crate) fn len(&self) -> usize {
        self.n * self.h * self.w * self.c
    }
}

/// The taps of a destination pixel along one axis: source positions `at * step + first ..` (`count` neighbours).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taps {
    pub first: isize,
    pub count: usize,
    pub step: usize,
}

impl Taps {
    /// For the destination position `at`: the first source position, and the part `lo..hi` of the taps inside `0..size`.
    pub(crate) fn at(self, at: usize, size: usize) -> (isize, usize, usize) {
        let first = (at * self.step) as isize + self.first;
        let lo = (-first).clamp(0, self.count as isize) as usize;
        let hi = (size as isize - first).clamp(lo as isize, self.count as isize) as usize;
        (first, lo, hi)
    }
}

/// The pixels of one class: destination rows `offset + i * step`, the taps they see and the weights of those taps.
pub(crate) struct Class {
    /// First destination row and column of the class.
    pub offset: (usize, usize),
    pub rows: Taps,
    pub cols: Taps,
    /// Row-major [rows.count * cols.count * source channels, destination channels].
    pub weights: Vec<f32>,
}

/// A whole gather: `classes.len() == step * step`, every destination pixel belongs to one class.
pub(crate) struct Gather {
    pub src: Images,
    pub dst: Images,
    /// Distance of the pixels of a class in the destination.
    pub step: usize,
    pub classes: Vec<Class>,
}

impl Gather {
    /// Computes the destination.
    pub(crate) fn run(&self, src: &[f32]) -> Vec<f32> {
        let dst = self.dst;
        let mut out = vec![0f32; dst.len()];
        if out.is_empty() {
            return out;
        }
        // A group is `step` rows of one image (fewer at its lower edge); a block is some groups, across images.
        let groups_per_image = dst.h.div_ceil(self.step);
        let groups = dst.n * groups_per_image;
        let group_len = |group: usize| {
            let first_row = group % groups_per_image * self.step;
            (dst.h - first_row).min(self.step) * dst.w * dst.c
        };
        let pixels_per_group = dst.w.div_ceil(self.step);
        let wanted = (groups * pixels_per_group / 16).clamp(BLOCK_PIXELS.0, BLOCK_PIXELS.1);
        let groups_per_block = (wanted / pixels_per_group).max(1);
        let blocks: Vec<(usize, usize)> = (0..groups)
            .step_by(groups_per_block)
            .map(|first| (first, (first + groups_per_block).min(groups)))
            .collect();
        let lengths = blocks.iter().map(|&(first, end)| (first..end).map(group_len).sum());
        split_by_lengths(&mut out, lengths).into_par_iter().zip(&blocks).for_each_init(
            Scratch::default,
            |scratch, (out, &(first, end))| {
                for class in &self.classes {
                    self.block(class, src, out, first..end, groups_per_image, scratch);
                }
            },
        );
        out
    }

    /// One class of one block of row groups.
    fn block(
        &self,
        class: &Class,
        src: &[f32],
        out: &mut [f32],
        groups: std::ops::Range<usize>,
        groups_per_image: usize,
        scratch: &mut Scratch,
    ) {
        let (dst, step) = (self.dst, self.step);
        let (taps_y, taps_x) = (class.rows.count, class.cols.count);
        let width = (dst.w + step - 1).saturating_sub(class.offset.1) / step;
        // Rows of this class: the image, the index within the class and the position in `out`.
        scratch.rows.clear();
        let mut at = 0;
        for group in groups {
            let (image, index) = (group / groups_per_image, group % groups_per_image);
            let rows_here = (dst.h - index * step).min(step);
            if class.offset.0 < rows_here {
                scratch.rows.push((image, index, at + class.offset.0 * dst.w * dst.c));
            }
            at += rows_here * dst.w * dst.c;
        }
        let pixels = scratch.rows.len() * width;
        if pixels == 0 || taps_y * taps_x == 0 {
            return;
        }
        let direct = step == 1;
        if !direct {
            scratch.product.clear();
            scratch.product.resize(pixels * dst.c, 0.);
        }
        let run = taps_x * self.src.c;
        let rows_of_taps = (BLOCK_BYTES / (pixels * run * 4)).clamp(1, taps_y);
        let mut first_tap = 0;
        while first_tap < taps_y {
            let taps = first_tap..(first_tap + rows_of_taps).min(taps_y);
            let depth = taps.len() * run;
            let weights = &class.weights[first_tap * run * dst.c..taps.end * run * dst.c];
            let product = if direct { &mut *out } else { &mut scratch.product[..] };
            let pointwise = direct && taps_y * taps_x == 1 && class.rows.step == 1;
            if pointwise && class.rows.first == 0 && class.cols.first == 0 {
                // A 1x1 convolution: the source rows already are the matrix.
                let (image, index, _) = scratch.rows[0];
                let start = (image * self.src.h + index) * self.src.w * self.src.c;
                let lhs = Mat::new(&src[start..], pixels, depth, depth);
                matmul(product, lhs, Mat::new(weights, depth, dst.c, dst.c), false);
            } else {
                scratch.columns.resize(pixels * depth, 0.);
                let mut columns = scratch.columns.chunks_exact_mut(depth);
                for &(image, index, _) in &scratch.rows {
                    self.im2col_row(class, src, (image, index), taps.clone(), width, &mut columns);
                }
                let lhs = Mat::new(&scratch.columns, pixels, depth, depth);
                matmul(product, lhs, Mat::new(weights, depth, dst.c, dst.c), first_tap > 0);
            }
            first_tap = taps.end;
        }
        if !direct {
            for (&(_, _, start), row) in scratch.rows.iter().zip(scratch.product.chunks_exact(width * dst.c)) {
                let pixels = out[start + class.offset.1 * dst.c..].chunks_mut(step * dst.c);
                for (to, from) in pixels.zip(row.chunks_exact(dst.c)) {
                    to[..dst.c].copy_from_slice(from);
                }
            }
        }
    }

    /// The taps `taps` (rows of the kernel) of one destination row, one matrix row for each pixel.
    fn im2col_row<'a>(
        &self,
        class: &Class,
        src: &[f32],
        (image, index): (usize, usize),
        taps: std::ops::Range<usize>,
        width: usize,
        columns: &mut impl Iterator<Item = &'a mut [f32]>,
    ) {
        let Images { h, w, c, .. } = self.src;
        let image = &src[image * h * w * c..][..h * w * c];
        let (y0, y_lo, y_hi) = class.rows.at(index, h);
        let run = class.cols.count * c;
        for (x, column) in columns.take(width).enumerate() {
            let (x0, x_lo, x_hi) = class.cols.at(x, w);
            for (tap, column) in taps.clone().zip(column.chunks_exact_mut(run)) {
                if tap < y_lo || tap >= y_hi || x_lo >= x_hi {
                    column.fill(0.);
                    continue;
                }
                let y = (y0 + tap as isize) as usize;
                let start = (y * w + (x0 + x_lo as isize) as usize) * c;
                column[..x_lo * c].fill(0.);
                column[x_lo * c..x_hi * c].copy_from_slice(&image[start..start + (x_hi - x_lo) * c]);
                column[x_hi * c..].fill(0.);
            }
        }
    }
}

/// Buffers that a worker keeps from block to block.
#[derive(Default)]
struct Scratch {
    rows: Vec<(usize, usize, usize)>,
    columns: Vec<f32>,
    product: Vec<f32>,
}
