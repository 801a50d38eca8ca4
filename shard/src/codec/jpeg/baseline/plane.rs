//! The decoded part of a colour plane.

use super::frame::Frame;
use super::kernels::CHUNK;
use std::ops::Range;

/// The part of a colour plane that a window needs, in whole blocks.
#[derive(Default)]
pub(super) struct Plane {
    pub pixels: Vec<u8>,
    pub stride: usize,
    /// Columns and rows of blocks in the whole plane.
    pub columns: Range<usize>,
    pub rows: Range<usize>,
    /// Size of the whole plane in pixels, without the padding of its last blocks.
    pub width: usize,
    pub height: usize,
}

/// Extra bytes after the last row of a plane, so that rows can be read with whole vectors.
pub(super) const SLACK: usize = CHUNK;

impl Plane {
    /// Selects the part that columns `x` and rows `y` of the image need, and resizes the memory.
    ///
    /// A sample covers `h` pixels horizontally and `v` pixels vertically.
    pub fn fit(&mut self, frame: &Frame, (h, v): (usize, usize), x: Range<usize>, y: Range<usize>) {
        (self.width, self.height) = (frame.width.div_ceil(h), frame.height.div_ceil(v));
        // Smoothing needs the neighbouring samples.
        let blocks = |pixels: Range<usize>, scale: usize, end: usize| {
            let beyond = usize::from(scale > 1);
            let first = (pixels.start / scale).saturating_sub(beyond);
            first / 8..((pixels.end - 1) / scale + beyond).min(end - 1) / 8 + 1
        };
        self.columns = blocks(x, h, self.width);
        self.rows = blocks(y, v, self.height);
        self.stride = 8 * self.columns.len();
        // Old pixels may remain, because the scan overwrites all of them.
        self.pixels.resize(self.stride * 8 * self.rows.len() + SLACK, 0);
    }

    /// Returns the pixels from the start of row `y`, at the first column of blocks, to the end of
    /// the memory.
    pub fn row(&self, y: usize) -> &[u8] {
        &self.pixels[(y - 8 * self.rows.start) * self.stride..]
    }
}
