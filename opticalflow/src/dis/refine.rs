//! The variational refinement of a level (Kroeger et al. 2016, section 2.4, after Brox et al.
//! 2004).
//!
//! The refinement assumes that brightness and its gradient stay the same, and that the flow is
//! smooth. Each round computes the robust weights again and then solves the linear system
//! approximately. It uses successive over-relaxation, on the two colours of a checkerboard in
//! turn.
#![allow(unsafe_code, reason = "calls into functions that are compiled for AVX2")]

#[cfg(target_arch = "x86_64")]
use crate::lanes::Avx;
use crate::lanes::{Lanes, Portable, Simd};
use crate::plane::Plane;

use super::relax::RelaxedRow;
use super::system::{SystemRow, smoothness};

/// Factor of the over-relaxation.
const OMEGA: f32 = 1.6;
/// Number of relaxations per round.
const RELAXATIONS: usize = 5;
/// Number of positions per pixel that the warp distinguishes, as OpenCV's `remap`.
const STEPS: f32 = 32.0;

/// The planes of one level, reused for each pair.
#[derive(Debug, Clone)]
pub(super) struct Refiner {
    /// Mean of the first image and the warped second image.
    mean: Plane,
    /// Warped second image minus first image.
    difference: Plane,
    derivatives: Derivatives,
    system: System,
    /// Change of the flow.
    step: [Plane; 2],
    /// Flow plus `step`.
    moved: [Plane; 2],
    /// [`OMEGA`] for every second pixel, 0 for the others.
    checkerboard: Vec<f32>,
    zeros: Vec<f32>,
}

/// Derivatives of the mean image (x, y) and of the difference of the images (z).
#[derive(Debug, Clone)]
struct Derivatives {
    x: Plane,
    y: Plane,
    xx: Plane,
    xy: Plane,
    yy: Plane,
    xz: Plane,
    yz: Plane,
}

/// The linear system. For each pixel: [a11 a12; a12 a22] step = b + weighted steps of the
/// neighbours.
#[derive(Debug, Clone)]
struct System {
    /// 1 / a11 and 1 / a22. Both include the smoothness weights.
    inverse: [Plane; 2],
    a12: Plane,
    b: [Plane; 2],
    /// Smoothness weight of the right neighbour, zero in the last column.
    right: Plane,
    /// Smoothness weight of the lower neighbour, zero in the last row.
    lower: Plane,
}

impl Refiner {
    pub fn new(width: usize, height: usize) -> Self {
        let plane = || Plane::new(width, height);
        Self {
            mean: plane(),
            difference: plane(),
            derivatives: Derivatives {
                x: plane(),
                y: plane(),
                xx: plane(),
                xy: plane(),
                yy: plane(),
                xz: plane(),
                yz: plane(),
            },
            system: System {
                inverse: [plane(), plane()],
                a12: plane(),
                b: [plane(), plane()],
                right: plane(),
                lower: plane(),
            },
            step: [plane(), plane()],
            moved: [plane(), plane()],
            checkerboard: (0..=width).map(|x| if x % 2 == 0 { OMEGA } else { 0.0 }).collect(),
            zeros: vec![0.0; width + 2],
        }
    }

    /// Refines `flow` in `rounds` rounds.
    pub fn refine(&mut self, first: &Plane, second: &Plane, flow: &mut [Plane; 2], rounds: usize, simd: Simd) {
        match simd {
            Simd::Portable => self.refine_any::<Portable>(first, second, flow, rounds),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Simd::Avx2` exists only if the CPU has AVX2.
            Simd::Avx2 => unsafe { self.refine_avx2(first, second, flow, rounds) },
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn refine_avx2(&mut self, first: &Plane, second: &Plane, flow: &mut [Plane; 2], rounds: usize) {
        self.refine_any::<Avx>(first, second, flow, rounds);
    }

    #[inline(always)]
    fn refine_any<V: Lanes>(&mut self, first: &Plane, second: &Plane, flow: &mut [Plane; 2], rounds: usize) {
        self.warp(first, second, flow);
        self.derive();
        for ((step, moved), flow) in self.step.iter_mut().zip(&mut self.moved).zip(&*flow) {
            step.clear();
            moved.copy_from(flow);
        }
        for _ in 0..rounds {
            self.set_smoothness::<V>();
            self.set_system::<V>(flow);
            self.relax_all::<V>();
            self.move_flow(flow);
        }
        for (flow, moved) in flow.iter_mut().zip(&self.moved) {
            flow.copy_from(moved);
        }
    }

    /// Warps the second image by the flow, and computes mean and difference.
    ///
    /// Interpolation is bilinear. Outside the image, the border pixel is repeated.
    #[inline(always)]
    fn warp(&mut self, first: &Plane, second: &Plane, flow: &[Plane; 2]) {
        let (right, bottom) = (second.width as i32 - 1, second.height as i32 - 1);
        for y in 0..first.height {
            let (u, v, grey) = (flow[0].row(y), flow[1].row(y), first.row(y));
            let (mean, difference) = (self.mean.row_mut(y), self.difference.row_mut(y));
            for x in 0..grey.len() {
                let (column, right_share) = fine(x as f32 + u[x]);
                let (row, lower_share) = fine(y as f32 + v[x]);
                let (upper, lower) = (second.row(row.clamp(0, bottom) as usize), second.row(below(row, bottom)));
                let (left, next) = (column.clamp(0, right) as usize, below(column, right));
                let above = upper[left] * (1.0 - right_share) + upper[next] * right_share;
                let under = lower[left] * (1.0 - right_share) + lower[next] * right_share;
                let seen = above * (1.0 - lower_share) + under * lower_share;
                mean[x] = 0.5 * (grey[x] + seen);
                difference[x] = seen - grey[x];
            }
        }
    }

    /// Computes first and second derivatives as differences between the two neighbours.
    #[inline(always)]
    fn derive(&mut self) {
        let Derivatives { x, y, xx, xy, yy, xz, yz } = &mut self.derivatives;
        self.mean.repeat_border();
        self.difference.repeat_border();
        across(&self.mean, x);
        down(&self.mean, y);
        across(&self.difference, xz);
        down(&self.difference, yz);
        x.repeat_border();
        across(x, xx);
        down(x, xy);
        down(y, yy);
    }

    /// Computes the robust smoothness weights from the current flow.
    #[inline(always)]
    fn set_smoothness<V: Lanes>(&mut self) {
        let height = self.mean.height;
        let [u, v] = &mut self.moved;
        u.repeat_border();
        v.repeat_border();
        for y in 0..height {
            let next = (y + 1).min(height - 1);
            let rows = [u.bordered(y), u.bordered(next), v.bordered(y), v.bordered(next)];
            let (right, lower) = (self.system.right.row_mut(y), self.system.lower.row_mut(y));
            let width = right.len();
            let vectors = width - width % V::COUNT;
            let mut x = 0;
            while x < vectors {
                smoothness::<V>(&rows, right, x);
                x += V::COUNT;
            }
            while x < width {
                smoothness::<f32>(&rows, right, x);
                x += 1;
            }
            if y + 1 < height {
                lower.copy_from_slice(right);
            } else {
                lower.fill(0.0);
            }
            right[width - 1] = 0.0;
        }
    }

    #[inline(always)]
    fn set_system<V: Lanes>(&mut self, flow: &mut [Plane; 2]) {
        let height = self.mean.height;
        let [u, v] = flow;
        u.repeat_border();
        v.repeat_border();
        let Derivatives { x: dx, y: dy, xx, xy, yy, xz, yz } = &self.derivatives;
        let System { inverse, a12, b, right, lower } = &mut self.system;
        let ([inverse_u, inverse_v], [b_u, b_v]) = (inverse, b);
        for y in 0..height {
            let (before, after) = (y.saturating_sub(1), (y + 1).min(height - 1));
            let mut row = SystemRow {
                data: [dx.row(y), dy.row(y), self.difference.row(y)],
                second: [xx.row(y), xy.row(y), yy.row(y), xz.row(y), yz.row(y)],
                step: [self.step[0].row(y), self.step[1].row(y)],
                flow: [
                    [u.bordered(before), u.bordered(y), u.bordered(after)],
                    [v.bordered(before), v.bordered(y), v.bordered(after)],
                ],
                right: right.bordered(y),
                lower: lower.row(y),
                upper: if y > 0 { lower.row(y - 1) } else { &self.zeros[1..] },
                inverse: [inverse_u.row_mut(y), inverse_v.row_mut(y)],
                a12: a12.row_mut(y),
                b: [b_u.row_mut(y), b_v.row_mut(y)],
            };
            let width = row.lower.len();
            let vectors = width - width % V::COUNT;
            let mut x = 0;
            while x < vectors {
                row.set::<V>(x);
                x += V::COUNT;
            }
            while x < width {
                row.set::<f32>(x);
                x += 1;
            }
        }
    }

    /// Runs all relaxations of both colours. Each pass follows one row behind the previous pass, so
    /// that rows stay in the cache.
    ///
    /// This order is correct because a row only needs that the previous pass has finished the row
    /// below.
    #[inline(always)]
    fn relax_all<V: Lanes>(&mut self) {
        let passes = 2 * RELAXATIONS;
        for front in 0..self.mean.height + passes - 1 {
            for pass in 0..passes.min(front + 1) {
                let y = front - pass;
                if y < self.mean.height {
                    self.relax::<V>(y, (y + pass) % 2);
                }
            }
        }
    }

    /// Relaxes every second pixel of row `y`, starting with pixel `phase` (0 or 1).
    #[inline(always)]
    fn relax<V: Lanes>(&mut self, y: usize, phase: usize) {
        let height = self.mean.height;
        let System { inverse, a12, b, right, lower } = &self.system;
        let upper = if y > 0 { lower.row(y - 1) } else { &self.zeros[1..] };
        let [step_u, step_v] = &mut self.step;
        let (u_above, u, u_below) = step_u.around(y, &self.zeros);
        let (v_above, v, v_below) = step_v.around(y, &self.zeros);
        debug_assert!(y < height);
        let mut row = RelaxedRow {
            omega: &self.checkerboard[phase..],
            right: right.bordered(y),
            lower: lower.row(y),
            upper,
            inverse: [inverse[0].row(y), inverse[1].row(y)],
            a12: a12.row(y),
            b: [b[0].row(y), b[1].row(y)],
            above: [u_above, v_above],
            below: [u_below, v_below],
            u,
            v,
        };
        let width = row.lower.len();
        let vectors = width - width % V::COUNT;
        let mut x = 0;
        let mut left = row.left::<V>(0);
        while x < vectors {
            left = row.step::<V>(x, left);
            x += V::COUNT;
        }
        while x < width {
            let left = row.left::<f32>(x);
            row.step::<f32>(x, left);
            x += 1;
        }
    }

    #[inline(always)]
    fn move_flow(&mut self, flow: &[Plane; 2]) {
        for ((flow, step), moved) in flow.iter().zip(&self.step).zip(&mut self.moved) {
            for y in 0..flow.height {
                let (from, step, to) = (flow.row(y), step.row(y), moved.row_mut(y));
                for x in 0..to.len() {
                    to[x] = from[x] + step[x];
                }
            }
        }
    }
}

/// Rounds a position to 1 / [`STEPS`] pixels. Returns its whole pixels and its fraction.
#[inline(always)]
fn fine(position: f32) -> (i32, f32) {
    let position = (position * STEPS).round_ties_even() / STEPS;
    let whole = position.floor();
    (whole as i32, position - whole)
}

/// Returns the pixel after `at`, clamped to `0..=last`.
#[inline(always)]
fn below(at: i32, last: i32) -> usize {
    at.saturating_add(1).clamp(0, last) as usize
}

/// Computes right neighbour minus left neighbour. The border of `from` must be set.
#[inline(always)]
fn across(from: &Plane, to: &mut Plane) {
    for y in 0..from.height {
        let (row, out) = (from.bordered(y), to.row_mut(y));
        for x in 0..out.len() {
            out[x] = row[x + 2] - row[x];
        }
    }
}

/// Computes lower neighbour minus upper neighbour.
#[inline(always)]
fn down(from: &Plane, to: &mut Plane) {
    for y in 0..from.height {
        let (above, below) = (from.row(y.saturating_sub(1)), from.row((y + 1).min(from.height - 1)));
        let out = to.row_mut(y);
        for x in 0..out.len() {
            out[x] = below[x] - above[x];
        }
    }
}
