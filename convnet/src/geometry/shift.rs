//! Sizes of a temporal shift.

use super::Images;
use candle_core::{Result, Shape, bail};

/// One in this many channels moves in each direction: `shift_div` of the authors' code.
const DIVISOR: usize = 8;

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
    pub(crate) fn new(x: &Shape, frames: usize, reverse: bool) -> Result<Self> {
        let (n, h, w, c) = x.dims4()?;
        check_clips(n, frames)?;
        Ok(Self { images: Images { n, h, w, c }, frames, fold: c / DIVISOR, reverse })
    }

    /// Returns the images from which the first and the second group of channels of image `n` come.
    /// Frames outside the clip are `None` and count as zeros.
    pub(crate) fn sources(&self, n: usize) -> [Option<usize>; 2] {
        let frame = n % self.frames;
        let (next, previous) = ((frame + 1 < self.frames).then_some(n + 1), (frame > 0).then(|| n - 1));
        if self.reverse { [previous, next] } else { [next, previous] }
    }
}

/// Checks that `images` are whole clips of `frames` frames.
pub(crate) fn check_clips(images: usize, frames: usize) -> Result<()> {
    if frames == 0 {
        bail!("temporal-shift: a clip of 0 frames is not possible; use at least 1");
    }
    if !images.is_multiple_of(frames) {
        bail!(
            "temporal-shift: the batch has {images} images, which are not whole clips of {frames} frames; \
             use a multiple of {frames} images"
        );
    }
    Ok(())
}
