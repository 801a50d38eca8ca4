//! One level of the pyramid: both images and the gradient of the first, as the search reads them.

use crate::plane::Plane;

/// Pixels by which the second image goes on beyond its border.
const MARGIN: usize = 16;

/// An image that goes on beyond its border, each border pixel repeated.
#[derive(Debug, Clone, Default)]
pub(super) struct Extended {
    stride: usize,
    data: Vec<f32>,
}

impl Extended {
    /// Room for an image of this size.
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

    /// The pixels from (x, y) on to the end of the row, both from -[`MARGIN`] on.
    #[inline(always)]
    pub fn from(&self, x: i32, y: i32) -> &[f32] {
        let margin = MARGIN as i32;
        let (x, y) = ((x + margin) as usize, (y + margin) as usize);
        &self.data[y * self.stride..(y + 1) * self.stride][x..]
    }
}

/// Derivatives by Sobel's 3 x 3 masks, mirrored at the border, eight times the gradient: the scale that the search is made for.
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
