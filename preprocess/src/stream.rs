//! The two streams of a clip.

use clipshard::StreamSpec;

/// A stream of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum StreamKind {
    /// Colour frames, one record per frame.
    Rgb,
    /// Optical flow, two grey records per frame: x, then y.
    Flow,
}

impl StreamKind {
    /// Returns its name in datasets: `rgb` or `flow`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rgb => "rgb",
            Self::Flow => "flow",
        }
    }

    /// Returns the number of records per frame.
    pub fn planes(self) -> u8 {
        match self {
            Self::Rgb => 1,
            Self::Flow => 2,
        }
    }

    /// Returns the number of channels of a record.
    pub fn channels(self) -> u8 {
        match self {
            Self::Rgb => 3,
            Self::Flow => 1,
        }
    }

    /// Returns the description of the stream in the shard format.
    pub fn spec(self) -> StreamSpec {
        StreamSpec::new(self.name(), self.planes(), self.channels())
    }
}
