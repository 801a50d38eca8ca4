//! A value per axis of an image.

/// A value for each axis of an image: height, then width.
///
/// One number is the value of both axes, a pair is height and width.
///
/// ```
/// # use candle_convnet::Hw;
/// assert_eq!(Hw::from(3), Hw { h: 3, w: 3 });
/// assert_eq!(Hw::from((3, 1)), Hw { h: 3, w: 1 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "an image has two axes")]
pub struct Hw {
    /// The value along the height.
    pub h: usize,
    /// The value along the width.
    pub w: usize,
}

impl Hw {
    /// Returns the product of both values.
    pub(crate) fn product(self) -> usize {
        self.h * self.w
    }
}

impl From<usize> for Hw {
    fn from(both: usize) -> Self {
        Self { h: both, w: both }
    }
}

impl From<(usize, usize)> for Hw {
    fn from((h, w): (usize, usize)) -> Self {
        Self { h, w }
    }
}

impl std::fmt::Display for Hw {
    /// Writes height and width, such as 3x1.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.h, self.w)
    }
}
