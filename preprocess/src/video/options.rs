//! Options for turning videos into images: size, quality, and the method for flow.

use std::fmt;

use crate::error::{Error, Problem, Result, Setting};

/// Default shorter side of decoded frames in pixels, as in the published frame trees.
pub const SHORT_SIDE: u16 = 256;
/// Default JPEG quality.
pub const QUALITY: u8 = 90;

/// A method to compute optical flow.
///
/// The programs show the first lines of the variants' documentation as help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
#[non_exhaustive]
pub enum FlowMethod {
    /// TV-L1 (Zach, Pock, Bischof 2007) with OpenCV's defaults
    #[default]
    #[value(name = "tvl1")]
    TvL1,
    /// Dense inverse search (Kroeger et al. 2016), OpenCV's `PRESET_MEDIUM`: ten times as fast
    #[value(name = "dis")]
    Dis,
}

impl FlowMethod {
    /// Returns the name of the method, as in options and manifests.
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

/// Options for turning videos into images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoOptions {
    /// Shorter side of resized frames in pixels. Flow is computed between the resized frames.
    pub short_side: u16,
    /// Quality of RGB images that are stored as JPEG, 1 to 100.
    pub quality: u8,
    /// The method for optical flow. `None` makes only RGB.
    pub flow: Option<FlowMethod>,
    /// Number of the GPU that computes TV-L1. `None` uses the CPU. A GPU needs an NVIDIA driver and
    /// the feature `cuda`.
    pub gpu: Option<usize>,
}

impl Default for VideoOptions {
    fn default() -> Self {
        Self { short_side: SHORT_SIDE, quality: QUALITY, flow: Some(FlowMethod::TvL1), gpu: None }
    }
}

impl VideoOptions {
    /// Checks that this build supports the options.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] if a GPU is selected but the feature `cuda` is off.
    pub fn check(&self) -> Result<()> {
        match self.gpu {
            Some(gpu) if !cfg!(feature = "cuda") => Err(Error::usage(
                Problem::from(Setting::Device)
                    .then(format!(
                        " cuda:{gpu}: this program was built without CUDA; build it with --features cuda, or use \
                         the CPU: remove "
                    ))
                    .name(Setting::Device),
            )),
            _ => Ok(()),
        }
    }
}
