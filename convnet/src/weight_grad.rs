//! The weight gradient of a convolution.
//!
//! The gradient is a matrix [taps x input channels, output channels], the sum over all output pixels of input column times
//! output gradient. It is cut into fixed tasks: parts of the matrix (whole, a kernel row, a tap, some channels of a tap) times
//! groups of output rows. Partial sums of the groups are added in group order.

use crate::gather::{Images, Taps};
use crate::matmul::{Mat, matmul};
use rayon::prelude::*;
use std::ops::Range;

/// A task's own piece of the gradient: what stays in cache while pixels stream by.
const PART_BYTES: usize = 1 << 20;
/// Input channels of a part when even one tap is too large.
const PART_CHANNELS: usize = 512;
/// im2col block of a task.
const BLOCK_BYTES: usize = 512 << 10;
/// Tasks to aim at, and the fewest pixels that are worth a group of their own.
const TASKS: usize = 16;
const GROUP_PIXELS: usize = 256;

/// Shapes of a convolution whose weight gradient is wanted.
pub(crate) struct WeightGrad {
    pub input: Images,
    pub output: Images,
    pub rows: Taps,
    pub cols: Taps,
}

/// The part of the gradient matrix that a task computes.
#[derive(Clone, Debug)]
struct Part {
    rows: Range<usize>,
    cols: Range<usize>,
    channels: Range<usize>,
}

impl Part {
    fn depth(&self) -> usize {
        self.rows.len() * self.cols.len() * self.channels.len()
    }
}

impl WeightGrad {
    /// The gradient in OIHW order.
    pub(crate) fn run(&self, input: &[f32], grad: &[f32]) -> Vec<f32> {
        let parts = self.parts();
        let out_rows = self.output.n * self.output.h;
        let pixels = out_rows * self.output.w;
        let groups = TASKS.div_ceil(parts.len()).min(pixels / GROUP_PIXELS).clamp(1, out_rows.max(1));
        let rows_of = |group: usize| out_rows * group / groups..out_rows * (group + 1) / groups;
        let tasks: Vec<(&Part, usize)> = parts.iter().flat_map(|part| (0..groups).map(move |g| (part, g))).collect();
        let sums: Vec<Vec<f32>> =
            tasks.into_par_iter().map(|(part, group)| self.partial(part, input, grad, rows_of(group))).collect();
        self.gather_oihw(&parts, &sums, groups)
    }

    fn parts(&self) -> Vec<Part> {
        let (kh, kw, c, o) = (self.rows.count, self.cols.count, self.input.c, self.output.c);
        let whole = Part { rows: 0..kh, cols: 0..kw, channels: 0..c };
        if whole.depth() * o * 4 <= PART_BYTES / 4 {
            return vec![whole];
        }
        if kw * c * o * 4 <= PART_BYTES {
            return (0..kh).map(|y| Part { rows: y..y + 1, ..whole.clone() }).collect();
        }
        let mut parts = Vec::new();
        for y in 0..kh {
            for x in 0..kw {
                for first in (0..c).step_by(PART_CHANNELS) {
                    let channels = first..(first + PART_CHANNELS).min(c);
                    parts.push(Part { rows: y..y + 1, cols: x..x + 1, channels });
                }
            }
        }
        parts
    }

    /// One part summed over the output rows `rows` (counted across images).
    fn partial(&self, part: &Part, input: &[f32], grad: &[f32], rows: Range<usize>) -> Vec<f32> {
        let (w, o, depth) = (self.output.w, self.output.c, part.depth());
        let mut sum = vec![0f32; depth * o];
        let block_rows = (BLOCK_BYTES / (depth * w * 4)).max(128usize.div_ceil(w)).max(1);
        let pointwise = self.rows.step == 1
            && self.cols.step == 1
            && (self.rows.count, self.cols.count) == (1, 1)
            && (self.rows.first, self.cols.first) == (0, 0);
        let mut columns = Vec::new();
        let mut accumulate = false;
        let mut first = rows.start;
        while first < rows.end {
            let end = (first + block_rows).min(rows.end);
            let pixels = (end - first) * w;
            let grad = Mat::new(&grad[first * w * o..end * w * o], pixels, o, o);
            if pointwise {
                let c = self.input.c;
                let lhs = &input[first * w * c + part.channels.start..];
                matmul(&mut sum, Mat::new(lhs, pixels, depth, c).t(), grad, accumulate);
            } else {
                columns.resize(pixels * depth, 0.);
                for (row, columns) in (first..end).zip(columns.chunks_exact_mut(w * depth)) {
                    self.im2col_row(part, input, row, columns);
                }
                matmul(&mut sum, Mat::new(&columns, pixels, depth, depth).t(), grad, accumulate);
            }
            accumulate = true;
            first = end;
        }
        sum
    }

    fn im2col_row(&self, part: &Part, input: &[f32], row: usize, columns: &mut [f32]) {
        let Images { h, w, c, .. } = self.input;
        let (image, y) = (row / self.output.h, row % self.output.h);
        let image = &input[image * h * w * c..][..h * w * c];
        let (y0, y_lo, y_hi) = self.rows.at(y, h);
        let channels = part.channels.clone();
        let run = part.cols.len() * channels.len();
        for (x, column) in columns.chunks_exact_mut(part.depth()).enumerate() {
            let (x0, x_lo, x_hi) = self.cols.at(x, w);
            let (lo, hi) = (x_lo.clamp(part.cols.start, part.cols.end), x_hi.clamp(part.cols.start, part.cols.end));
            for (tap, column) in part.rows.clone().zip(column.chunks_exact_mut(run)) {
                if tap < y_lo || tap >= y_hi || lo >= hi {
                    column.fill(0.);
                    continue;
                }
                // A part has either all channels or one column of taps, so that one copy is enough.
                let y = (y0 + tap as isize) as usize;
                let start = (y * w + (x0 + lo as isize) as usize) * c + channels.start;
                let (from, to) = ((lo - part.cols.start) * channels.len(), (hi - part.cols.start) * channels.len());
                column[..from].fill(0.);
                column[from..to].copy_from_slice(&image[start..start + to - from]);
                column[to..].fill(0.);
            }
        }
    }

    /// Adds the groups' sums and writes [part rows, output channels] matrices as OIHW.
    fn gather_oihw(&self, parts: &[Part], sums: &[Vec<f32>], groups: usize) -> Vec<f32> {
        let (kh, kw, c, o) = (self.rows.count, self.cols.count, self.input.c, self.output.c);
        let totals: Vec<Vec<f32>> = (0..parts.len())
            .into_par_iter()
            .map(|part| {
                let sums = &sums[part * groups..(part + 1) * groups];
                let mut total = sums[0].clone();
                for sum in &sums[1..] {
                    total.iter_mut().zip(sum).for_each(|(total, &sum)| *total += sum);
                }
                total
            })
            .collect();
        let mut out = vec![0f32; o * c * kh * kw];
        out.par_chunks_mut((c * kh * kw).max(1)).enumerate().for_each(|(o_at, out)| {
            for (part, total) in parts.iter().zip(&totals) {
                let mut at = o_at;
                for y in part.rows.clone() {
                    for x in part.cols.clone() {
                        for channel in part.channels.clone() {
                            out[(channel * kh + y) * kw + x] = total[at];
                            at += o;
                        }
                    }
                }
            }
        });
        out
    }
}
