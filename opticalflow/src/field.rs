//! A dense flow field.

use crate::error::{Error, Result};

/// A flow field: the motion of each pixel between two images.
///
/// Pixel (x, y) of the first image is at (x + `x[i]`, y + `y[i]`) in the second image.
/// The index is `i = y * width + x`.
///
/// A `Flow::default()` is empty. Solvers fill it and reuse its memory.
///
/// # Example
///
/// ```
/// use clip_flow::Flow;
///
/// let still = Flow::new(2, 1, vec![0.0, 0.0], vec![0.0, 0.0])?;
/// let moved = Flow::new(2, 1, vec![3.0, 0.0], vec![4.0, 0.0])?;
/// assert_eq!(moved.end_point_error(&still)?, 2.5);
/// # Ok::<(), clip_flow::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
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
    /// Makes a field from its motions to the right and downwards, each `[height, width]`.
    ///
    /// # Errors
    /// Returns [`Error::Field`] if the lengths of `x` and `y` do not fit the size.
    pub fn new(width: usize, height: usize, x: Vec<f32>, y: Vec<f32>) -> Result<Self> {
        let flow = Self { width, height, x, y };
        flow.check(width, height)?;
        Ok(flow)
    }

    fn check(&self, width: usize, height: usize) -> Result<()> {
        let (got, motions) = ((self.width, self.height), (self.x.len(), self.y.len()));
        let pixels = width.saturating_mul(height);
        if got == (width, height) && motions == (pixels, pixels) {
            return Ok(());
        }
        Err(Error::Field { width, height, got, motions })
    }

    /// Returns the mean end-point error in pixels: the mean length of the difference of two fields
    /// (Otte and Nagel 1994).
    ///
    /// # Errors
    /// Returns [`Error::Field`] if the fields have different sizes.
    pub fn end_point_error(&self, other: &Self) -> Result<f64> {
        self.check(self.width, self.height)?;
        other.check(self.width, self.height)?;
        let xs = self.x.iter().zip(&other.x).map(|(a, b)| f64::from(a - b));
        let ys = self.y.iter().zip(&other.y).map(|(a, b)| f64::from(a - b));
        let sum: f64 = xs.zip(ys).map(|(dx, dy)| dx.hypot(dy)).sum();
        Ok(sum / self.x.len().max(1) as f64)
    }
}
