//! Windows of max pooling.

use candle_core::{Result, Shape, bail};

/// The window of a max pooling.
///
/// ```
/// # use candle_convnet::MaxPool2dConfig;
/// // The pooling of a ResNet: [N, 112, 112, C] -> [N, 56, 56, C].
/// let config = MaxPool2dConfig::new(3, 2).with_padding(1);
/// assert_eq!((config.kernel, config.stride, config.padding), (3, 2, 1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MaxPool2dConfig {
    /// Height and width of the window, in pixels; 1 to 16.
    pub kernel: usize,
    /// Distance between neighbouring windows, in pixels; at least 1.
    pub stride: usize,
    /// Pixels added on each side, at most half the kernel. They are never the maximum.
    pub padding: usize,
}

impl MaxPool2dConfig {
    /// Returns a window of `kernel` x `kernel` pixels that moves by `stride` pixels, without
    /// padding.
    pub const fn new(kernel: usize, stride: usize) -> Self {
        Self { kernel, stride, padding: 0 }
    }

    /// Sets the padding on each side, in pixels.
    #[must_use]
    pub const fn with_padding(self, padding: usize) -> Self {
        Self { padding, ..self }
    }

    /// Returns the sizes of the output for images of shape `x`, both NHWC.
    pub(crate) fn output(self, x: &Shape) -> Result<(usize, usize, usize, usize)> {
        let (n, h, w, c) = x.dims4()?;
        let MaxPool2dConfig { kernel, stride, padding } = self;
        if kernel == 0 || kernel > 16 || stride == 0 || padding > kernel / 2 {
            bail!(
                "max-pool2d: kernel {kernel}, stride {stride} and padding {padding} must satisfy \
                 1 <= kernel <= 16, stride >= 1, padding <= kernel / 2"
            );
        }
        if h + 2 * padding < kernel || w + 2 * padding < kernel {
            bail!("max-pool2d: the {kernel}x{kernel} window is larger than the {h}x{w} image with padding {padding}");
        }
        Ok((n, (h + 2 * padding - kernel) / stride + 1, (w + 2 * padding - kernel) / stride + 1, c))
    }

    /// Returns the part of window `at` that is inside `0..size`, as `first..end` relative to the
    /// window's start, and that start.
    pub(crate) fn window(self, at: usize, size: usize) -> (usize, usize, isize) {
        let start = (at * self.stride) as isize - self.padding as isize;
        let first = (-start).max(0) as usize;
        let end = (size as isize - start).clamp(first as isize, self.kernel as isize) as usize;
        (first, end, start)
    }
}
