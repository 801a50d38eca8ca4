//! How u8 pixels lie, and what their values become.

use candle_core::{Layout, Result, Shape, bail};

/// Where the channels of u8 images are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PixelLayout {
    /// [N, H, W, C]: side by side in each pixel.
    Interleaved,
    /// [N, C, H, W]: an image each.
    Planes,
}

impl PixelLayout {
    /// N, H, W and C.
    pub(crate) fn sizes(self, shape: &Shape) -> Result<(usize, usize, usize, usize)> {
        let (n, a, b, c) = shape.dims4()?;
        Ok(match self {
            Self::Interleaved => (n, a, b, c),
            Self::Planes => (n, b, c, a),
        })
    }
}

/// What the values of pixels become: `(v / 255 - mean) / std`.
///
/// ```
/// # use candle_convnet::Normalisation;
/// // No motion, 128 in every channel of optical flow, becomes 0.
/// let flow = Normalisation::new([128. / 255.], [0.226]);
/// assert_eq!(flow.mean.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Normalisation {
    /// One for each channel; fewer are repeated (channel c takes entry c mod length).
    pub mean: Vec<f32>,
    /// As many as `mean`, none of them 0.
    pub std: Vec<f32>,
}

impl Normalisation {
    /// Takes a mean and a deviation for each channel, of values from 0 to 1; fewer than there are channels are repeated.
    /// [`normalise`](crate::normalise) refuses lists of different lengths and values that it cannot compute with.
    pub fn new(mean: impl Into<Vec<f32>>, std: impl Into<Vec<f32>>) -> Self {
        Self { mean: mean.into(), std: std.into() }
    }

    /// Returns ImageNet's values, for RGB, as torchvision's models expect them.
    pub fn imagenet() -> Self {
        Self::new([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    }

    /// Leaves values between 0 and 1, in every channel.
    pub fn unit() -> Self {
        Self::new([0.], [1.])
    }

    /// Refuses what no pixel can be computed with.
    pub(crate) fn check(&self) -> Result<()> {
        let Self { mean, std } = self;
        if mean.is_empty() || mean.len() != std.len() {
            bail!("normalise: {} means and {} deviations", mean.len(), std.len());
        }
        if let Some(mean) = mean.iter().find(|mean| !mean.is_finite()) {
            bail!("normalise: the mean {mean} is not finite");
        }
        if let Some(std) = std.iter().find(|std| !std.is_normal()) {
            bail!("normalise: the deviation {std} is 0 or not finite");
        }
        Ok(())
    }
}

/// First element of the first image, and elements from one image to the next.
pub(crate) fn images(layout: &Layout) -> Result<(usize, usize)> {
    let (dims, stride) = (layout.dims(), layout.stride());
    let len: usize = dims[1..].iter().product();
    let mut inner = len;
    for (&dim, &stride) in dims[1..].iter().zip(&stride[1..]) {
        inner /= dim.max(1);
        if stride != inner && dim > 1 {
            bail!("normalise: an image of shape {:?} is not contiguous", layout.shape());
        }
    }
    Ok((layout.start_offset(), if dims[0] > 1 { stride[0] } else { len }))
}
