//! What is made of videos: sizes, qualities, and how flow is computed.

use std::fmt;

use crate::error::{Error, Problem, Result, Setting};

/// Shorter side of decoded frames where none is asked for, as in the published frame trees.
pub const SHORT_SIDE: u16 = 256;
/// Quality of JPEGs where none is asked for.
pub const QUALITY: u8 = 90;

/// How flow is computed.
///
/// The comments of the methods are help texts of the programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
#[non_exhaustive]
pub enum FlowMethod {
    /// Zach, Pock and Bischof 2007, with OpenCV's defaults
    #[default]
    #[value(name = "tvl1")]
    TvL1,
    /// Dense inverse search (Kroeger et al. 2016), as OpenCV's `PRESET_MEDIUM`: a tenth of the time
    #[value(name = "dis")]
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

/// Writes the method as papers spell it.
impl fmt::Display for FlowMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TvL1 => "TV-L1",
            Self::Dis => "DIS",
        })
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
            Some(card) if !cfg!(feature = "cuda") => Err(Error::usage(
                Problem::from(Setting::Device)
                    .then(format!(
                        " cuda:{card}: this program was built without CUDA; build it with --features cuda, or leave "
                    ))
                    .name(Setting::Device)
                    .then(" out"),
            )),
            _ => Ok(()),
        }
    }
}
