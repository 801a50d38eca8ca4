//! Sizes of a convolution.

use candle_core::{Result, Shape, bail};

/// Stride and padding of a convolution. The size of the kernel is that of the weights.
///
/// ```
/// # use candle_convnet::Conv2dConfig;
/// let config = Conv2dConfig::default().with_stride(2).with_padding(3);
/// assert_eq!((config.stride, config.padding), (2, 3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conv2dConfig {
    /// Distance between neighbouring windows along both axes, in input pixels; at least 1.
    pub stride: usize,
    /// Zeros added on each side of the image, in pixels.
    pub padding: usize,
}

impl Conv2dConfig {
    /// Sets the stride, in input pixels.
    #[must_use]
    pub const fn with_stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// Sets the zero padding on each side, in pixels.
    #[must_use]
    pub const fn with_padding(self, padding: usize) -> Self {
        Self { padding, ..self }
    }
}

impl Default for Conv2dConfig {
    /// Returns stride 1 without padding.
    fn default() -> Self {
        Self { stride: 1, padding: 0 }
    }
}

/// The shape of a batch of NHWC images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Images {
    pub n: usize,
    pub h: usize,
    pub w: usize,
    pub c: usize,
}

impl Images {
    pub(crate) fn len(&self) -> usize {
        self.n * self.h * self.w * self.c
    }
}

/// The shapes of one convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub(crate) input: Images,
    pub(crate) output: Images,
    pub(crate) kernel: (usize, usize),
    pub(crate) config: Conv2dConfig,
}

impl Geometry {
    pub(crate) fn new(x: &Shape, weight: &Shape, config: Conv2dConfig) -> Result<Self> {
        let (n, h, w, c) = x.dims4()?;
        let (o, weight_c, kh, kw) = weight.dims4()?;
        let Conv2dConfig { stride, padding } = config;
        if weight_c != c {
            bail!("conv2d: images {x:?} (NHWC) have {c} channels, but weights {weight:?} (OIHW) expect {weight_c}");
        }
        if stride == 0 || kh == 0 || kw == 0 {
            bail!("conv2d: stride is {stride} and the kernel is {kh}x{kw}; all must be at least 1");
        }
        if h + 2 * padding < kh || w + 2 * padding < kw {
            bail!("conv2d: the {kh}x{kw} kernel is larger than the {h}x{w} image with padding {padding}");
        }
        let (out_h, out_w) = ((h + 2 * padding - kh) / stride + 1, (w + 2 * padding - kw) / stride + 1);
        Ok(Self {
            input: Images { n, h, w, c },
            output: Images { n, h: out_h, w: out_w, c: o },
            kernel: (kh, kw),
            config,
        })
    }
}
