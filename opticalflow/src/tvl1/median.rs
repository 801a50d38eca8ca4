//! The median filter of 5 x 5 pixels. Outside the image, border pixels are repeated.
//!
//! Each column of five pixels is sorted once, and all windows with this column share the result.
//! When the columns and then the rows of a window are sorted, 12 of the 25 values cannot be the
//! median. The median of the other 13 is found by repeatedly dropping the smallest and the largest
//! value.
#![allow(unsafe_code, reason = "calls into functions that are compiled for AVX2")]

#[cfg(target_arch = "x86_64")]
use crate::lanes::Avx;
use crate::lanes::{Lanes, Portable, Simd};
use crate::plane::Plane;

/// Number of pixels on each side of the middle.
const REACH: usize = 2;

/// The sorted columns around a row: a row of the smallest values, then of the second smallest, up
/// to the largest. Each row has [`REACH`] pixels of border on both sides.
#[derive(Debug, Clone)]
pub(super) struct Columns([Vec<f32>; 5]);

impl Columns {
    /// Allocates memory for images up to this width.
    pub fn new(width: usize) -> Self {
        Self(std::array::from_fn(|_| vec![0.0; width + 2 * REACH]))
    }

    /// Writes the medians of `from` to `to`, which must have the same size.
    pub fn filter(&mut self, from: &Plane, to: &mut Plane, simd: Simd) {
        match simd {
            Simd::Portable => self.filter_any::<Portable>(from, to),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Simd::Avx2` exists only if the CPU has AVX2.
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

    /// Returns the median of the window around pixel `x`.
    #[inline(always)]
    fn median<V: Lanes>(&self, x: usize) -> V {
        // Row r holds the r-th smallest value of each column. When the rows are sorted too, value
        // (i, j) is not smaller than (i + 1)(j + 1) values, itself included, and not larger than (5
        // - i)(5 - j) values. If one of these numbers exceeds 13, the value is not the median.
        let [a, b, c, d, e] = &self.0;
        let (a, b, c, d, e) = (row5::<V>(a, x), row5::<V>(b, x), row5::<V>(c, x), row5::<V>(d, x), row5::<V>(e, x));
        median13([a[3], a[4], b[2], b[3], b[4], c[1], c[2], c[3], d[0], d[1], d[2], e[0], e[1]])
    }
}

/// Loads the five values from `x` and sorts them.
///
/// The code uses no closures, because closures are not compiled for the instructions of the
/// function around them.
#[inline(always)]
fn row5<V: Lanes>(from: &[f32], x: usize) -> [V; 5] {
    sort5([V::load(from, x), V::load(from, x + 1), V::load(from, x + 2), V::load(from, x + 3), V::load(from, x + 4)])
}

/// Swaps two values if necessary, so that the smaller one comes first.
#[inline(always)]
fn order<V: Lanes, const N: usize>(values: &mut [V; N], i: usize, j: usize) {
    let (a, b) = (values[i], values[j]);
    values[i] = a.min(b);
    values[j] = a.max(b);
}

/// Sorts five values with the shortest sorting network (Knuth, TAOCP 3, 5.3.4).
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

/// Returns the median of 13 values.
///
/// Of any eight values, the smallest and the largest cannot be the median. Drops both, adds one
/// more value, and repeats.
#[inline(always)]
fn median13<V: Lanes>(mut values: [V; 13]) -> V {
    // Moves the smallest of the values `low..high` to the front and the largest to the end.
    macro_rules! drop_extremes {
        ($low:literal, $high:literal) => {
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
    // The next value replaces the largest of the eight. The smallest is dropped by starting one
    // index later.
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

    /// Returns the median, found by sorting.
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
            // Three levels make many ties, 1000 make few.
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
