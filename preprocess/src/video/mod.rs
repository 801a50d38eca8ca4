//! Decodes videos with the ffmpeg program and computes optical flow.
//!
//! A [`VideoDecoder`] holds the installed [`Ffmpeg`] and the [`VideoOptions`]. A [`VideoFile`] is
//! probed first, without decoding (`ffmpeg`, `container`). Each thread then turns videos into
//! images with its own `VideoEncoder`, which reads frames through a pipe (`frames`), resizes them
//! and computes flow (`flow`). Only a few frames are in memory at a time.

mod attributes;
mod container;
mod decoder;
mod encoder;
mod ffmpeg;
mod file;
mod flow;
mod frames;
mod options;
mod probe;
mod process;
mod timing;

pub(crate) use attributes::{DURATION, FPS, FPS_FRACTION, HEIGHT, MEASURED, VARIABLE_FPS, WIDTH};
pub use decoder::VideoDecoder;
pub(crate) use encoder::{StreamImage, VideoEncoder, Wanted};
pub use ffmpeg::Ffmpeg;
pub use file::VideoFile;
pub(crate) use file::frames_of;
pub use options::{FlowMethod, QUALITY, SHORT_SIDE, VideoOptions};
