//! The fixed-point iterations of one warp (Zach, Pock and Bischof 2007; IPOL 2013, algorithm 1).
//!
//! An iteration updates the flow and then the dual variables. It goes through the image once, row
//! by row. After the flow of row `y`, it updates the dual variables of row `y - 1`, because they
//! need the new flow of both rows.
#![allow(unsafe_code, reason = "calls into functions that are compiled for AVX2")]

#[cfg(target_arch = "x86_64")]
use crate::lanes::Avx;
use crate::lanes::{Lanes, Portable, Simd};
use crate::plane::Plane;

use super::warp::DataTerm;

/// The constants of an iteration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps {
    /// lambda * theta: the largest step of the data term, in multiples of the gradient.
    pub threshold: f32,
    /// theta.
    pub theta: f32,
    /// tau / theta: the step of the dual variables.
    pub dual: f32,
}

/// Flow and dual variables of one level.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// x and y components of the flow.
    pub flow: [Plane; 2],
    /// Dual variables: for each component of the flow, those of its d/dx and d/dy.
    dual: [[Plane; 2]; 2],
    /// The row above the first row.
    zeros: Vec<f32>,
}

impl State {
    pub fn new(width: usize, height: usize) -> Self {
        let plane = || Plane::new(width, height);
        let dual = || [plane(), plane()];
        Self { flow: [plane(), plane()], dual: [dual(), dual()], zeros: vec![0.0; width + 2] }
    }

    /// Sets the dual variables to zero.
    pub fn clear_dual(&mut self) {
        self.dual.iter_mut().flatten().for_each(Plane::clear);
    }

    /// Runs one iteration. Returns the sum of the squared changes of the flow.
    pub fn iterate(&mut self, data: &DataTerm, steps: Steps, simd: Simd) -> f32 {
        match simd {
            Simd::Portable => self.iterate_any::<Portable>(data, steps),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Simd::Avx2` exists only if the CPU has AVX2.
            Simd::Avx2 => unsafe { self.iterate_avx2(data, steps) },
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn iterate_avx2(&mut self, data: &DataTerm, steps: Steps) -> f32 {
        self.iterate_any::<Avx>(data, steps)
    }

    #[inline(always)]
    fn iterate_any<V: Lanes>(&mut self, data: &DataTerm, steps: Steps) -> f32 {
        let height = data.rho.height;
        // Eight sums fix the order of additions: it is the same for vectors and single pixels.
        let mut sums = [0.0; 8];
        for y in 0..height {
            self.move_flow::<V>(data, steps, y, &mut sums);
            if y > 0 {
                self.move_dual::<V>(steps, y - 1);
            }
        }
        self.move_dual::<V>(steps, height - 1);
        sums.iter().sum()
    }

    /// Updates the flow of row `y`: adds the step of the data term (a soft threshold) and theta
    /// times the divergence of the dual variables.
    #[inline(always)]
    fn move_flow<V: Lanes>(&mut self, data: &DataTerm, steps: Steps, y: usize, sums: &mut [f32; 8]) {
        let [flow_x, flow_y] = &mut self.flow;
        let [[px_dx, px_dy], [py_dx, py_dy]] = &self.dual;
        let above = [px_dy, py_dy].map(|plane| if y > 0 { plane.bordered(y - 1) } else { &self.zeros });
        let mut row = FlowRow {
            dx: data.dx.row(y),
            dy: data.dy.row(y),
            inverse: data.inverse.row(y),
            rho: data.rho.row(y),
            dual: [
                DualRow { dx: px_dx.bordered(y), dy: px_dy.bordered(y), dy_above: above[0] },
                DualRow { dx: py_dx.bordered(y), dy: py_dy.bordered(y), dy_above: above[1] },
            ],
            flow: [flow_x.bordered_mut(y), flow_y.bordered_mut(y)],
        };
        let width = row.rho.len();
        let vectors = width - width % V::COUNT;
        for x in (0..vectors).step_by(V::COUNT) {
            row.step::<V>(steps, x, sums, 0);
        }
        for x in vectors..width {
            row.step::<f32>(steps, x, sums, x - vectors);
        }
        // The border repeats the last pixel, so that the gradient of the flow is zero there.
        for flow in row.flow {
            flow[width + 1] = flow[width];
        }
    }

    /// Updates the dual variables of row `y` from the gradient of the flow. The gradient is zero
    /// across the right and the lower border.
    #[inline(always)]
    fn move_dual<V: Lanes>(&mut self, steps: Steps, y: usize) {
        for (flow, [dx, dy]) in self.flow.iter().zip(&mut self.dual) {
            let below = flow.bordered((y + 1).min(flow.height - 1));
            let flow = flow.bordered(y);
            let (dx, dy) = (dx.bordered_mut(y), dy.bordered_mut(y));
            let width = flow.len() - 2;
            let vectors = width - width % V::COUNT;
            for x in (0..vectors).step_by(V::COUNT) {
                step_dual::<V>(steps.dual, flow, below, dx, dy, x);
            }
            for x in vectors..width {
                step_dual::<f32>(steps.dual, flow, below, dx, dy, x);
            }
        }
    }
}

/// The data for the flow of a row. The rows of the data term have no border.
struct FlowRow<'a> {
    dx: &'a [f32],
    dy: &'a [f32],
    inverse: &'a [f32],
    rho: &'a [f32],
    dual: [DualRow<'a>; 2],
    flow: [&'a mut [f32]; 2],
}

struct DualRow<'a> {
    dx: &'a [f32],
    dy: &'a [f32],
    dy_above: &'a [f32],
}

impl DualRow<'_> {
    /// Returns the divergence at pixel `x`, from backward differences.
    #[inline(always)]
    fn divergence<V: Lanes>(&self, x: usize) -> V {
        let across = V::load(self.dx, x + 1).sub(V::load(self.dx, x));
        across.add(V::load(self.dy, x + 1).sub(V::load(self.dy_above, x + 1)))
    }
}

impl FlowRow<'_> {
    #[inline(always)]
    fn step<V: Lanes>(&mut self, steps: Steps, x: usize, sums: &mut [f32; 8], lane: usize) {
        let (dx, dy, theta) = (V::load(self.dx, x), V::load(self.dy, x), V::splat(steps.theta));
        let before = [V::load(self.flow[0], x + 1), V::load(self.flow[1], x + 1)];
        let rho = V::load(self.rho, x).add(dx.mul(before[0]).add(dy.mul(before[1])));
        let negative = V::splat(0.0).sub(rho.mul(V::load(self.inverse, x)));
        let threshold = V::splat(steps.threshold);
        let pull = negative.min(threshold).max(V::splat(-steps.threshold));
        let after_x = before[0].add(pull.mul(dx)).add(theta.mul(self.dual[0].divergence(x)));
        let after_y = before[1].add(pull.mul(dy)).add(theta.mul(self.dual[1].divergence(x)));
        after_x.store(self.flow[0], x + 1);
        after_y.store(self.flow[1], x + 1);
        let (moved_x, moved_y) = (after_x.sub(before[0]), after_y.sub(before[1]));
        moved_x.mul(moved_x).add(moved_y.mul(moved_y)).add_to(sums, lane);
    }
}

/// Updates the dual variables at pixel `x`: p = (p + step * gradient) / (1 + step * |gradient|).
#[inline(always)]
fn step_dual<V: Lanes>(step: f32, flow: &[f32], below: &[f32], dx: &mut [f32], dy: &mut [f32], x: usize) {
    let (here, step) = (V::load(flow, x + 1), V::splat(step));
    let right = V::load(flow, x + 2).sub(here);
    let down = V::load(below, x + 1).sub(here);
    let length = right.mul(right).add(down.mul(down)).sqrt();
    let one = V::splat(1.0);
    let shrink = one.div(one.add(step.mul(length)));
    V::load(dx, x + 1).add(step.mul(right)).mul(shrink).store(dx, x + 1);
    V::load(dy, x + 1).add(step.mul(down)).mul(shrink).store(dy, x + 1);
}
