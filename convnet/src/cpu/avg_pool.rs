//! Average pooling over windows on the CPU.

use super::element::Element;
use crate::geometry::{AvgWindows, Images};
use rayon::prelude::*;

/// Returns the means of the windows, [N, rows, columns, C].
pub(crate) fn forward<T: Element>(x: &[T], images: Images, windows: &AvgWindows) -> Vec<T> {
    let Images { n, h, w, c } = images;
    let AvgWindows { rows, cols } = windows;
    assert_eq!(x.len(), images.len(), "the values do not fit the shape of the images");
    let mut out = vec![T::default(); n * rows.len() * cols.len() * c];
    out.par_chunks_mut((cols.len() * c).max(1)).enumerate().for_each_init(
        Vec::new,
        |sums: &mut Vec<f32>, (at, out)| {
            let (image, row) = (at / rows.len(), rows[at % rows.len()]);
            sums.clear();
            sums.resize(out.len(), 0.);
            for y in row.first..row.end {
                let line = &x[(image * h + y) * w * c..][..w * c];
                for (col, sums) in cols.iter().zip(sums.chunks_exact_mut(c)) {
                    for pixel in line[col.first * c..col.end * c].chunks_exact(c) {
                        sums.iter_mut().zip(pixel).for_each(|(sum, x)| *sum += x.value());
                    }
                }
            }
            for (col, (out, sums)) in cols.iter().zip(out.chunks_exact_mut(c).zip(sums.chunks_exact(c))) {
                let factor = row.factor * col.factor;
                out.iter_mut().zip(sums).for_each(|(out, sum)| *out = T::of(sum * factor));
            }
        },
    );
    out
}

/// Returns the gradient of the images from that of the means.
pub(crate) fn gradient<T: Element>(grad: &[T], images: Images, windows: &AvgWindows) -> Vec<T> {
    let Images { h, w, c, .. } = images;
    let AvgWindows { rows, cols } = windows;
    let mut out = vec![T::default(); images.len()];
    // One task per image, because windows can overlap. The sums are f32.
    let grads = grad.par_chunks((rows.len() * cols.len() * c).max(1));
    let images = out.par_chunks_mut((h * w * c).max(1)).zip(grads);
    images.for_each_init(Vec::new, |sums: &mut Vec<f32>, (out, grad)| {
        sums.clear();
        sums.resize(out.len(), 0.);
        let places = rows.iter().flat_map(|row| cols.iter().map(move |col| (row, col)));
        for ((row, col), grad) in places.zip(grad.chunks_exact(c)) {
            let factor = row.factor * col.factor;
            for y in row.first..row.end {
                for pixel in sums[(y * w + col.first) * c..(y * w + col.end) * c].chunks_exact_mut(c) {
                    pixel.iter_mut().zip(grad).for_each(|(sum, grad)| *sum += factor * grad.value());
                }
            }
        }
        out.iter_mut().zip(&*sums).for_each(|(out, &sum)| *out = T::of(sum));
    });
    out
}
