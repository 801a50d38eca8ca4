//! Images of f32 with a border of one pixel left and right, so that neighbours in a row need no special case.

/// Pixels of border on each side of a row.
const BORDER: usize = 1;

/// An image `[height, width]`; rows lie one behind the other, each with its border.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plane {
    pub width: usize,
    pub height: usize,
    data: Vec<f32>,
}

impl Plane {
    /// An image of zeros, border included.
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

    /// Row `y` with its border: pixel `x` is at `x + 1`.
    #[inline(always)]
    pub fn bordered(&self, y: usize) -> &[f32] {
        let start = self.start(y);
        &self.data[start..start + self.width + 2 * BORDER]
    }

    /// Row `y` with its border, to be changed.
    #[inline(always)]
    pub fn bordered_mut(&mut self, y: usize) -> &mut [f32] {
        let start = self.start(y);
        &mut self.data[start..start + self.width + 2 * BORDER]
    }

    /// Takes a grey image of this size.
    pub fn set_grey(&mut self, image: &[u8]) {
        for (y, row) in image.chunks_exact(self.width).enumerate() {
            for (pixel, &grey) in self.row_mut(y).iter_mut().zip(row) {
                *pixel = f32::from(grey);
            }
        }
    }

    /// Takes the pixels of an image of the same size.
    pub fn copy_from(&mut self, other: &Self) {
        self.data.copy_from_slice(&other.data);
    }

    /// Sets the border to the pixels beside it.
    pub fn repeat_border(&mut self) {
        let width = self.width;
        for y in 0..self.height {
            let row = self.bordered_mut(y);
            (row[0], row[width + 1]) = (row[1], row[width]);
        }
    }

    /// The rows above, at and below `y`, with borders, the middle one to be changed; `beyond` is what lies outside.
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

    /// The pixels of row `y`.
    #[inline(always)]
    pub fn row(&self, y: usize) -> &[f32] {
        &self.bordered(y)[BORDER..][..self.width]
    }

    /// The pixels of row `y`, to be changed.
    #[inline(always)]
    pub fn row_mut(&mut self, y: usize) -> &mut [f32] {
        let width = self.width;
        &mut self.bordered_mut(y)[BORDER..][..width]
    }
}
