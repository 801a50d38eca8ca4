//! Sizes of a convolution over time and space.

/// A value for each axis of a clip: time, height, width.
///
/// One number is the value of all axes.
///
/// ```
/// # use candle_convnet::Thw;
/// assert_eq!(Thw::from(3), Thw { t: 3, h: 3, w: 3 });
/// assert_eq!(Thw::from((1, 3, 3)), Thw { t: 1, h: 3, w: 3 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a clip has three axes")]
pub struct Thw {
    /// The value along the time.
    pub t: usize,
    /// The value along the height.
    pub h: usize,
    /// The value along the width.
    pub w: usize,
}

impl From<usize> for Thw {
    fn from(all: usize) -> Self {
        Self { t: all, h: all, w: all }
    }
}

impl From<(usize, usize, usize)> for Thw {
    fn from((t, h, w): (usize, usize, usize)) -> Self {
        Self { t, h, w }
    }
}

/// Stride and padding of a convolution over time and space.
///
/// ```
/// # use candle_convnet::{Conv3dConfig, Thw};
/// let config = Conv3dConfig::default().with_stride((1, 2, 2)).with_padding((0, 1, 1));
/// assert_eq!(config.stride, Thw { t: 1, h: 2, w: 2 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conv3dConfig {
    /// Distance between neighbouring windows, in frames and pixels; at least 1.
    pub stride: Thw,
    /// Zeros added on each side, in frames and pixels.
    pub padding: Thw,
}

impl Conv3dConfig {
    /// Sets the stride of all axes, or of (time, height, width).
    #[must_use]
    pub fn with_stride(self, stride: impl Into<Thw>) -> Self {
        Self { stride: stride.into(), ..self }
    }

    /// Sets the zero padding on each side of all axes, or of (time, height, width).
    #[must_use]
    pub fn with_padding(self, padding: impl Into<Thw>) -> Self {
        Self { padding: padding.into(), ..self }
    }
}

impl Default for Conv3dConfig {
    /// Returns stride 1 without padding.
    fn default() -> Self {
        Self { stride: Thw::from(1), padding: Thw::from(0) }
    }
}
