//! The two streams of a clip.

use clipshard::StreamSpec;

/// A stream of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum StreamKind {
    /// Colour frames, one record a frame.
    Rgb,
    /// Optical flow, two grey records a frame: x, then y.
    Flow,
}

impl StreamKind {
    /// Its name in data sets: `rgb` or `flow`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rgb => "rgb",
            Self::Flow => "flow",
        }
    }

    /// Records a frame.
    pub fn planes(self) -> u8 {
        match self {
            Self::Rgb => 1,
            Self::Flow => 2,
        }
    }

    /// Channels of a record.
    pub fn channels(self) -> u8 {
        match self {
            Self::Rgb => 3,
            Self::Flow => 1,
        }
    }

    /// The stream as the format describes it.
    pub fn spec(self) -> StreamSpec {
        StreamSpec::new(self.name(), self.planes(), self.channels())
    }
}
