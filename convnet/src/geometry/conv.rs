//! Sizes of a convolution.

use super::Hw;
use candle_core::{Result, Shape, bail};

/// Stride, padding, dilation and groups of a convolution, as in
/// [`torch.nn.Conv2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html). The
/// size of the kernel is that of the weights.
///
/// ```
/// # use candle_convnet::{Conv2dConfig, Hw};
/// let stem = Conv2dConfig::default().with_stride(2).with_padding(3);
/// assert_eq!((stem.stride, stem.padding), (Hw::from(2), Hw::from(3)));
/// // Along the height only: 3x1 kernels over the frames of a clip.
/// let temporal = Conv2dConfig::default().with_stride((2, 1)).with_padding((1, 0));
/// assert_eq!(temporal.stride, Hw { h: 2, w: 1 });
/// // Depthwise: each of the 64 channels has its own kernel.
/// let depthwise = Conv2dConfig::default().with_padding(1).with_groups(64);
/// assert_eq!(depthwise.groups, 64);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Conv2dConfig {
    /// Distance between neighbouring windows, in input pixels; at least 1.
    pub stride: Hw,
    /// Zeros added on each side of the image, in pixels.
    pub padding: Hw,
    /// Distance between the pixels of a window, in input pixels; at least 1.
    pub dilation: Hw,
    /// Number of groups of channels, at least 1. It divides the input and the output channels. Each
    /// output channel depends on the input channels of its group only.
    pub groups: usize,
}

impl Conv2dConfig {
    /// Sets the stride of both axes, or of (height, width), in input pixels.
    #[must_use]
    pub fn with_stride(self, stride: impl Into<Hw>) -> Self {
        Self { stride: stride.into(), ..self }
    }

    /// Sets the zero padding on each side of both axes, or of (height, width), in pixels.
    #[must_use]
    pub fn with_padding(self, padding: impl Into<Hw>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// Sets the dilation of both axes, or of (height, width), in input pixels.
    #[must_use]
    pub fn with_dilation(self, dilation: impl Into<Hw>) -> Self {
        Self { dilation: dilation.into(), ..self }
    }

    /// Sets the number of groups of channels.
    #[must_use]
    pub fn with_groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }
}

impl Default for Conv2dConfig {
    /// Returns stride 1 and dilation 1, without padding and without groups.
    fn default() -> Self {
        Self { stride: Hw::from(1), padding: Hw::from(0), dilation: Hw::from(1), groups: 1 }
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

    pub(crate) fn shape(&self) -> Shape {
        (self.n, self.h, self.w, self.c).into()
    }
}

/// The shapes of one convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub(crate) input: Images,
    pub(crate) output: Images,
    pub(crate) kernel: Hw,
    pub(crate) config: Conv2dConfig,
}

impl Geometry {
    pub(crate) fn new(x: &Shape, weight: &Shape, config: Conv2dConfig) -> Result<Self> {
        let (n, h, w, c) = x.dims4()?;
        let (o, weight_c, kh, kw) = weight.dims4()?;
        let (kernel, Conv2dConfig { stride, padding, dilation, groups }) = (Hw { h: kh, w: kw }, config);
        if groups == 0 || !c.is_multiple_of(groups) || !o.is_multiple_of(groups) {
            bail!(
                "conv2d: {groups} groups do not divide the {c} channels of the images {x:?} (NHWC) and the {o} of the \
                 weights {weight:?} (OIHW)"
            );
        }
        if weight_c != c / groups {
            let per_group = if groups == 1 { String::new() } else { format!(", {} in each group", c / groups) };
            bail!(
                "conv2d: images {x:?} (NHWC) have {c} channels{per_group}, but weights {weight:?} (OIHW) expect \
                 {weight_c}"
            );
        }
        if [stride, kernel, dilation].iter().any(|size| size.h == 0 || size.w == 0) {
            bail!("conv2d: stride is {stride}, dilation {dilation} and the kernel {kernel}; all must be at least 1");
        }
        let out_h = windows(h, kernel.h, stride.h, padding.h, dilation.h);
        let out_w = windows(w, kernel.w, stride.w, padding.w, dilation.w);
        let (Some(out_h), Some(out_w)) = (out_h, out_w) else {
            let spread = if dilation == Hw::from(1) { String::new() } else { format!(" with dilation {dilation}") };
            bail!("conv2d: the {kernel} kernel{spread} is larger than the {h}x{w} image with padding {padding}");
        };
        Ok(Self { input: Images { n, h, w, c }, output: Images { n, h: out_h, w: out_w, c: o }, kernel, config })
    }

    /// Returns whether each channel has its own kernel.
    pub(crate) fn is_depthwise(&self) -> bool {
        let groups = self.config.groups;
        groups > 1 && self.input.c == groups && self.output.c == groups
    }
}

/// Returns the number of windows along an axis, or `None` if not even one fits.
fn windows(size: usize, kernel: usize, stride: usize, padding: usize, dilation: usize) -> Option<usize> {
    let padded = padding.checked_mul(2)?.checked_add(size)?;
    let span = (kernel - 1).checked_mul(dilation)?.checked_add(1)?;
    Some(padded.checked_sub(span)? / stride + 1)
}
