//! What is made of videos: sizes, qualities, and how flow is computed.

use crate::error::{Error, Result};

/// Shorter side of decoded frames where none is asked for, as in the published frame trees.
pub const SHORT_SIDE: u16 = 256;
/// Quality of JPEGs where none is asked for.
pub const QUALITY: u8 = 90;

/// How flow is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowMethod {
    /// TV-L1 with OpenCV's defaults.
    TvL1,
    /// Dense inverse search as OpenCV's `PRESET_MEDIUM`: less exact at edges, a tenth of the time.
    Dis,
}

impl FlowMethod {
    /// Its name on the command line and in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::TvL1 => "tvl1",
            Self::Dis => "dis",
        }
    }
}

/// What is made of videos.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoOptions {
    /// Frames are resized to this shorter side; flow is computed between frames of that size.
    pub short_side: u16,
    /// Of RGB that is stored as JPEG, 1 to 100.
    pub quality: u8,
    /// `None`: RGB only.
    pub flow: Option<FlowMethod>,
    /// The NVIDIA card that computes TV-L1 in place of the processor; takes the feature `cuda`.
    pub card: Option<usize>,
}

impl Default for VideoOptions {
    fn default() -> Self {
        Self { short_side: SHORT_SIDE, quality: QUALITY, flow: Some(FlowMethod::TvL1), card: None }
    }
}

impl VideoOptions {
    /// Refuses what this program cannot do.
    pub fn check(&self) -> Result<()> {
        match self.card {
            Some(card) if !cfg!(feature = "cuda") => Err(Error::Usage(format!(
                "--device cuda:{card}: this program was built without CUDA; build it with --features cuda, or leave --device out"
            ))),
            _ => Ok(()),
        }
    }
}
