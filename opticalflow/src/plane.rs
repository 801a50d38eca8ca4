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

    fn start(&self, y: usize) -> usize {
        y * (self.width + 2 * BORDER)
    }

    /// Row `y` with its border: pixel `x` is at `x + 1`.
    pub fn bordered(&self, y: usize) -> &[f32] {
        let start = self.start(y);
        &self.data[start..start + self.width + 2 * BORDER]
    }

    /// Row `y` with its border, to be changed.
    pub fn bordered_mut(&mut self, y: usize) -> &mut [f32] {
        let start = self.start(y);
        &mut self.data[start..start + self.width + 2 * BORDER]
    }

    /// The pixels of row `y`.
    pub fn row(&self, y: usize) -> &[f32] {
        &self.bordered(y)[BORDER..][..self.width]
    }

    /// The pixels of row `y`, to be changed.
    pub fn row_mut(&mut self, y: usize) -> &mut [f32] {
        let width = self.width;
        &mut self.bordered_mut(y)[BORDER..][..width]
    }
}
