//! Images of f32 with a border of one pixel at the left and right of each row.
//!
//! With the border, code that reads the neighbours of a pixel needs no special case.

/// Width of the border on each side of a row, in pixels.
const BORDER: usize = 1;

/// An image `[height, width]`. The rows are stored one after the other, each with its border.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plane {
    pub width: usize,
    pub height: usize,
    data: Vec<f32>,
}

impl Plane {
    /// Makes an image of zeros. The border is zero, too.
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, data: vec![0.0; (width + 2 * BORDER) * height] }
    }

    /// Sets all pixels and the border to zero.
    pub fn clear(&mut self) {
        self.data.fill(0.0);
    }

    #[inline(always)]
    fn start(&self, y: usize) -> usize {
        y * (self.width + 2 * BORDER)
    }

    /// Returns row `y` with its border: pixel `x` is at index `x + 1`.
    #[inline(always)]
    pub fn bordered(&self, y: usize) -> &[f32] {
        let start = self.start(y);
        &self.data[start..start + self.width + 2 * BORDER]
    }

    /// Returns row `y` with its border, mutable.
    #[inline(always)]
    pub fn bordered_mut(&mut self, y: usize) -> &mut [f32] {
        let start = self.start(y);
        &mut self.data[start..start + self.width + 2 * BORDER]
    }

    /// Sets the pixels to those of a grey image of the same size.
    pub fn set_grey(&mut self, image: &[u8]) {
        for (y, row) in image.chunks_exact(self.width).enumerate() {
            for (pixel, &grey) in self.row_mut(y).iter_mut().zip(row) {
                *pixel = f32::from(grey);
            }
        }
    }

    /// Copies an image of the same size, border included.
    pub fn copy_from(&mut self, other: &Self) {
        self.data.copy_from_slice(&other.data);
    }

    /// Sets each border pixel to the value of the pixel next to it.
    pub fn repeat_border(&mut self) {
        let width = self.width;
        for y in 0..self.height {
            let row = self.bordered_mut(y);
            (row[0], row[width + 1]) = (row[1], row[width]);
        }
    }

    /// Returns the rows above, at and below `y`, with borders. Row `y` is mutable. `beyond`
    /// replaces rows outside the image.
    #[inline(always)]
    pub fn around<'a>(&'a mut self, y: usize, beyond: &'a [f32]) -> (&'a [f32], &'a mut [f32], &'a [f32]) {
        let (stride, start, height) = (self.width + 2 * BORDER, self.start(y), self.height);
        let (before, rest) = self.data.split_at_mut(start);
        let (row, after) = rest.split_at_mut(stride);
        let above = if y > 0 { &before[start - stride..] } else { beyond };
        (above, row, if y + 1 < height { &after[..stride] } else { beyond })
    }

    /// Copies a row, border included, to another.
    pub fn copy_row(&mut self, from: usize, to: usize) {
        let (from, to) = (self.start(from), self.start(to));
        self.data.copy_within(from..from + self.width + 2 * BORDER, to);
    }

    /// Returns the pixels of row `y`.
    #[inline(always)]
    pub fn row(&self, y: usize) -> &[f32] {
        &self.bordered(y)[BORDER..][..self.width]
    }

    /// Returns the pixels of row `y`, mutable.
    #[inline(always)]
    pub fn row_mut(&mut self, y: usize) -> &mut [f32] {
        let width = self.width;
        &mut self.bordered_mut(y)[BORDER..][..width]
    }
}
