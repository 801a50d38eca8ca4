//! The two streams and what each of them feeds the network.

use serde::{Deserialize, Serialize};

/// Flow frames in one temporal sample.
pub const STACK_FRAMES: usize = 10;

/// One of the two networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Single RGB frames.
    Spatial,
    /// Stacks of optical flow.
    Temporal,
}

impl Stream {
    /// Name of the shards' stream that it reads.
    pub const fn records(self) -> &'static str {
        match self {
            Self::Spatial => "rgb",
            Self::Temporal => "flow",
        }
    }

    /// Frames of one view: one of RGB, a stack of flow.
    pub const fn frames(self) -> usize {
        match self {
            Self::Spatial => 1,
            Self::Temporal => STACK_FRAMES,
        }
    }

    /// Channels of the network's input: 3 for RGB, x and y of ten frames for flow.
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
