//! Turns the files or the video of a clip into records: read, check, decode, resize, encode.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use clipshard::{DecodingBudget, ImageSize};

use super::encoded::EncodedClip;
use super::images::ReadImages;
use super::stream_encoder::StreamEncoder;
use crate::error::{ClipError, Error, Result};
use crate::source::FoundClip;
use crate::stored::{Check, StreamOptions};
use crate::stream::StreamKind;
use crate::video::{QUALITY, StreamImage, VideoDecoder, VideoEncoder, VideoFile, Wanted};

/// A clip that is ready to be encoded.
pub(crate) enum ReadClip<'a> {
    /// The bytes of its image files.
    Images(ReadImages<'a>),
    /// A video with the wanted streams and frames. Nothing is read before decoding starts.
    Video { file: &'a VideoFile, wanted: Vec<bool>, frames: Range<u32> },
}

impl<'a> ReadClip<'a> {
    /// Reads the wanted streams of a clip. `chosen` maps a stream's number of frames to the frames
    /// to read.
    pub fn read(
        clip: &'a FoundClip,
        wanted: &[bool],
        chosen: fn(u32) -> Range<u32>,
        cancel: &AtomicBool,
    ) -> Result<Self> {
        Ok(match clip {
            FoundClip::Images(files) => Self::Images(ReadImages::read(files, wanted, chosen, cancel)?),
            FoundClip::Video(file) => Self::Video { file, wanted: wanted.to_vec(), frames: chosen(file.frames) },
        })
    }

    /// Returns the number of pixels of a stream's first image. Returns `None` for videos, and if
    /// that image is unread or invalid.
    pub fn pixels(&self, stream: usize) -> Option<u64> {
        match self {
            Self::Images(read) => read.pixels(stream),
            Self::Video { .. } => None,
        }
    }

    /// Returns the number of bytes that were read.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Images(read) => read.bytes(),
            Self::Video { .. } => 0,
        }
    }
}

/// Settings and resources that all encoders of a build share.
#[derive(Clone, Copy)]
pub(crate) struct EncodeSetup<'a> {
    pub streams: &'a [(StreamKind, StreamOptions)],
    pub check: Check,
    /// The decoder, if clips are videos.
    pub video: Option<&'a VideoDecoder>,
    /// Number of threads that may help with one clip.
    pub threads: usize,
    /// Limit of the memory that all encoders together use for decoding.
    pub budget: &'a DecodingBudget,
    pub cancel: &'a AtomicBool,
}

/// Encodes clips. Each thread has its own encoder.
pub(crate) struct ClipEncoder<'a> {
    streams: Vec<StreamEncoder>,
    video: Option<VideoEncoder>,
    budget: &'a DecodingBudget,
    cancel: &'a AtomicBool,
}

impl<'a> ClipEncoder<'a> {
    pub fn new(setup: EncodeSetup<'a>) -> Result<Self> {
        let EncodeSetup { streams, check, video, threads, budget, cancel } = setup;
        let quality = video.map_or(QUALITY, |video| video.options.quality);
        let streams = streams.iter().map(|(kind, options)| StreamEncoder::new(*kind, *options, check, quality));
        let video = video.map(|video| VideoEncoder::new(video.clone(), check == Check::Decode, threads));
        Ok(Self { streams: streams.collect::<Result<_>>()?, video, budget, cancel })
    }

    /// Encodes a clip, or only checks it if `store` is false.
    pub fn encode(&mut self, clip: ReadClip<'_>, store: bool) -> Result<EncodedClip, ClipError> {
        match clip {
            ReadClip::Images(read) => self.encode_images(read, store),
            ReadClip::Video { file, wanted, frames } => self.encode_video(file, &wanted, frames, store),
        }
    }

    fn encode_images(&mut self, clip: ReadImages<'_>, store: bool) -> Result<EncodedClip, ClipError> {
        let mut encoded = EncodedClip::default();
        for (read, encoder) in clip.streams.into_iter().zip(&mut self.streams) {
            let Some(read) = read else {
                encoded.streams.push(None);
                continue;
            };
            let records = encoder.encode(read, store, (self.budget, self.cancel), &mut encoded)?;
            encoded.streams.push(Some(records));
        }
        Ok(encoded)
    }

    fn encode_video(
        &mut self,
        file: &VideoFile,
        wanted: &[bool],
        frames: Range<u32>,
        store: bool,
    ) -> Result<EncodedClip, ClipError> {
        let Some(video) = &mut self.video else {
            return Err(Error::input(format!("{}: a video without a decoder", file.path.display())).into());
        };
        let streams = &mut self.streams;
        let index = |kind| streams.iter().position(|stream| stream.kind() == kind).filter(|&stream| wanted[stream]);
        let (rgb, flow) = (index(StreamKind::Rgb), index(StreamKind::Flow));
        let streams_made = wanted.iter().map(|wanted| wanted.then(Vec::new)).collect();
        let mut encoded = EncodedClip { streams: streams_made, ..EncodedClip::default() };
        if rgb.is_some() {
            encoded.bytes_in = file.bytes * u64::from(frames.end - frames.start) / u64::from(file.frames.max(1));
        }
        let wanted = Wanted { rgb: rgb.is_some() && store, flow: flow.is_some() && store, frames };
        let (images, made) = (&mut encoded.images, &mut encoded.streams);
        let seen = video.run(file, &wanted, self.cancel, |image| {
            let (stream, size, planes) = match image {
                StreamImage::Rgb { width, height, pixels } => (rgb, (width, height, 3), [Some(pixels), None]),
                StreamImage::Flow { width, height, planes } => (flow, (width, height, 1), planes.map(Some)),
            };
            let Some(stream) = stream else { return Ok(()) };
            let size = ImageSize { width: size.0, height: size.1, channels: size.2 };
            for pixels in planes.into_iter().flatten() {
                let record = streams[stream].store(pixels, size)?;
                *images += 1;
                made[stream].get_or_insert_default().push(record);
            }
            Ok(())
        })?;
        (encoded.notes, encoded.measured) = (seen.notes, seen.attributes);
        Ok(encoded)
    }
}
