//! The median of 5 x 5 pixels, with the border pixels repeated.
//!
//! Columns of five are sorted once for all windows that they belong to. In a window whose columns and then rows are sorted, 12
//! of the 25 values are known to lie above or below the median without being compared with it; among the others it is found by
//! dropping the smallest and the largest again and again.
#![allow(unsafe_code, reason = "calls into functions that are compiled for AVX2")]

#[cfg(target_arch = "x86_64")]
use crate::lanes::Avx;
use crate::lanes::{Lanes, Portable, Simd};
use crate::plane::Plane;

/// Pixels on each side of the middle.
const REACH: usize = 2;

/// Sorted columns around a row: the smallest of each, then the next, up to the largest, each with [`REACH`] pixels of border.
#[derive(Debug, Clone)]
pub(super) struct Columns([Vec<f32>; 5]);

impl Columns {
    /// For images up to this width.
    pub fn new(width: usize) -> Self {
        Self(std::array::from_fn(|_| vec![0.0; width + 2 * REACH]))
    }

    /// Writes the medians of `from` to `to`, which is as large.
    pub fn filter(&mut self, from: &Plane, to: &mut Plane, simd: Simd) {
        match simd {
            Simd::Portable => self.filter_any::<Portable>(from, to),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Avx2` is made only where the processor has it.
            Simd::Avx2 => unsafe { self.filter_avx2(from, to) },
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn filter_avx2(&mut self, from: &Plane, to: &mut Plane) {
        self.filter_any::<Avx>(from, to);
    }

    #[inline(always)]
    fn filter_any<V: Lanes>(&mut self, from: &Plane, to: &mut Plane) {
        let (width, bottom) = (from.width, from.height - 1);
        let vectors = width - width % V::COUNT;
        for y in 0..from.height {
            let rows: [&[f32]; 5] = std::array::from_fn(|i| from.row((y + i).saturating_sub(REACH).min(bottom)));
            for x in (0..vectors).step_by(V::COUNT) {
                self.sort::<V>(&rows, x);
            }
            for x in vectors..width {
                self.sort::<f32>(&rows, x);
            }
            for column in &mut self.0 {
                let (first, last) = (column[REACH], column[REACH + width - 1]);
                column[..REACH].fill(first);
                column[REACH + width..width + 2 * REACH].fill(last);
            }
            let out = to.row_mut(y);
            for x in (0..vectors).step_by(V::COUNT) {
                self.median::<V>(x).store(out, x);
            }
            for x in vectors..width {
                self.median::<f32>(x).store(out, x);
            }
        }
    }

    #[inline(always)]
    fn sort<V: Lanes>(&mut self, rows: &[&[f32]; 5], x: usize) {
        let [a, b, c, d, e] = rows;
        let sorted = sort5([V::load(a, x), V::load(b, x), V::load(c, x), V::load(d, x), V::load(e, x)]);
        for (column, value) in self.0.iter_mut().zip(sorted) {
            value.store(column, x + REACH);
        }
    }

    /// The median of the window around pixel `x`.
    #[inline(always)]
    fn median<V: Lanes>(&self, x: usize) -> V {
        // Row r of the window holds the r-th smallest of each column; rows sorted as well, value (i, j) is at least as large
        // as (i + 1)(j + 1) values, itself included, and at least as small as (5 - i)(5 - j). Either above 13 rules it out.
        let [a, b, c, d, e] = &self.0;
        let (a, b, c, d, e) = (row5::<V>(a, x), row5::<V>(b, x), row5::<V>(c, x), row5::<V>(d, x), row5::<V>(e, x));
        median13([a[3], a[4], b[2], b[3], b[4], c[1], c[2], c[3], d[0], d[1], d[2], e[0], e[1]])
    }
}

/// Five values from `x` on, sorted. (Closures are not compiled for the instructions of the functions they stand in, so there
/// are none here.)
#[inline(always)]
fn row5<V: Lanes>(from: &[f32], x: usize) -> [V; 5] {
    sort5([V::load(from, x), V::load(from, x + 1), V::load(from, x + 2), V::load(from, x + 3), V::load(from, x + 4)])
}

/// Puts the smaller of two values first.
#[inline(always)]
fn order<V: Lanes, const N: usize>(values: &mut [V; N], i: usize, j: usize) {
    let (a, b) = (values[i], values[j]);
    values[i] = a.min(b);
    values[j] = a.max(b);
}

/// Sorts five values by the shortest network (Knuth, TAOCP 3, 5.3.4).
#[inline(always)]
fn sort5<V: Lanes>(mut values: [V; 5]) -> [V; 5] {
    order(&mut values, 0, 1);
    order(&mut values, 3, 4);
    order(&mut values, 2, 4);
    order(&mut values, 2, 3);
    order(&mut values, 1, 4);
    order(&mut values, 0, 3);
    order(&mut values, 0, 2);
    order(&mut values, 1, 3);
    order(&mut values, 1, 2);
    values
}

/// The median of 13: of any eight of them the smallest and the largest cannot be it; the place of these is taken by one more
/// value while there is one.
#[inline(always)]
fn median13<V: Lanes>(mut values: [V; 13]) -> V {
    // Values `low..high` are compared; `high` grows by one where `low` and the end are dropped.
    macro_rules! drop_extremes {
        ($low:literal, $high:literal) => {
            // The smallest to the front, the largest to the end.
            let mut i = $low;
            while i < $high - 1 {
                order(&mut values, $low, i + 1);
                i += 1;
            }
            let mut i = $low + 1;
            while i < $high - 1 {
                order(&mut values, i, $high - 1);
                i += 1;
            }
        };
    }
    drop_extremes!(0, 8);
    // The largest of the eight makes room for the next value.
    values[7] = values[8];
    drop_extremes!(1, 8);
    values[7] = values[9];
    drop_extremes!(2, 8);
    values[7] = values[10];
    drop_extremes!(3, 8);
    values[7] = values[11];
    drop_extremes!(4, 8);
    values[7] = values[12];
    drop_extremes!(5, 8);
    values[6]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By sorting.
    fn plain(from: &Plane, x: usize, y: usize) -> f32 {
        let clamped = |at: usize, offset: usize, size: usize| (at + offset).saturating_sub(2).min(size - 1);
        let mut window: Vec<f32> =
            (0..25).map(|i| from.row(clamped(y, i / 5, from.height))[clamped(x, i % 5, from.width)]).collect();
        window.sort_by(f32::total_cmp);
        window[12]
    }

    #[test]
    fn medians_are_those_found_by_sorting() {
        let mut state = 1u32;
        for (width, height) in [(1, 1), (3, 2), (8, 5), (37, 23), (64, 40)] {
            // Few distinct values make ties, many make none.
            for levels in [3, 1000] {
                let mut from = Plane::new(width, height);
                for y in 0..height {
                    for value in from.row_mut(y) {
                        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        *value = ((state >> 8) % levels) as f32 - 1.0;
                    }
                }
                for simd in [Simd::Portable, Simd::detect()] {
                    let mut to = Plane::new(width, height);
                    Columns::new(width + 3).filter(&from, &mut to, simd);
                    for y in 0..height {
                        let expected: Vec<f32> = (0..width).map(|x| plain(&from, x, y)).collect();
                        assert_eq!(to.row(y), expected, "{width}x{height}, {levels} levels, row {y}, {simd:?}");
                    }
                }
            }
        }
    }
}
