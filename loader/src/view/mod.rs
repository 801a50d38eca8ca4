//! Views: consecutive frames of one stream, with a part of each frame as a square.

mod placement;

pub(crate) use placement::{Placement, check_fits, test_placement, train_placement};

use crate::{Error, Result};
use clipshard::StreamSpec;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Largest number of views of a training sample.
pub const MAX_SEGMENTS: usize = 16;
/// Largest height and width of a view, in pixels.
const MAX_SIDE: usize = 1 << 14;

/// The shape of a view: consecutive frames of a stream, each as a square of pixels.
///
/// ```
/// use clip_loader::View;
///
/// let frame = View::frame("rgb").side(224); // [1, 1, 224, 224, 3]
/// let stack = View::stack("flow", 10).side(224); // [10, 2, 224, 224, 1]
/// assert_eq!((frame.frames, stack.frames), (1, 10));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct View {
    /// Name of the stream in the dataset, for example `rgb` or `flow`.
    pub stream: String,
    /// Number of consecutive frames.
    pub frames: usize,
    /// Height and width in pixels.
    pub side: usize,
}

impl View {
    /// Makes a view of one frame of a stream, 224 pixels high and wide.
    pub fn frame(stream: impl Into<String>) -> Self {
        Self::stack(stream, 1)
    }

    /// Makes a view of `frames` consecutive frames of a stream, 224 pixels high and wide.
    pub fn stack(stream: impl Into<String>, frames: usize) -> Self {
        Self { stream: stream.into(), frames, side: 224 }
    }

    /// Sets the height and width in pixels.
    #[must_use]
    pub fn side(self, side: usize) -> Self {
        Self { side, ..self }
    }

    /// Checks the numbers. Computations with checked numbers do not overflow.
    pub(crate) fn check(&self) -> Result<()> {
        if !(1..=MAX_SIDE).contains(&self.side) {
            return Err(Error::option("side", self.side, format!("between 1 and {MAX_SIDE}")));
        }
        if !(1..=1 << 16).contains(&self.frames) {
            return Err(Error::option("frames", self.frames, "between 1 and 65536"));
        }
        Ok(())
    }

    /// Returns the number of bytes of a view: `frames * planes * side * side * channels`.
    pub(crate) fn bytes(&self, spec: &StreamSpec) -> usize {
        self.frames * spec.planes as usize * spec.channels as usize * self.side * self.side
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
}

impl Crop {
    /// All values.
    pub const ALL: [Self; 3] = [Self::Whole, Self::Random, Self::Corners];

    /// Returns the name that files and options use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Random => "random",
            Self::Corners => "corners",
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
