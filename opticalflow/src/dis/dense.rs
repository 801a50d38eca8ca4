//! Makes a dense flow from the motions of patches (Kroeger et al. 2016, eq. 3).
//!
//! The motion of a pixel is the weighted mean over the patches that cover it. A weight is higher
//! if the pixel itself matches better under the motion of the patch.
#![allow(unsafe_code, reason = "calls into functions that are compiled for AVX2")]

#[cfg(target_arch = "x86_64")]
use crate::lanes::Avx;
use crate::lanes::{Lanes, Portable, Simd};
use crate::plane::Plane;

use super::level::Extended;
use super::search::{Grid, PATCH, blend, clamp};

/// Computes the motion of all pixels from the motions of a grid. `weights` is scratch memory of the
/// size of the flow.
pub(super) fn spread(
    grid: &Grid,
    first: &Plane,
    second: &Extended,
    flow: &mut [Plane; 2],
    weights: &mut Plane,
    simd: Simd,
) {
    match simd {
        Simd::Portable => spread_any::<Portable>(grid, first, second, flow, weights),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Simd::Avx2` exists only if the CPU has AVX2.
        Simd::Avx2 => unsafe { spread_avx2(grid, first, second, flow, weights) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn spread_avx2(grid: &Grid, first: &Plane, second: &Extended, flow: &mut [Plane; 2], weights: &mut Plane) {
    spread_any::<Avx>(grid, first, second, flow, weights);
}

#[inline(always)]
fn add_at<V: Lanes>(row: &mut [f32], x: usize, more: V) {
    V::load(row, x).add(more).store(row, x);
}

#[inline(always)]
fn spread_any<V: Lanes>(grid: &Grid, first: &Plane, second: &Extended, flow: &mut [Plane; 2], weights: &mut Plane) {
    let [flow_x, flow_y] = flow;
    flow_x.clear();
    flow_y.clear();
    weights.clear();
    let one = V::splat(1.0);
    for (index, &[motion_x, motion_y]) in grid.motions.iter().enumerate() {
        let (x, y) = (index % grid.columns * grid.stride, index / grid.columns * grid.stride);
        let (left, right_share) = clamp(x as f32 + motion_x, first.width);
        let (top, lower_share) = clamp(y as f32 + motion_y, first.height);
        let (right, left_share) = (V::splat(right_share), V::splat(1.0 - right_share));
        let (lower, upper_share) = (V::splat(lower_share), V::splat(1.0 - lower_share));
        let (motion_x, motion_y) = (V::splat(motion_x), V::splat(motion_y));
        let mut above = blend::<V>(second.from(left, top), left_share, right);
        for row in 0..PATCH {
            let below = blend::<V>(second.from(left, top + row as i32 + 1), left_share, right);
            let difference = above.mul(upper_share).add(below.mul(lower)).sub(V::load(first.row(y + row), x));
            let absolute = difference.max(V::splat(0.0).sub(difference));
            let weight = one.div(absolute.max(one));
            add_at(flow_x.row_mut(y + row), x, weight.mul(motion_x));
            add_at(flow_y.row_mut(y + row), x, weight.mul(motion_y));
            add_at(weights.row_mut(y + row), x, weight);
            above = below;
        }
    }
    for y in 0..first.height {
        // Pixels to the right of the last patch and below it get the motion of the nearest covered
        // pixel.
        let from = y.min((grid.rows - 1) * grid.stride + PATCH - 1);
        let columns = (grid.columns - 1) * grid.stride + PATCH;
        for plane in [&mut *flow_x, &mut *flow_y] {
            if from == y {
                let (row, weights) = (plane.row_mut(y), weights.row(y));
                for x in 0..columns {
                    row[x] /= weights[x];
                }
                let last = row[columns - 1];
                row[columns..].fill(last);
            } else {
                plane.copy_row(from, y);
            }
        }
    }
}
