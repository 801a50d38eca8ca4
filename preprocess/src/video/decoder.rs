//! The video decoder and its options.

use clipshard::Codec;
use serde_json::{Value, json};

use super::ffmpeg::Ffmpeg;
use super::flow::Solvers;
use super::options::{FlowMethod, VideoOptions};
use crate::stored::StreamOptions;
use crate::stream::StreamKind;
use crate::versions;

/// The video decoder: the ffmpeg program and the options of decoding.
#[derive(Debug, Clone)]
pub struct VideoDecoder {
    /// The ffmpeg program.
    pub ffmpeg: Ffmpeg,
    /// Options of decoding.
    pub options: VideoOptions,
    pub(super) solvers: Solvers,
}

impl VideoDecoder {
    /// Creates a decoder that uses `ffmpeg`.
    pub fn new(ffmpeg: Ffmpeg, options: VideoOptions) -> Self {
        Self { ffmpeg, options, solvers: Solvers::default() }
    }

    /// Returns the name and version of the decoder, for the manifest.
    pub(crate) fn describe_decoder(&self) -> Value {
        json!(self.ffmpeg.version)
    }

    /// Returns everything that decides the bytes of a stream, for the manifest.
    pub(crate) fn describe(&self, kind: StreamKind, stream: &StreamOptions) -> Value {
        let mut map = stream.describe();
        if let Some(map) = map.as_object_mut() {
            // No JPEG files are decoded for videos.
            map.remove("jpeg_decoder");
        }
        map["frames"] =
            json!(format!("short side {}, bilinear, antialiased, 22-bit weights, as Pillow", self.options.short_side));
        match (kind, self.options.flow) {
            (StreamKind::Rgb, _) if stream.codec == Codec::Jpeg => {
                map["quality"] = json!(self.options.quality);
                map["encoder"] = json!(format!("jpeg-encoder {}, 4:2:0", versions::JPEG_ENCODER));
            }
            (StreamKind::Flow, Some(method)) => {
                map["method"] = json!(method.name());
                let parameters = match (method, self.options.gpu) {
                    (FlowMethod::TvL1, None) => "defaults",
                    // CUDA adds up its convergence criterion in another order, so its bytes differ
                    // slightly from those of the CPU.
                    (FlowMethod::TvL1, Some(_)) => "defaults, on CUDA",
                    (FlowMethod::Dis, _) => "PRESET_MEDIUM",
                };
                map["flow"] = json!(format!("clip-flow {}, OpenCV's {parameters}", versions::CLIP_FLOW));
                map["quantised"] = json!("round(255 (v + 20) / 40), halves to even");
            }
            _ => {}
        }
        map
    }
}
