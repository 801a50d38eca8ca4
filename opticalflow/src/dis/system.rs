//! The linear system of one round of the refinement (Kroeger et al. 2016, section 2.4), row by row.
//!
//! The system combines brightness, the gradient of brightness, and smoothness. Each has a robust
//! norm, whose weights are computed from the current flow.

use crate::lanes::Lanes;

/// Half the weight of smoothness.
const SMOOTHNESS: f32 = 20.0 / 2.0;
/// Half the weight of brightness.
const BRIGHTNESS: f32 = 5.0 / 2.0;
/// Half the weight of the gradient.
const GRADIENT: f32 = 10.0 / 2.0;
/// Square of the constant that keeps normalised derivatives finite.
const ZETA_SQUARED: f32 = 0.1 * 0.1;
/// Square of the value at which the robust norm changes from a parabola to a line.
const EPSILON_SQUARED: f32 = 0.01 * 0.01;

/// Computes the smoothness weights at `x`. `rows` are u, the row below in u, v, and the row below
/// in v, with borders.
#[inline(always)]
pub(super) fn smoothness<V: Lanes>(rows: &[&[f32]; 4], out: &mut [f32], x: usize) {
    let (u, v) = (V::load(rows[0], x + 1), V::load(rows[2], x + 1));
    let (u_right, v_right) = (V::load(rows[0], x + 2).sub(u), V::load(rows[2], x + 2).sub(v));
    let (u_down, v_down) = (V::load(rows[1], x + 1).sub(u), V::load(rows[3], x + 1).sub(v));
    let squares = u_right.mul(u_right).add(v_right.mul(v_right)).add(u_down.mul(u_down)).add(v_down.mul(v_down));
    V::splat(SMOOTHNESS).div(squares.add(V::splat(EPSILON_SQUARED)).sqrt()).store(out, x);
}

/// The input and output of the equations of a row.
pub(super) struct SystemRow<'a> {
    /// First derivatives: d/dx, d/dy, d/dt.
    pub data: [&'a [f32]; 3],
    /// Second derivatives: xx, xy, yy, xz, yz.
    pub second: [&'a [f32]; 5],
    pub step: [&'a [f32]; 2],
    /// Rows of u and of v: above, here and below, with borders.
    pub flow: [[&'a [f32]; 3]; 2],
    /// Smoothness weights of the right neighbours, with border.
    pub right: &'a [f32],
    /// Smoothness weights of the lower neighbours.
    pub lower: &'a [f32],
    /// Smoothness weights of the upper neighbours.
    pub upper: &'a [f32],
    pub inverse: [&'a mut [f32]; 2],
    pub a12: &'a mut [f32],
    pub b: [&'a mut [f32]; 2],
}

impl SystemRow<'_> {
    #[inline(always)]
    pub fn set<V: Lanes>(&mut self, x: usize) {
        let (zeta, epsilon, one) = (V::splat(ZETA_SQUARED), V::splat(EPSILON_SQUARED), V::splat(1.0));
        let (u, v) = (V::load(self.step[0], x), V::load(self.step[1], x));
        let (dx, dy, dz) = (V::load(self.data[0], x), V::load(self.data[1], x), V::load(self.data[2], x));
        // Brightness.
        let norm = one.div(dx.mul(dx).add(dy.mul(dy)).add(zeta));
        let change = dz.add(dx.mul(u)).add(dy.mul(v));
        let weight = V::splat(BRIGHTNESS).div(change.mul(change).mul(norm).add(epsilon).sqrt()).mul(norm);
        let mut a11 = weight.mul(dx.mul(dx)).add(zeta);
        let mut a12 = weight.mul(dx.mul(dy));
        let mut a22 = weight.mul(dy.mul(dy)).add(zeta);
        let mut b_u = V::splat(0.0).sub(weight.mul(dz.mul(dx)));
        let mut b_v = V::splat(0.0).sub(weight.mul(dz.mul(dy)));
        // Gradient of brightness.
        let (xx, xy, yy) = (V::load(self.second[0], x), V::load(self.second[1], x), V::load(self.second[2], x));
        let (xz, yz) = (V::load(self.second[3], x), V::load(self.second[4], x));
        let norm_x = one.div(xx.mul(xx).add(xy.mul(xy)).add(zeta));
        let norm_y = one.div(yy.mul(yy).add(xy.mul(xy)).add(zeta));
        let change_x = xz.add(xx.mul(u)).add(xy.mul(v));
        let change_y = yz.add(xy.mul(u)).add(yy.mul(v));
        let squares = change_x.mul(change_x).mul(norm_x).add(change_y.mul(change_y).mul(norm_y));
        let weight = V::splat(GRADIENT).div(squares.add(epsilon).sqrt());
        let (weight_x, weight_y) = (weight.mul(norm_x), weight.mul(norm_y));
        a11 = a11.add(weight_x.mul(xx.mul(xx))).add(weight_y.mul(xy.mul(xy)));
        a12 = a12.add(weight_x.mul(xx.mul(xy))).add(weight_y.mul(xy.mul(yy)));
        a22 = a22.add(weight_x.mul(xy.mul(xy))).add(weight_y.mul(yy.mul(yy)));
        b_u = b_u.sub(weight_x.mul(xx.mul(xz))).sub(weight_y.mul(xy.mul(yz)));
        b_v = b_v.sub(weight_x.mul(xy.mul(xz))).sub(weight_y.mul(yy.mul(yz)));
        // Smoothness.
        let (right, left) = (V::load(self.right, x + 1), V::load(self.right, x));
        let (lower, upper) = (V::load(self.lower, x), V::load(self.upper, x));
        let all = right.add(left).add(lower).add(upper);
        one.div(a11.add(all)).store(self.inverse[0], x);
        one.div(a22.add(all)).store(self.inverse[1], x);
        a12.store(self.a12, x);
        b_u.add(pull::<V>(&self.flow[0], [right, left, lower, upper], x)).store(self.b[0], x);
        b_v.add(pull::<V>(&self.flow[1], [right, left, lower, upper], x)).store(self.b[1], x);
    }
}

/// Computes the pull of the neighbours on the flow to which the steps are added.
#[inline(always)]
fn pull<V: Lanes>(rows: &[&[f32]; 3], [right, left, lower, upper]: [V; 4], x: usize) -> V {
    let here = V::load(rows[1], x + 1);
    let across = right.mul(V::load(rows[1], x + 2).sub(here)).add(left.mul(V::load(rows[1], x).sub(here)));
    let down = lower.mul(V::load(rows[2], x + 1).sub(here)).add(upper.mul(V::load(rows[0], x + 1).sub(here)));
    across.add(down)
}
