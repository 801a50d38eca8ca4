//! Videos as a source: decoded by the ffmpeg program, flow computed frame by frame, never more than a few frames in memory.

mod container;
mod decoder;
mod encoder;
mod ffmpeg;
mod file;
mod flow;
mod frames;
mod options;
mod process;

pub use decoder::VideoDecoder;
pub(crate) use encoder::{StreamImage, VideoEncoder, Wanted};
pub use ffmpeg::Ffmpeg;
pub use file::VideoFile;
pub(crate) use file::frames_of;
pub use options::{FlowMethod, QUALITY, SHORT_SIDE, VideoOptions};
