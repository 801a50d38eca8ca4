//! Sizes of a temporal shift.

use super::Images;
use candle_core::{Result, Shape, bail};

/// Clips whose frames exchange channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Clips {
    /// Frames per clip.
    pub frames: usize,
    /// Share of the channels that move in each direction, from 0 to 1/2.
    pub fraction: f64,
}

/// A temporal shift of NHWC images, or the reverse shift, which is its gradient.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TemporalShift {
    pub images: Images,
    /// Frames per clip, at least 1. The number of images is a multiple of it.
    pub frames: usize,
    /// Number of channels that move in each direction.
    pub fold: usize,
    /// Whether the first channels take values of the previous frame instead of the next one.
    pub reverse: bool,
}

impl TemporalShift {
    pub(crate) fn new(x: &Shape, clips: Clips, reverse: bool) -> Result<Self> {
        let (n, h, w, c) = x.dims4()?;
        clips.check(n)?;
        // The small number keeps a product such as 1/3 of 3 channels from being rounded to 0.
        let fold = (c as f64 * clips.fraction + 1e-9) as usize;
        Ok(Self { images: Images { n, h, w, c }, frames: clips.frames, fold, reverse })
    }

    /// Returns the images from which the first and the second group of channels of image `n` come.
    /// Frames outside the clip are `None` and count as zeros.
    pub(crate) fn sources(&self, n: usize) -> [Option<usize>; 2] {
        let frame = n % self.frames;
        let (next, previous) = ((frame + 1 < self.frames).then_some(n + 1), (frame > 0).then(|| n - 1));
        if self.reverse { [previous, next] } else { [next, previous] }
    }
}

impl Clips {
    /// Checks that `images` are whole clips, and that the fraction is in its range.
    pub(crate) fn check(self, images: usize) -> Result<()> {
        let Self { frames, fraction } = self;
        if frames == 0 {
            bail!("temporal-shift: a clip of 0 frames is not possible; use at least 1");
        }
        if !(0.0..=0.5).contains(&fraction) {
            bail!("temporal-shift: the fraction of channels is {fraction}, but must be between 0 and 1/2");
        }
        if !images.is_multiple_of(frames) {
            bail!(
                "temporal-shift: the batch has {images} images, which are not whole clips of {frames} frames; \
                 use a multiple of {frames} images"
            );
        }
        Ok(())
    }
}
