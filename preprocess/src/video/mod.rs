//! Videos as a source: decoded by the ffmpeg program, flow computed frame by frame, never more than a few frames in memory.

mod container;
mod encode;
mod ffmpeg;
mod flow;
mod frames;
mod process;

use clipshard::Codec;
use serde_json::{Value, json};

use crate::encode::StreamOptions;
use crate::error::{Error, Result};
use crate::stream::StreamKind;

pub(crate) use encode::{StreamImage, VideoEncoder, Wanted};
pub use ffmpeg::Ffmpeg;
pub(crate) use ffmpeg::{Probed, probe};
use flow::Solvers;
pub(crate) use process::Trouble;

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

/// The decoder that was found, and what to do with what it gives.
#[derive(Debug, Clone)]
pub struct Video {
    /// The program.
    pub ffmpeg: Ffmpeg,
    /// What is made of it.
    pub options: VideoOptions,
    solvers: Solvers,
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

impl Video {
    /// With the ffmpeg that was found.
    pub fn new(ffmpeg: Ffmpeg, options: VideoOptions) -> Self {
        Self { ffmpeg, options, solvers: Solvers::default() }
    }

    /// The decoder, for the manifest.
    pub(crate) fn describe_decoder(&self) -> Value {
        json!(self.ffmpeg.version)
    }

    /// What decides the bytes of a stream, for the manifest, beside what is said of streams from images.
    pub(crate) fn describe(&self, kind: StreamKind, stream: &StreamOptions) -> Value {
        let mut map = stream.describe();
        if let Some(map) = map.as_object_mut() {
            // Nothing is decoded from JPEG files here.
            map.remove("jpeg_decoder");
        }
        map["frames"] =
            json!(format!("short side {}, bilinear, antialiased, 22-bit weights, as Pillow", self.options.short_side));
        match (kind, self.options.flow) {
            (StreamKind::Rgb, _) if stream.codec == Codec::Jpeg => {
                map["quality"] = json!(self.options.quality);
                map["encoder"] = json!(format!("jpeg-encoder {}, 4:2:0", crate::versions::JPEG_ENCODER));
            }
            (StreamKind::Flow, Some(method)) => {
                map["method"] = json!(method.name());
                let parameters = match (method, self.options.card) {
                    (FlowMethod::TvL1, None) => "defaults",
                    // The sum that ends its iterations is another, so its bytes are not quite the processor's.
                    (FlowMethod::TvL1, Some(_)) => "defaults, on CUDA",
                    (FlowMethod::Dis, _) => "PRESET_MEDIUM",
                };
                map["flow"] = json!(format!("clip-flow {}, OpenCV's {parameters}", crate::versions::CLIP_FLOW));
                map["quantised"] = json!("round(255 (v + 20) / 40), halves to even");
            }
            _ => {}
        }
        map
    }
}
