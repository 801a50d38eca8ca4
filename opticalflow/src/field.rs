//! A dense flow field.

/// Where each pixel of the first image went: pixel (x, y) is found at (x + `x[i]`, y + `y[i]`) in the second, `i = y * width + x`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Flow {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Motion to the right, in pixels, `[height, width]`.
    pub x: Vec<f32>,
    /// Motion downwards, in pixels, `[height, width]`.
    pub y: Vec<f32>,
}

impl Flow {
    /// Mean length of the difference of two fields of one size: the end-point error of Otte and Nagel (1994), in pixels.
    ///
    /// # Panics
    /// Where the sizes differ.
    pub fn end_point_error(&self, other: &Self) -> f64 {
        assert_eq!((self.width, self.height), (other.width, other.height), "fields of one size");
        let xs = self.x.iter().zip(&other.x).map(|(a, b)| f64::from(a - b));
        let ys = self.y.iter().zip(&other.y).map(|(a, b)| f64::from(a - b));
        let sum: f64 = xs.zip(ys).map(|(dx, dy)| dx.hypot(dy)).sum();
        sum / self.x.len().max(1) as f64
    }
}
