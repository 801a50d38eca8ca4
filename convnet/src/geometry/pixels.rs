//! Layout of u8 images, and normalisation of their values.

use candle_core::{Layout, Result, Shape, bail};

/// Memory layout of u8 images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PixelLayout {
    /// `[N, H, W, C]`: the channels of a pixel are neighbours.
    Interleaved,
    /// `[N, C, H, W]`: each channel is a plane.
    Planes,
}

impl PixelLayout {
    /// Returns N, H, W and C.
    pub(crate) fn sizes(self, shape: &Shape) -> Result<(usize, usize, usize, usize)> {
        let (n, a, b, c) = shape.dims4()?;
        Ok(match self {
            Self::Interleaved => (n, a, b, c),
            Self::Planes => (n, b, c, a),
        })
    }
}

/// Mean and standard deviation per channel: a pixel value `v` becomes `(v / 255 - mean) / std`.
///
/// ```
/// # use candle_convnet::Normalisation;
/// // In images of optical flow, 128 means no motion. It becomes 0.
/// let flow = Normalisation::new([128. / 255.], [0.226]);
/// assert_eq!(flow.mean.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Normalisation {
    /// One mean per channel. A shorter list repeats: channel c uses entry c mod length.
    pub mean: Vec<f32>,
    /// Standard deviations, as many as means; none of them is 0.
    pub std: Vec<f32>,
}

impl Normalisation {
    /// Creates a normalisation from one mean and one standard deviation per channel, of values from
    /// 0 to 1.
    ///
    /// Lists that are shorter than the number of channels repeat. [`normalise`](crate::normalise)
    /// returns an error if the lists are empty or of different lengths, if a value is not finite,
    /// or if a standard deviation is 0.
    pub fn new(mean: impl Into<Vec<f32>>, std: impl Into<Vec<f32>>) -> Self {
        Self { mean: mean.into(), std: std.into() }
    }

    /// Returns the values of ImageNet for RGB, which torchvision's models expect.
    pub fn imagenet() -> Self {
        Self::new([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    }

    /// Returns a normalisation that only divides by 255, so values are between 0 and 1.
    pub fn unit() -> Self {
        Self::new([0.], [1.])
    }

    /// Checks that the lists fit together and all values can be used.
    pub(crate) fn check(&self) -> Result<()> {
        let Self { mean, std } = self;
        if mean.is_empty() || mean.len() != std.len() {
            bail!("normalise: found {} means and {} deviations; pass as many of both", mean.len(), std.len());
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

/// Returns the index of the first element, and the distance from one image to the next, in
/// elements.
pub(crate) fn images(layout: &Layout) -> Result<(usize, usize)> {
    let (dims, stride) = (layout.dims(), layout.stride());
    let len: usize = dims[1..].iter().product();
    let mut inner = len;
    for (&dim, &stride) in dims[1..].iter().zip(&stride[1..]) {
        inner /= dim.max(1);
        if stride != inner && dim > 1 {
            bail!("normalise: the images of shape {:?} are not contiguous; call .contiguous() first", layout.shape());
        }
    }
    Ok((layout.start_offset(), if dims[0] > 1 { stride[0] } else { len }))
}
