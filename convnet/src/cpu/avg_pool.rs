//! Average pooling over windows on the CPU.

use crate::geometry::{AvgWindows, Images};
use rayon::prelude::*;

/// Returns the means of the windows, [N, rows, columns, C].
pub(crate) fn forward(x: &[f32], images: Images, windows: &AvgWindows) -> Vec<f32> {
    let Images { n, h, w, c } = images;
    let AvgWindows { rows, cols } = windows;
    assert_eq!(x.len(), images.len(), "the values do not fit the shape of the images");
    let mut out = vec![0f32; n * rows.len() * cols.len() * c];
    out.par_chunks_mut((cols.len() * c).max(1)).enumerate().for_each(|(at, out)| {
        let (image, row) = (at / rows.len(), rows[at % rows.len()]);
        for y in row.first..row.end {
            let line = &x[(image * h + y) * w * c..][..w * c];
            for (col, out) in cols.iter().zip(out.chunks_exact_mut(c)) {
                for pixel in line[col.first * c..col.end * c].chunks_exact(c) {
                    out.iter_mut().zip(pixel).for_each(|(out, x)| *out += x);
                }
            }
        }
        for (col, out) in cols.iter().zip(out.chunks_exact_mut(c)) {
            let factor = row.factor * col.factor;
            for out in out {
                *out *= factor;
            }
        }
    });
    out
}

/// Returns the gradient of the images from that of the means.
pub(crate) fn gradient(grad: &[f32], images: Images, windows: &AvgWindows) -> Vec<f32> {
    let Images { h, w, c, .. } = images;
    let AvgWindows { rows, cols } = windows;
    let mut out = vec![0f32; images.len()];
    // One task per image, because windows can overlap.
    let grads = grad.par_chunks((rows.len() * cols.len() * c).max(1));
    out.par_chunks_mut((h * w * c).max(1)).zip(grads).for_each(|(out, grad)| {
        let places = rows.iter().flat_map(|row| cols.iter().map(move |col| (row, col)));
        for ((row, col), grad) in places.zip(grad.chunks_exact(c)) {
            let factor = row.factor * col.factor;
            for y in row.first..row.end {
                for pixel in out[(y * w + col.first) * c..(y * w + col.end) * c].chunks_exact_mut(c) {
                    pixel.iter_mut().zip(grad).for_each(|(out, grad)| *out += factor * grad);
                }
            }
        }
    });
    out
}
