//! Successive over-relaxation of one row of the linear system.

use crate::lanes::Lanes;

/// The data for the relaxation of a row. The rows of steps (`above`, `below`, `u`, `v`) have
/// borders.
pub(super) struct RelaxedRow<'a> {
    pub omega: &'a [f32],
    pub right: &'a [f32],
    pub lower: &'a [f32],
    pub upper: &'a [f32],
    pub inverse: [&'a [f32]; 2],
    pub a12: &'a [f32],
    pub b: [&'a [f32]; 2],
    pub above: [&'a [f32]; 2],
    pub below: [&'a [f32]; 2],
    pub u: &'a mut [f32],
    pub v: &'a mut [f32],
}

impl RelaxedRow<'_> {
    /// Returns the steps of the left neighbours of the pixels at `x`, or zeros if the row ends
    /// before.
    #[inline(always)]
    pub fn left<V: Lanes>(&self, x: usize) -> [V; 2] {
        if x + V::COUNT <= self.u.len() { [V::load(self.u, x), V::load(self.v, x)] } else { [V::splat(0.0); 2] }
    }

    /// Relaxes the pixels at `x`. Pixels of the other colour have an omega of zero and do not
    /// change.
    ///
    /// `before` holds the left neighbours. Returns the left neighbours of the next pixels, loaded
    /// before this step is stored, because a load after the store would have to wait for it. The
    /// store changes only one of these values, and its right neighbour has the other colour, so
    /// that value is not used.
    #[inline(always)]
    pub fn step<V: Lanes>(&mut self, x: usize, before: [V; 2]) -> [V; 2] {
        let (right, left) = (V::load(self.right, x + 1), V::load(self.right, x));
        let (lower, upper) = (V::load(self.lower, x), V::load(self.upper, x));
        let (omega, a12) = (V::load(self.omega, x), V::load(self.a12, x));
        let pulled_u = left
            .mul(before[0])
            .add(right.mul(V::load(self.u, x + 2)))
            .add(upper.mul(V::load(self.above[0], x + 1)).add(lower.mul(V::load(self.below[0], x + 1))));
        let pulled_v = left
            .mul(before[1])
            .add(right.mul(V::load(self.v, x + 2)))
            .add(upper.mul(V::load(self.above[1], x + 1)).add(lower.mul(V::load(self.below[1], x + 1))));
        let (u, v) = (V::load(self.u, x + 1), V::load(self.v, x + 1));
        let target = pulled_u.add(V::load(self.b[0], x)).sub(v.mul(a12)).mul(V::load(self.inverse[0], x));
        let u = u.add(omega.mul(target.sub(u)));
        let target = pulled_v.add(V::load(self.b[1], x)).sub(u.mul(a12)).mul(V::load(self.inverse[1], x));
        let v = v.add(omega.mul(target.sub(v)));
        let next = self.left::<V>(x + V::COUNT);
        u.store(self.u, x + 1);
        v.store(self.v, x + 1);
        next
    }
}
