//! The image data of a pyramid level that the search reads: an extended image, and gradients.

use crate::plane::Plane;

/// Width of the margin of an [`Extended`] image on each side, in pixels.
const MARGIN: usize = 16;

/// An image with a margin on all sides, which repeats the border pixels.
#[derive(Debug, Clone, Default)]
pub(super) struct Extended {
    stride: usize,
    data: Vec<f32>,
}

impl Extended {
    /// Allocates memory for an image of this size.
    pub fn new(width: usize, height: usize) -> Self {
        let stride = width + 2 * MARGIN;
        Self { stride, data: vec![0.0; stride * (height + 2 * MARGIN)] }
    }

    pub fn set(&mut self, image: &Plane) {
        for (i, row) in self.data.chunks_exact_mut(self.stride).enumerate() {
            let from = image.row(i.saturating_sub(MARGIN).min(image.height - 1));
            row[..MARGIN].fill(from[0]);
            row[MARGIN..MARGIN + from.len()].copy_from_slice(from);
            row[MARGIN + from.len()..].fill(from[from.len() - 1]);
        }
    }

    /// Returns the pixels from (x, y) to the end of the row. The smallest `x` and `y` are
    /// `-MARGIN`.
    #[inline(always)]
    pub fn from(&self, x: i32, y: i32) -> &[f32] {
        let margin = MARGIN as i32;
        let (x, y) = ((x + margin) as usize, (y + margin) as usize);
        &self.data[y * self.stride..(y + 1) * self.stride][x..]
    }
}

/// Computes derivatives with the 3 x 3 masks of Sobel, mirrored at the border.
///
/// The result is eight times the gradient, as the search expects it.
pub(super) fn sobel(image: &Plane, dx: &mut Plane, dy: &mut Plane) {
    let mirrored = |at: usize, step: isize, size: usize| -> usize {
        let next = at as isize + step;
        let next = if next < 0 { -next } else { next };
        let next = if next >= size as isize { 2 * size as isize - 2 - next } else { next };
        next.max(0) as usize
    };
    let (width, height) = (image.width, image.height);
    for y in 0..height {
        let (above, row) = (image.row(mirrored(y, -1, height)), image.row(y));
        let below = image.row(mirrored(y, 1, height));
        let (dx, dy) = (dx.row_mut(y), dy.row_mut(y));
        for x in 0..width {
            let (l, r) = (mirrored(x, -1, width), mirrored(x, 1, width));
            dx[x] = (above[r] - above[l]) + 2.0 * (row[r] - row[l]) + (below[r] - below[l]);
            dy[x] = (below[l] - above[l]) + 2.0 * (below[x] - above[x]) + (below[r] - above[r]);
        }
    }
}
