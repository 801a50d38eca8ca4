//! Resizes images as OpenCV's `resize` does, and computes the sizes of pyramid levels.

use crate::plane::Plane;

/// The source pixels of each result pixel on one axis: a first pixel, the next pixel, and the
/// weight of the next.
#[derive(Debug, Clone, Default)]
struct Taps {
    first: Vec<u32>,
    next: Vec<u32>,
    weight: Vec<f32>,
}

impl Taps {
    /// Computes the taps. `scale` is the number of source pixels per result pixel.
    fn new(source: usize, result: usize, scale: f64) -> Self {
        let mut taps = Self::default();
        let last = source as i64 - 1;
        for i in 0..result {
            let at = ((i as f64 + 0.5) * scale - 0.5) as f32;
            let floor = at.floor();
            let (mut first, mut weight) = (floor as i64, at - floor);
            if first < 0 {
                (first, weight) = (0, 0.0);
            }
            if first >= last {
                (first, weight) = (last, 0.0);
            }
            taps.first.push(first as u32);
            taps.next.push((first + 1).min(last) as u32);
            taps.weight.push(weight);
        }
        taps
    }
}

/// A bilinear resize from one size to another, without antialiasing, as OpenCV's `resize` with
/// `INTER_LINEAR`.
///
/// Pixel centres correspond. Outside the image, the border pixel is repeated.
#[derive(Debug, Clone)]
pub(crate) struct Bilinear {
    columns: Taps,
    rows: Taps,
}

impl Bilinear {
    /// Makes a resize with exactly `scale` source pixels per result pixel, although the sizes are
    /// rounded.
    pub fn by_scale(from: (usize, usize), to: (usize, usize), scale: f64) -> Self {
        Self { columns: Taps::new(from.0, to.0, scale), rows: Taps::new(from.1, to.1, scale) }
    }

    /// Makes a resize whose scale is the quotient of the sizes. A size is width and height.
    pub fn by_size(from: (usize, usize), to: (usize, usize)) -> Self {
        let scale = |from: usize, to: usize| from as f64 / to as f64;
        Self {
            columns: Taps::new(from.0, to.0, scale(from.0, to.0)),
            rows: Taps::new(from.1, to.1, scale(from.1, to.1)),
        }
    }

    /// Returns the taps of the columns and of the rows: first source pixel, next source pixel,
    /// weight of the next.
    #[cfg(any(test, feature = "cuda"))]
    pub fn axes(&self) -> [impl Iterator<Item = (u32, u32, f32)>; 2] {
        [&self.columns, &self.rows].map(|taps| {
            let pairs = taps.first.iter().zip(&taps.next).zip(&taps.weight);
            pairs.map(|((&first, &next), &weight)| (first, next, weight))
        })
    }

    /// Resizes `from` into `to` and multiplies the values by `factor`.
    pub fn resize(&self, from: &Plane, to: &mut Plane, factor: f32) {
        for y in 0..to.height {
            let upper = from.row(self.rows.first[y] as usize);
            let lower = from.row(self.rows.next[y] as usize);
            let below = self.rows.weight[y];
            let taps = self.columns.first.iter().zip(&self.columns.next).zip(&self.columns.weight);
            for (pixel, ((&left, &right), &weight)) in to.row_mut(y).iter_mut().zip(taps) {
                let (left, right) = (left as usize, right as usize);
                let above = upper[left] * (1.0 - weight) + upper[right] * weight;
                let under = lower[left] * (1.0 - weight) + lower[right] * weight;
                *pixel = (above * (1.0 - below) + under * below) * factor;
            }
        }
    }
}

/// A resize to the mean over the area of each result pixel, as OpenCV's `resize` with `INTER_AREA`.
#[derive(Debug, Clone)]
pub(crate) struct Area {
    columns: Vec<Vec<(usize, f32)>>,
    rows: Vec<Vec<(usize, f32)>>,
}

impl Area {
    /// Makes a resize from one size to a smaller one. A size is width and height.
    pub fn new(from: (usize, usize), to: (usize, usize)) -> Self {
        Self { columns: shares(from.0, to.0), rows: shares(from.1, to.1) }
    }

    /// Shrinks `from` into `to` and rounds to whole grey values.
    pub fn shrink(&self, from: &Plane, to: &mut Plane) {
        for (y, rows) in self.rows.iter().enumerate() {
            for (pixel, columns) in to.row_mut(y).iter_mut().zip(&self.columns) {
                let mut sum = 0.0;
                for &(row, share) in rows {
                    let row = from.row(row);
                    sum += share * columns.iter().map(|&(column, share)| share * row[column]).sum::<f32>();
                }
                *pixel = sum.round_ties_even();
            }
        }
    }
}

/// Returns, for each result pixel on one axis, the source pixels in its area with their shares.
fn shares(from: usize, to: usize) -> Vec<Vec<(usize, f32)>> {
    let scale = from as f64 / to as f64;
    let shares_of = |pixel: usize| {
        let (start, end) = (pixel as f64 * scale, ((pixel + 1) as f64 * scale).min(from as f64));
        let inside = |source: usize| (end.min(source as f64 + 1.0) - start.max(source as f64)).max(0.0);
        let all = start as usize..(end.ceil() as usize).min(from);
        all.map(|source| (source, (inside(source) / scale) as f32)).filter(|(_, share)| *share > 1e-6).collect()
    };
    (0..to).map(shares_of).collect()
}

/// Returns the sizes of the levels of a pyramid, the largest first.
///
/// Each level is `step` times the previous one, rounded half to even. Except for the first level,
/// no side is shorter than `shortest`.
pub(crate) fn level_sizes(
    width: usize,
    height: usize,
    levels: usize,
    step: f64,
    shortest: usize,
) -> Vec<(usize, usize)> {
    let mut sizes = vec![(width, height)];
    let smaller = |side: usize| (side as f64 * step).round_ties_even() as usize;
    while sizes.len() < levels {
        let (width, height) = sizes[sizes.len() - 1];
        let next = (smaller(width), smaller(height));
        if next.0.min(next.1) < shortest {
            break;
        }
        sizes.push(next);
    }
    sizes
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "exact values")]
mod tests {
    use super::*;

    fn plane(width: usize, rows: &[&[f32]]) -> Plane {
        let mut plane = Plane::new(width, rows.len());
        for (y, row) in rows.iter().enumerate() {
            plane.row_mut(y).copy_from_slice(row);
        }
        plane
    }

    #[test]
    fn result_pixels_are_the_means_of_their_areas() {
        // cv2.resize(numpy.uint8([[10, 20, 40, 80, 160]]), (2, 1), interpolation=cv2.INTER_AREA) ==
        // [[20, 104]]
        let source = plane(5, &[&[10.0, 20.0, 40.0, 80.0, 160.0]]);
        let mut result = Plane::new(2, 1);
        Area::new((5, 1), (2, 1)).shrink(&source, &mut result);
        assert_eq!(result.row(0), [20.0, 104.0]);
    }

    #[test]
    fn levels_of_a_ucf101_frame_are_those_of_opencv() {
        let sizes = level_sizes(342, 256, 5, 0.8, 16);
        assert_eq!(sizes, [(342, 256), (274, 205), (219, 164), (175, 131), (140, 105)]);
        assert_eq!(level_sizes(40, 20, 5, 0.8, 16), [(40, 20), (32, 16)]);
        assert_eq!(level_sizes(1, 1, 5, 0.8, 16), [(1, 1)]);
    }

    #[test]
    fn centres_correspond_and_the_border_is_repeated() {
        // cv2.resize(numpy.float32([[0, 10]]), (4, 1), interpolation=cv2.INTER_LINEAR) == [[0, 2.5,
        // 7.5, 10]]
        let source = plane(2, &[&[0.0, 10.0]]);
        let mut result = Plane::new(4, 1);
        Bilinear::by_size((2, 1), (4, 1)).resize(&source, &mut result, 2.0);
        assert_eq!(result.row(0), [0.0, 5.0, 15.0, 20.0]);
        // cv2.resize(numpy.float32([[0, 1, 2, 3, 4]]).T, None, fx=.8, fy=.8,
        // interpolation=cv2.INTER_LINEAR): centres at 1.25 (i + 0.5) - 0.5.
        let source = plane(1, &[&[0.0], &[1.0], &[2.0], &[3.0], &[4.0]]);
        let mut result = Plane::new(1, 4);
        Bilinear::by_scale((1, 5), (1, 4), 1.25).resize(&source, &mut result, 1.0);
        let column: Vec<f32> = (0..4).map(|y| result.row(y)[0]).collect();
        assert_eq!(column, [0.125, 1.375, 2.625, 3.875]);
    }
}
