//! The streams, and the frames that each shows its network.

use serde::{Deserialize, Serialize};

/// A stream of the two-stream method, or the third stream of Temporal Segment Networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Single RGB frames
    Spatial,
    /// Stacks of optical flow
    Temporal,
    /// Stacks of differences of RGB frames
    Difference,
}

impl Stream {
    /// All streams.
    pub const ALL: [Self; 3] = [Self::Spatial, Self::Temporal, Self::Difference];

    /// Returns the name of the stream in shards.
    pub const fn records(self) -> &'static str {
        match self {
            Self::Spatial | Self::Difference => "rgb",
            Self::Temporal => "flow",
        }
    }

    /// Returns the number of images in a view, if no option chooses it: 1 RGB frame, 10 flow frames
    /// or 5 differences.
    pub const fn stack(self) -> usize {
        match self {
            Self::Spatial => 1,
            Self::Temporal => 10,
            Self::Difference => 5,
        }
    }

    /// Returns the number of records that a view of `stack` images reads. A difference needs the
    /// frame after it.
    pub const fn frames(self, stack: usize) -> usize {
        match self {
            Self::Spatial | Self::Temporal => stack,
            Self::Difference => stack + 1,
        }
    }

    /// Returns the number of input channels of a view of `stack` images: 3 per RGB frame or
    /// difference, 2 per flow frame (x and y components).
    pub const fn channels(self, stack: usize) -> usize {
        match self {
            Self::Spatial | Self::Difference => 3 * stack,
            Self::Temporal => 2 * stack,
        }
    }

    /// Returns the number of bytes of a pixel in the records that a view of `stack` images reads.
    pub const fn bytes(self, stack: usize) -> usize {
        match self {
            Self::Spatial | Self::Difference => 3 * self.frames(stack),
            Self::Temporal => 2 * stack,
        }
    }

    /// Returns the name of the stream's frames in messages.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Spatial | Self::Difference => "RGB",
            Self::Temporal => "flow",
        }
    }
}

impl std::fmt::Display for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Spatial => "spatial",
            Self::Temporal => "temporal",
            Self::Difference => "difference",
        })
    }
}
