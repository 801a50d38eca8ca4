//! The part of a colour plane that is decoded.

use super::frame::Frame;
use super::kernels::CHUNK;
use std::ops::Range;

/// The part of a colour plane that a window needs, in whole blocks.
#[derive(Default)]
pub(super) struct Plane {
    pub pixels: Vec<u8>,
    pub stride: usize,
    /// Columns and rows of blocks.
    pub columns: Range<usize>,
    pub rows: Range<usize>,
    /// Size of the whole plane in pixels, without what fills its last blocks.
    pub width: usize,
    pub height: usize,
}

/// Bytes behind the last row of a plane, so that rows can be read by whole vectors.
pub(super) const SLACK: usize = CHUNK;

impl Plane {
    /// Takes the part that pixels `x` and `y` of the image need. `h` and `v`: across and down, how many pixels a sample stands for.
    pub fn fit(&mut self, frame: &Frame, (h, v): (usize, usize), x: Range<usize>, y: Range<usize>) {
        (self.width, self.height) = (frame.width.div_ceil(h), frame.height.div_ceil(v));
        // Smoothing looks at the neighbours.
        let blocks = |pixels: Range<usize>, scale: usize, end: usize| {
            let beyond = usize::from(scale > 1);
            let first = (pixels.start / scale).saturating_sub(beyond);
            first / 8..((pixels.end - 1) / scale + beyond).min(end - 1) / 8 + 1
        };
        self.columns = blocks(x, h, self.width);
        self.rows = blocks(y, v, self.height);
        self.stride = 8 * self.columns.len();
        // What was there before is written over.
        self.pixels.resize(self.stride * 8 * self.rows.len() + SLACK, 0);
    }

    /// The row `y` of the plane, from `self.columns` on, and what lies behind it.
    pub fn row(&self, y: usize) -> &[u8] {
        &self.pixels[(y - 8 * self.rows.start) * self.stride..]
    }
}
