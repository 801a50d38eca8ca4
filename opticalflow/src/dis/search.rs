//! The inverse search (Kroeger et al. 2016, section 2.2).
//!
//! For each patch of a grid, it finds the motion with which the second image matches the patch
//! best. Gradient descent starts from the best of several motions: that of the coarser level and
//! those of the neighbours.
#![allow(unsafe_code, reason = "calls into functions that are compiled for AVX2")]

#[cfg(target_arch = "x86_64")]
use crate::lanes::Avx;
use crate::lanes::{Lanes, Portable, Simd};
use crate::plane::Plane;

use super::level::Extended;

/// Side of a patch in pixels. A row of a patch is one vector.
pub(super) const PATCH: usize = 8;
/// Number of pixels of a patch.
const PIXELS: f32 = (PATCH * PATCH) as f32;
/// Number of stripes of patch rows. Neighbours exchange motions only within a stripe, as in OpenCV.
const STRIPES: usize = 8;
/// Number of sweeps: one from the upper left, one back.
const SWEEPS: usize = 2;
/// Smallest determinant to divide by.
const LEAST_DETERMINANT: f32 = 0.001;

/// The input of the search.
pub(super) struct Images<'a> {
    pub first: &'a Plane,
    pub dx: &'a Plane,
    pub dy: &'a Plane,
    pub second: &'a Extended,
}

/// The motion of each patch of a grid.
#[derive(Debug, Clone, Default)]
pub(super) struct Grid {
    /// Distance between two patches in pixels.
    pub stride: usize,
    /// Number of patches per row.
    pub columns: usize,
    /// Number of rows of patches.
    pub rows: usize,
    /// Motion (x, y) of each patch in pixels.
    pub motions: Vec<[f32; 2]>,
    tensors: Vec<Tensor>,
}

/// The inverse of the structure tensor of a patch, and its mean gradient.
#[derive(Debug, Clone, Copy, Default)]
struct Tensor {
    xx: f32,
    xy: f32,
    yy: f32,
    mean_dx: f32,
    mean_dy: f32,
}

/// The difference between a patch and the second image for one motion, without the mean difference.
#[derive(Clone, Copy)]
struct Match {
    /// Sum of squared differences.
    distance: f32,
    /// Sums of the differences times the x and y gradient.
    along: [f32; 2],
}

impl Grid {
    /// Allocates a grid for levels up to this size.
    pub fn new(width: usize, height: usize, stride: usize) -> Self {
        let mut grid = Self { stride, ..Self::default() };
        grid.fit(width, height);
        grid
    }

    fn fit(&mut self, width: usize, height: usize) {
        self.columns = 1 + (width - PATCH) / self.stride;
        self.rows = 1 + (height - PATCH) / self.stride;
        self.motions.resize(self.columns * self.rows, [0.0; 2]);
        self.tensors.resize(self.columns * self.rows, Tensor::default());
    }

    /// Searches the motions of all patches. `flow` is the flow of the coarser level, resized to
    /// this level.
    pub fn search(&mut self, images: &Images<'_>, flow: &[Plane; 2], iterations: usize, simd: Simd) {
        self.fit(images.first.width, images.first.height);
        match simd {
            Simd::Portable => self.search_any::<Portable>(images, flow, iterations),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Simd::Avx2` exists only if the CPU has AVX2.
            Simd::Avx2 => unsafe { self.search_avx2(images, flow, iterations) },
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn search_avx2(&mut self, images: &Images<'_>, flow: &[Plane; 2], iterations: usize) {
        self.search_any::<Avx>(images, flow, iterations);
    }

    #[inline(always)]
    fn search_any<V: Lanes>(&mut self, images: &Images<'_>, flow: &[Plane; 2], iterations: usize) {
        for row in 0..self.rows {
            for column in 0..self.columns {
                let (x, y) = (column * self.stride, row * self.stride);
                let middle = |plane: &Plane| plane.row(y + PATCH / 2)[x + PATCH / 2];
                let index = row * self.columns + column;
                self.motions[index] = [middle(&flow[0]), middle(&flow[1])];
                self.tensors[index] = tensor::<V>(images, x, y);
            }
        }
        let stripe = self.rows.div_ceil(STRIPES);
        let mut start = 0;
        while start < self.rows {
            let end = (start + stripe).min(self.rows);
            let mut row = start;
            while row < end {
                for column in 0..self.columns {
                    let left = if column > 0 { Some(1) } else { None };
                    let above = if row > start { Some(self.columns) } else { None };
                    let index = row * self.columns + column;
                    let candidates = [left, above].map(|back| back.map(|back| index - back));
                    self.search_patch::<V>(images, index, candidates, iterations / SWEEPS);
                }
                row += 1;
            }
            while row > start {
                row -= 1;
                for column in (0..self.columns).rev() {
                    let right = if column + 1 < self.columns { Some(1) } else { None };
                    let below = if row + 1 < end { Some(self.columns) } else { None };
                    let index = row * self.columns + column;
                    let candidates = [right, below].map(|on| on.map(|on| index + on));
                    self.search_patch::<V>(images, index, candidates, iterations / SWEEPS);
                }
            }
            start = end;
        }
    }

    #[inline(always)]
    fn search_patch<V: Lanes>(
        &mut self,
        images: &Images<'_>,
        index: usize,
        candidates: [Option<usize>; 2],
        iterations: usize,
    ) {
        let (x, y) = (index % self.columns * self.stride, index / self.columns * self.stride);
        let mut start = self.motions[index];
        let mut now = compare::<V>(images, x, y, start, &self.tensors[index]);
        for candidate in candidates {
            let Some(candidate) = candidate else { continue };
            let motion = self.motions[candidate];
            let other = compare::<V>(images, x, y, motion, &self.tensors[index]);
            if other.distance < now.distance {
                (start, now) = (motion, other);
            }
        }
        let tensor = self.tensors[index];
        let mut motion = start;
        let mut before = f32::INFINITY;
        for iteration in 0..iterations {
            if iteration > 0 {
                now = compare::<V>(images, x, y, motion, &tensor);
            }
            motion[0] -= tensor.xx * now.along[0] + tensor.xy * now.along[1];
            motion[1] -= tensor.xy * now.along[0] + tensor.yy * now.along[1];
            // The previous step did not improve the match.
            if now.distance >= before {
                break;
            }
            before = now.distance;
        }
        let (x_moved, y_moved) = (motion[0] - start[0], motion[1] - start[1]);
        // If the descent has moved too far, it has diverged, and the start is better.
        let near = x_moved * x_moved + y_moved * y_moved <= PIXELS;
        self.motions[index] = if near { motion } else { start };
    }
}

#[inline(always)]
fn tensor<V: Lanes>(images: &Images<'_>, x: usize, y: usize) -> Tensor {
    let zero = V::splat(0.0);
    let (mut xx, mut xy, mut yy, mut sum_dx, mut sum_dy) = (zero, zero, zero, zero, zero);
    for row in y..y + PATCH {
        let (dx, dy) = (V::load(images.dx.row(row), x), V::load(images.dy.row(row), x));
        xx = xx.add(dx.mul(dx));
        xy = xy.add(dx.mul(dy));
        yy = yy.add(dy.mul(dy));
        sum_dx = sum_dx.add(dx);
        sum_dy = sum_dy.add(dy);
    }
    let (xx, xy, yy) = (xx.sum(), xy.sum(), yy.sum());
    let determinant = xx * yy - xy * xy;
    let determinant = if determinant.abs() < LEAST_DETERMINANT { LEAST_DETERMINANT } else { determinant };
    Tensor {
        xx: yy / determinant,
        xy: -xy / determinant,
        yy: xx / determinant,
        mean_dx: sum_dx.sum() / PIXELS,
        mean_dy: sum_dy.sum() / PIXELS,
    }
}

/// Returns a position as whole pixels and a fraction, clamped to the margin of [`Extended`].
#[inline(always)]
pub(super) fn clamp(position: f32, size: usize) -> (i32, f32) {
    let least = 1.0 - PATCH as f32;
    let most = size as f32 - 1.0;
    let position = if position > least { position } else { least };
    let position = if position < most { position } else { most };
    let whole = position.floor();
    (whole as i32, position - whole)
}

/// Compares the patch at (x, y) with the second image for one motion.
#[inline(always)]
fn compare<V: Lanes>(images: &Images<'_>, x: usize, y: usize, motion: [f32; 2], tensor: &Tensor) -> Match {
    let (left, right_share) = clamp(x as f32 + motion[0], images.first.width);
    let (top, lower_share) = clamp(y as f32 + motion[1], images.first.height);
    let (right, left_share) = (V::splat(right_share), V::splat(1.0 - right_share));
    let (lower, upper_share) = (V::splat(lower_share), V::splat(1.0 - lower_share));
    let zero = V::splat(0.0);
    let (mut squares, mut sum, mut along_x, mut along_y) = (zero, zero, zero, zero);
    let mut above = blend::<V>(images.second.from(left, top), left_share, right);
    for row in 0..PATCH {
        let below = blend::<V>(images.second.from(left, top + row as i32 + 1), left_share, right);
        let seen = above.mul(upper_share).add(below.mul(lower));
        let difference = seen.sub(V::load(images.first.row(y + row), x));
        squares = squares.add(difference.mul(difference));
        sum = sum.add(difference);
        along_x = along_x.add(difference.mul(V::load(images.dx.row(y + row), x)));
        along_y = along_y.add(difference.mul(V::load(images.dy.row(y + row), x)));
        above = below;
    }
    let sum = sum.sum();
    Match {
        distance: squares.sum() - sum * sum / PIXELS,
        along: [along_x.sum() - sum * tensor.mean_dx, along_y.sum() - sum * tensor.mean_dy],
    }
}

/// Interpolates a row between neighbouring pixels.
#[inline(always)]
pub(super) fn blend<V: Lanes>(row: &[f32], left_share: V, right_share: V) -> V {
    V::load(row, 0).mul(left_share).add(V::load(row, 1).mul(right_share))
}
