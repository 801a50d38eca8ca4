//! Views: frames of one stream, with a part of each frame as a square.

mod dropout;
mod placement;

pub(crate) use dropout::dropped;
pub(crate) use placement::{Placement, check_fits, test_placement, train_window};

use crate::{Error, Result};
use clipshard::StreamSpec;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Largest number of views of a training sample.
pub const MAX_SEGMENTS: usize = 16;
/// Largest height and width of a view, in pixels.
const MAX_SIDE: usize = 1 << 14;
/// Largest number of frames of a view, and largest distance between them.
const MAX_FRAMES: usize = 1 << 16;
/// Largest number of frames from the first to the last frame of a view.
const MAX_SPAN: usize = 1 << 30;

/// Frames of a stream, each as a square of pixels.
///
/// ```
/// use clip_loader::{Crop, View};
///
/// let frame = View::frame("rgb").side(224); // [1, 1, 224, 224, 3]
/// let stack = View::stack("flow", 10).side(224); // [10, 2, 224, 224, 1]
/// assert_eq!((frame.span(), stack.span()), (1, 10));
///
/// // Every fourth of 64 frames, with the augmentation of training.
/// let clip = View::stack("rgb", 16).stride(4).crop(Crop::RandomResized).flip(true);
/// assert_eq!(clip.span(), 61);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct View {
    /// Name of the stream in the dataset, for example `rgb` or `flow`.
    pub stream: String,
    /// Number of frames.
    pub frames: usize,
    /// Distance from one frame of the view to the next, in frames of the clip.
    pub stride: usize,
    /// Distance from the start of the sample to the first frame of the view, in frames of the clip.
    pub offset: usize,
    /// Height and width in pixels.
    pub side: usize,
    /// The part of a frame that a training sample shows.
    pub crop: Crop,
    /// Whether training mirrors the view with a probability of one half. In mirrored optical flow,
    /// x displacements are reversed.
    pub flip: bool,
    /// Strength of the colour jitter ([`Jitter`](crate::Jitter)) of training, from 0 (none) to 1000.
    /// Streams other than RGB allow only 0.
    pub jitter: f64,
    /// Whether training changes the view by one random operation of TrivialAugment (Müller and Hutter
    /// 2021), after the flip and the jitter. Streams other than RGB do not allow it.
    pub trivial_augment: bool,
    /// Probability that training replaces a frame by one without motion, from 0 to 1. Only views of
    /// several frames of optical flow allow more than 0.
    pub frame_dropout: f64,
}

impl View {
    /// Makes a view of one whole frame of a stream, 224 pixels high and wide.
    pub fn frame(stream: impl Into<String>) -> Self {
        Self::stack(stream, 1)
    }

    /// Makes a view of `frames` consecutive whole frames of a stream, 224 pixels high and wide.
    pub fn stack(stream: impl Into<String>, frames: usize) -> Self {
        Self {
            stream: stream.into(),
            frames,
            stride: 1,
            offset: 0,
            side: 224,
            crop: Crop::Whole,
            flip: false,
            jitter: 0.0,
            trivial_augment: false,
            frame_dropout: 0.0,
        }
    }

    /// Sets the distance from one frame to the next.
    #[must_use]
    pub fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// Sets the distance from the start of the sample to the first frame.
    #[must_use]
    pub fn offset(self, offset: usize) -> Self {
        Self { offset, ..self }
    }

    /// Sets the height and width in pixels.
    #[must_use]
    pub fn side(self, side: usize) -> Self {
        Self { side, ..self }
    }

    /// Sets the part of a frame that a training sample shows.
    #[must_use]
    pub fn crop(self, crop: Crop) -> Self {
        Self { crop, ..self }
    }

    /// Sets whether training mirrors the view with a probability of one half.
    #[must_use]
    pub fn flip(self, flip: bool) -> Self {
        Self { flip, ..self }
    }

    /// Sets the strength of the colour jitter of training.
    #[must_use]
    pub fn jitter(self, jitter: f64) -> Self {
        Self { jitter, ..self }
    }

    /// Sets whether training changes the view by one random operation of TrivialAugment.
    ///
    /// The operation is one of 14: none, shears, translations, a rotation, changes of brightness,
    /// colour, contrast and sharpness, fewer bits, inverted bright values, stretched or equalised
    /// levels. Its strength is one of 31. The bytes equal those of torchvision's `TrivialAugmentWide`
    /// on a PIL image with its defaults. All images of the view change in the same way.
    #[must_use]
    pub fn trivial_augment(self, trivial_augment: bool) -> Self {
        Self { trivial_augment, ..self }
    }

    /// Sets the probability that training replaces a frame of optical flow by one without motion.
    ///
    /// In such a frame, all displacements in x and y are zero: 128 for samples of u8. One frame at
    /// least stays as it is.
    #[must_use]
    pub fn frame_dropout(self, share: f64) -> Self {
        Self { frame_dropout: share, ..self }
    }

    /// Returns the number of frames from the start of the sample to the last frame of the view.
    pub fn span(&self) -> usize {
        let last = self.frames.saturating_sub(1).saturating_mul(self.stride);
        self.offset.saturating_add(last).saturating_add(1)
    }

    /// Checks the numbers. Computations with checked numbers do not overflow.
    pub(crate) fn check(&self) -> Result<()> {
        if !(1..=MAX_SIDE).contains(&self.side) {
            return Err(Error::option("side", self.side, format!("between 1 and {MAX_SIDE}")));
        }
        for (name, value, least) in [("frames", self.frames, 1), ("stride", self.stride, 1), ("offset", self.offset, 0)]
        {
            if !(least..=MAX_FRAMES).contains(&value) {
                return Err(Error::option(name, value, format!("between {least} and {MAX_FRAMES}")));
            }
        }
        if self.span() > MAX_SPAN {
            return Err(Error::option("span", self.span(), format!("at most {MAX_SPAN} frames")));
        }
        Ok(())
    }

    /// Returns the number of bytes of a view: `frames * planes * side * side * channels` samples.
    pub(crate) fn bytes(&self, spec: &StreamSpec) -> usize {
        let samples = self.frames * spec.planes as usize * spec.channels as usize * self.side * self.side;
        samples * spec.samples.bytes()
    }
}

/// The part of a frame that a training view shows. All images of a view show the same part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Crop {
    /// The whole frame, resized to a square.
    #[default]
    Whole,
    /// A square of stored pixels at a random place, not resized.
    Random,
    /// A rectangle at one of thirteen places, with one of several scales and aspect ratios, resized
    /// to a square (Wang et al. 2015, "Towards Good Practices").
    Corners,
    /// A rectangle of 8 % to 100 % of the area and an aspect ratio between 3/4 and 4/3 at a random
    /// place, resized to a square (Szegedy et al. 2015; `RandomResizedCrop` of torchvision).
    RandomResized,
    /// The square in the middle, as [`TestCrop::Center`].
    Center,
}

impl Crop {
    /// All values.
    pub const ALL: [Self; 5] = [Self::Whole, Self::Random, Self::Corners, Self::RandomResized, Self::Center];

    /// Returns the name that files and options use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Random => "random",
            Self::Corners => "corners",
            Self::RandomResized => "random-resized",
            Self::Center => "center",
        }
    }

    /// Returns whether the part is chosen at random.
    pub const fn is_random(self) -> bool {
        self.draws() > 0
    }

    /// Returns the number of draws that the choice of the part takes.
    pub(crate) const fn draws(self) -> u64 {
        match self {
            Self::Whole | Self::Center => 0,
            Self::Random | Self::Corners => 2,
            Self::RandomResized => 4,
        }
    }
}

impl fmt::Display for Crop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The parts of a frame that a test sample shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TestCrop {
    /// The whole frame, resized to a square.
    #[default]
    Whole,
    /// The square in the middle. Its side is 7/8 of the shorter side of the frame.
    Center,
    /// Three squares of that size: left, middle and right.
    Three,
    /// Ten squares of that size: the four corners and the middle, and the same five mirrored.
    Ten,
}

impl TestCrop {
    /// All values.
    pub const ALL: [Self; 4] = [Self::Whole, Self::Center, Self::Three, Self::Ten];

    /// Returns the name that files and options use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Center => "center",
            Self::Three => "three",
            Self::Ten => "ten",
        }
    }

    /// Returns the number of views of a test sample: one for each part.
    pub const fn views(self) -> usize {
        match self {
            Self::Whole | Self::Center => 1,
            Self::Three => 3,
            Self::Ten => 10,
        }
    }
}

impl fmt::Display for TestCrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
