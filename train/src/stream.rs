//! The two streams, and the input that each gives to its network.

use serde::{Deserialize, Serialize};

/// Number of flow frames in one view of the temporal stream.
pub const STACK_FRAMES: usize = 10;

/// A stream of the two-stream method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Single RGB frames
    Spatial,
    /// Stacks of optical flow
    Temporal,
}

impl Stream {
    /// Returns the name of the stream in shards.
    pub const fn records(self) -> &'static str {
        match self {
            Self::Spatial => "rgb",
            Self::Temporal => "flow",
        }
    }

    /// Returns the number of frames of one view: 1 for RGB, 10 for flow.
    pub const fn frames(self) -> usize {
        match self {
            Self::Spatial => 1,
            Self::Temporal => STACK_FRAMES,
        }
    }

    /// Returns the number of input channels: 3 for RGB, 20 for flow (x and y components of ten
    /// frames).
    pub const fn channels(self) -> usize {
        match self {
            Self::Spatial => 3,
            Self::Temporal => 2 * STACK_FRAMES,
        }
    }
}

impl std::fmt::Display for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Spatial => "spatial",
            Self::Temporal => "temporal",
        })
    }
}
