//! Windows of average pooling.

use super::Hw;
use candle_core::{Result, bail};

/// The window of an average pooling, as in
/// [`torch.nn.AvgPool2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool2d.html).
///
/// ```
/// # use candle_convnet::{AvgPool2dConfig, Hw};
/// let config = AvgPool2dConfig::new(3, 2).with_padding(1).with_counted_padding(false);
/// assert_eq!((config.kernel, config.stride), (Hw::from(3), Hw::from(2)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AvgPool2dConfig {
    /// Size of the window, in pixels; at least 1.
    pub kernel: Hw,
    /// Distance between neighbouring windows, in pixels; at least 1.
    pub stride: Hw,
    /// Zeros added on each side, at most half the kernel.
    pub padding: Hw,
    /// Whether the zeros of the padding count for the mean: `count_include_pad` of PyTorch.
    pub counted_padding: bool,
}

impl AvgPool2dConfig {
    /// Returns a window of `kernel` pixels that moves by `stride` pixels, without padding. Each is
    /// one number for both axes, or (height, width).
    pub fn new(kernel: impl Into<Hw>, stride: impl Into<Hw>) -> Self {
        Self { kernel: kernel.into(), stride: stride.into(), padding: Hw::from(0), counted_padding: true }
    }

    /// Sets the zero padding on each side, in pixels. It counts for the mean, unless
    /// [`AvgPool2dConfig::with_counted_padding`] changes it.
    #[must_use]
    pub fn with_padding(self, padding: impl Into<Hw>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// Sets whether the zeros of the padding count for the mean.
    #[must_use]
    pub const fn with_counted_padding(self, counted_padding: bool) -> Self {
        Self { counted_padding, ..self }
    }
}

/// Positions along one axis whose sum, times `factor`, is their mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Window {
    pub first: usize,
    pub end: usize,
    pub factor: f32,
}

/// The windows of an average pooling along both axes.
#[derive(Clone, Debug)]
pub(crate) struct AvgWindows {
    pub rows: Vec<Window>,
    pub cols: Vec<Window>,
}

impl AvgWindows {
    /// Returns the windows of `config` in images of `size`.
    pub(crate) fn sliding(size: Hw, config: AvgPool2dConfig) -> Result<Self> {
        let AvgPool2dConfig { kernel, stride, padding, counted_padding } = config;
        let valid = kernel.h > 0
            && kernel.w > 0
            && stride.h > 0
            && stride.w > 0
            && padding.h <= kernel.h / 2
            && padding.w <= kernel.w / 2;
        if !valid {
            bail!(
                "avg-pool2d: kernel {kernel}, stride {stride} and padding {padding} must satisfy kernel >= 1, \
                 stride >= 1, padding <= kernel / 2"
            );
        }
        if size.h + 2 * padding.h < kernel.h || size.w + 2 * padding.w < kernel.w {
            bail!("avg-pool2d: the {kernel} window is larger than the {size} image with padding {padding}");
        }
        let axis = |size: usize, kernel: usize, stride: usize, padding: usize| {
            let window = move |at: usize| {
                let start = at * stride;
                let (first, end) = (start.saturating_sub(padding), (start + kernel - padding).min(size));
                let count = if counted_padding { kernel } else { end - first };
                Window { first, end, factor: 1. / count as f32 }
            };
            (0..=(size + 2 * padding - kernel) / stride).map(window).collect()
        };
        Ok(Self {
            rows: axis(size.h, kernel.h, stride.h, padding.h),
            cols: axis(size.w, kernel.w, stride.w, padding.w),
        })
    }

    /// Returns the windows that divide images of `size` into `out` parts, which overlap if `out`
    /// does not divide `size`.
    pub(crate) fn adaptive(size: Hw, out: Hw) -> Result<Self> {
        if out.product() == 0 || size.product() == 0 {
            bail!("adaptive-avg-pool2d: cannot divide {size} images into {out} windows");
        }
        let axis = |size: usize, out: usize| {
            let window = move |at: usize| {
                let (first, end) = (at * size / out, ((at + 1) * size).div_ceil(out));
                Window { first, end, factor: 1. / (end - first) as f32 }
            };
            (0..out).map(window).collect()
        };
        Ok(Self { rows: axis(size.h, out.h), cols: axis(size.w, out.w) })
    }
}
