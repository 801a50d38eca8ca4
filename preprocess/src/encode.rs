//! From the files of a clip, or its video, to its records: read, check, decode, resize, encode.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use clipshard::{
    Codec, DecodingBudget, EncodeOptions, EncodedRecord, Encoder, Filter, ImageSize, ReservedMemory, jpeg,
};
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder as JpegEncoder, SamplingFactor};

use crate::error::{Error, Result, machine_fault};
use crate::exif::is_turned;
use crate::images::{ReadImages, ReadStream};
use crate::resize::Resizer;
use crate::source::{Absence, FoundClip, VideoFile};
use crate::stream::StreamKind;
use crate::video::{StreamImage, Video, VideoEncoder, Wanted};

/// An encoder that has seen a larger image is made anew. For smaller ones that would take longer than it is worth.
const KEPT_BYTES: usize = 32 << 20;

/// The size that images are stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Geometry {
    /// As found.
    Source,
    /// Squashed to a square of this side, as the network takes it.
    Square(u16),
    /// The shorter side resized to this, the aspect ratio kept.
    ShortSide(u16),
}

impl Geometry {
    /// As written in manifests: `source`, `224x224`, `short side 256`.
    pub fn describe(self) -> String {
        match self {
            Self::Source => "source".into(),
            Self::Square(side) => format!("{side}x{side}"),
            Self::ShortSide(side) => format!("short side {side}"),
        }
    }

    /// Stored width and height of an image of `width` x `height`.
    pub(crate) fn extent(self, width: u16, height: u16) -> (u16, u16) {
        match self {
            Self::Source => (width, height),
            Self::Square(side) => (side, side),
            Self::ShortSide(side) => {
                let short = u32::from(width.min(height));
                // Rounded to nearest, halves up, in integers.
                let long = |n: u16| {
                    let scaled = (2 * u64::from(n) * u64::from(side) + u64::from(short)) / (2 * u64::from(short));
                    scaled.min(u64::from(u16::MAX)) as u16
                };
                (long(width), long(height))
            }
        }
    }
}

/// How one stream is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamOptions {
    /// `jpeg` keeps the source bytes.
    pub codec: Codec,
    /// Ignored for `jpeg` and `raw`.
    pub filter: Filter,
    /// zstd 1 to 22, LZ4-HC 1 to 12; ignored for `jpeg` and `raw`.
    pub level: i32,
    /// `Source` for `jpeg`.
    pub geometry: Geometry,
}

/// How much is checked of a JPEG that is stored as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Markers, size, components and the end marker.
    Header,
    /// Also that its image data are whole (a decoder alone fills up what is missing), and that it can be decoded.
    Decode,
}

/// A clip, ready to be encoded.
pub(crate) enum ReadClip<'a> {
    /// Its files as they were read.
    Images(ReadImages<'a>),
    /// A video, of which nothing is read until it is decoded: the streams and frames that are wanted.
    Video { file: &'a VideoFile, wanted: Vec<bool>, frames: Range<u32> },
}

impl<'a> ReadClip<'a> {
    /// Reads the wanted streams of a clip. `chosen` are the frames of a stream that has so many.
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

    /// Pixels of the first image of a stream, if that was read and is one.
    pub fn pixels(&self, stream: usize) -> Option<u64> {
        match self {
            Self::Images(read) => read.pixels(stream),
            Self::Video { .. } => None,
        }
    }

    /// Bytes that were read.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Images(read) => read.bytes(),
            Self::Video { .. } => 0,
        }
    }
}

/// A clip ready to be written.
#[derive(Debug, Default)]
pub(crate) struct EncodedClip {
    /// For each stream that was read the records of all frames. Empty where the clip was only checked.
    pub streams: Vec<Option<Vec<EncodedRecord>>>,
    /// Bytes of the source files.
    pub bytes_in: u64,
    /// Source files, or images that were made of a video.
    pub images: u64,
    /// Frames that were decoded of a video.
    pub frames: u64,
    /// What is worth a word of a video.
    pub notes: Vec<String>,
    /// Whether some image had another number of channels than its stream has (colour flow, grey RGB).
    pub odd_channels: bool,
    /// Whether some image says that it is to be shown turned or mirrored.
    pub turned: bool,
}

impl EncodedClip {
    /// Bytes of all records.
    pub fn bytes(&self) -> u64 {
        self.streams.iter().flatten().flatten().map(|record| record.bytes().len() as u64).sum()
    }
}

/// What all encoders of a build are told.
#[derive(Clone, Copy)]
pub(crate) struct EncodeSetup<'a> {
    pub streams: &'a [(StreamKind, StreamOptions)],
    pub check: Check,
    /// Where clips are videos.
    pub video: Option<&'a Video>,
    /// Threads that may help with one clip.
    pub threads: usize,
    /// Of the memory that all encoders decode in.
    pub budget: &'a DecodingBudget,
    pub cancel: &'a AtomicBool,
}

/// Encodes clips; each thread has one.
pub(crate) struct ClipEncoder<'a> {
    streams: Vec<StreamEncoder>,
    video: Option<VideoEncoder>,
    budget: &'a DecodingBudget,
    cancel: &'a AtomicBool,
}

impl<'a> ClipEncoder<'a> {
    pub fn new(setup: EncodeSetup<'a>) -> Result<Self> {
        let EncodeSetup { streams, check, video, threads, budget, cancel } = setup;
        let quality = video.map_or(crate::video::QUALITY, |video| video.options.quality);
        let streams = streams.iter().map(|(kind, options)| StreamEncoder::new(*kind, *options, check, quality));
        let video = video.map(|video| VideoEncoder::new(video.clone(), check == Check::Decode, threads));
        Ok(Self { streams: streams.collect::<Result<_>>()?, video, budget, cancel })
    }

    /// Encodes a clip, or only checks it where it is not to be stored. The inner error is what is wrong with the clip.
    pub fn encode(&mut self, clip: ReadClip<'_>, store: bool) -> Result<Result<EncodedClip, Absence>> {
        match clip {
            ReadClip::Images(read) => self.encode_images(read, store),
            ReadClip::Video { file, wanted, frames } => self.encode_video(file, &wanted, frames, store),
        }
    }

    fn encode_images(&mut self, clip: ReadImages<'_>, store: bool) -> Result<Result<EncodedClip, Absence>> {
        let mut encoded = EncodedClip::default();
        for (read, encoder) in clip.streams.into_iter().zip(&mut self.streams) {
            let Some(read) = read else {
                encoded.streams.push(None);
                continue;
            };
            match encoder.encode(read, store, (self.budget, self.cancel), &mut encoded)? {
                Ok(records) => encoded.streams.push(Some(records)),
                Err(fault) => return Ok(Err(Absence::Fault(fault))),
            }
        }
        Ok(Ok(encoded))
    }

    fn encode_video(
        &mut self,
        file: &VideoFile,
        wanted: &[bool],
        frames: Range<u32>,
        store: bool,
    ) -> Result<Result<EncodedClip, Absence>> {
        let Some(video) = &mut self.video else {
            return Err(Error::Input(format!("{}: a video without a decoder", file.path.display())));
        };
        let streams = &mut self.streams;
        let index = |kind| streams.iter().position(|stream| stream.kind == kind).filter(|&stream| wanted[stream]);
        let (rgb, flow) = (index(StreamKind::Rgb), index(StreamKind::Flow));
        let streams_made = wanted.iter().map(|wanted| wanted.then(Vec::new)).collect();
        let mut encoded = EncodedClip { streams: streams_made, ..EncodedClip::default() };
        if rgb.is_some() {
            encoded.bytes_in = file.bytes * u64::from(frames.end - frames.start) / u64::from(file.frames.max(1));
        }
        let wanted = Wanted { rgb: rgb.is_some() && store, flow: flow.is_some() && store, frames };
        let (images, made) = (&mut encoded.images, &mut encoded.streams);
        let outcome = video.run(file, &wanted, self.cancel, |image| {
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
        Ok(match outcome {
            Ok(seen) => {
                (encoded.frames, encoded.notes) = (seen.decoded.into(), seen.notes);
                Ok(encoded)
            }
            Err(Absence::Fault(fault)) => Err(Absence::Fault(format!("{}: {fault}", file.path.display()))),
            Err(short) => Err(short),
        })
    }
}

struct StreamEncoder {
    kind: StreamKind,
    options: StreamOptions,
    check: Check,
    /// Of images that are encoded as JPEG here.
    quality: u8,
    encoder: Option<Encoder>,
    decoder: jpeg::Decoder,
    resizer: Resizer,
    resized: Vec<u8>,
}

impl StreamEncoder {
    fn new(kind: StreamKind, options: StreamOptions, check: Check, quality: u8) -> Result<Self> {
        let StreamOptions { codec, filter, level, .. } = options;
        let filter = if codec == Codec::Raw { Filter::None } else { filter };
        let encoder =
            (codec != Codec::Jpeg).then(|| Encoder::new(EncodeOptions::new(codec, filter, level))).transpose()?;
        let (decoder, resizer) = (jpeg::Decoder::new(), Resizer::default());
        Ok(Self { kind, options, check, quality, encoder, decoder, resizer, resized: Vec::new() })
    }

    fn encode(
        &mut self,
        stream: ReadStream<'_>,
        store: bool,
        (budget, cancel): (&DecodingBudget, &AtomicBool),
        totals: &mut EncodedClip,
    ) -> Result<Result<Vec<EncodedRecord>, String>> {
        let ReadStream { files, planes } = stream;
        let mut records = Vec::new();
        let mut clip_size: Option<ImageSize> = None;
        let frames = planes.first().map_or(0, Vec::len);
        let mut planes: Vec<_> = planes.into_iter().map(Vec::into_iter).collect();
        for frame in 0..frames as u32 {
            for (plane, read) in files.planes.iter().zip(&mut planes) {
                let Some(read) = read.next() else { continue };
                if cancel.load(Ordering::Relaxed) {
                    return Err(Error::Interrupted);
                }
                let fault = |what: String| Ok(Err(format!("{}: {what}", plane.path(frame).display())));
                let bytes = match read {
                    Ok(bytes) => bytes,
                    Err(error) => {
                        match machine_fault(&format!("{}: cannot read it", plane.path(frame).display()), error) {
                            Ok(fault) => return Err(fault),
                            Err(error) => return fault(format!("cannot read it: {error}")),
                        }
                    }
                };
                let size = match jpeg::check_header(&bytes) {
                    Ok(size) => size,
                    Err(error) => return fault(error.to_string()),
                };
                totals.bytes_in += bytes.len() as u64;
                totals.images += 1;
                totals.odd_channels |= size.channels != self.kind.channels();
                totals.turned |= is_turned(&bytes);
                let size = ImageSize { channels: self.kind.channels(), ..size };
                // Squashed images come out alike whatever they were.
                let first = *clip_size.get_or_insert(size);
                if first != size && !matches!(self.options.geometry, Geometry::Square(_)) {
                    return fault(format!(
                        "it has {}x{} pixels, the clip's first image {}x{}; a clip has one size",
                        size.width, size.height, first.width, first.height
                    ));
                }
                let decodes = self.encoder.is_some() || self.check == Check::Decode;
                let reserved = decodes.then(|| budget.reserve(size, Codec::Jpeg));
                let record = self.record(bytes, size, store)?;
                if reserved.as_ref().is_some_and(ReservedMemory::is_large) {
                    self.shrink(size)?;
                }
                match record {
                    Ok(record) => records.extend(record),
                    Err(what) => return fault(what),
                }
            }
        }
        Ok(Ok(records))
    }

    /// One image as a record; none where it is only checked.
    fn record(
        &mut self,
        bytes: Vec<u8>,
        size: ImageSize,
        store: bool,
    ) -> Result<Result<Option<EncodedRecord>, String>> {
        let channels = self.kind.channels();
        if self.encoder.is_none() {
            if self.check == Check::Decode
                && let Err(error) = self.decoder.decode_checked(&bytes, channels)
            {
                return Ok(Err(error.to_string()));
            }
            let record = match EncodedRecord::from_jpeg(bytes) {
                // Decoders turn it into the channels of the stream.
                Ok(record) => record.with_channels(size.channels)?,
                Err(error) => return Ok(Err(error.to_string())),
            };
            return Ok(Ok(store.then_some(record)));
        }
        let pixels = match self.decoder.decode_checked(&bytes, channels) {
            Ok((_, pixels)) => pixels,
            Err(error) => return Ok(Err(error.to_string())),
        };
        Ok(Ok(if store { Some(self.store(&pixels, size)?) } else { None }))
    }

    /// Gives up memory that has grown with a large image.
    fn shrink(&mut self, size: ImageSize) -> Result<()> {
        (self.decoder, self.resizer, self.resized) = (jpeg::Decoder::new(), Resizer::default(), Vec::new());
        if size.bytes() > KEPT_BYTES {
            *self = Self::new(self.kind, self.options, self.check, self.quality)?;
        }
        Ok(())
    }

    /// Pixels as a record: resized and encoded.
    fn store(&mut self, pixels: &[u8], size: ImageSize) -> Result<EncodedRecord> {
        let (width, height) = self.options.geometry.extent(size.width, size.height);
        let stored = ImageSize { width, height, ..size };
        let pixels = if stored == size {
            pixels
        } else {
            let extent = |size: ImageSize| (usize::from(size.width), usize::from(size.height));
            self.resizer.resize(pixels, extent(size), extent(stored), size.channels.into(), &mut self.resized);
            &self.resized
        };
        if let Some(encoder) = &mut self.encoder {
            return Ok(encoder.encode(pixels, stored)?);
        }
        let record = EncodedRecord::from_jpeg(encode_jpeg(pixels, stored, self.quality)?);
        record.map_err(|fault| Error::Input(format!("a JPEG that was just encoded: {fault}")))
    }
}

/// A baseline JPEG file of grey or RGB pixels, colours at half the resolution as in most frame trees (4:2:0) and in most videos,
/// from which nothing is lost thereby.
pub(crate) fn encode_jpeg(pixels: &[u8], size: ImageSize, quality: u8) -> Result<Vec<u8>> {
    let colour = if size.channels == 3 { ColorType::Rgb } else { ColorType::Luma };
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new(&mut bytes, quality);
    if size.channels == 3 {
        encoder.set_sampling_factor(SamplingFactor::F_2_2);
        encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    }
    // Optimised Huffman tables would put each component into a scan of its own, which decoders read slowly if at all.
    encoder
        .encode(pixels, size.width, size.height, colour)
        .map_err(|error| Error::Input(format!("an image of {size} cannot be encoded as JPEG: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_side_decides_and_the_aspect_is_kept() {
        assert_eq!(Geometry::ShortSide(128).extent(342, 256), (171, 128));
        assert_eq!(Geometry::ShortSide(128).extent(256, 341), (128, 171));
        assert_eq!(Geometry::ShortSide(300).extent(100, 100), (300, 300));
        assert_eq!(Geometry::Square(224).extent(342, 256), (224, 224));
        assert_eq!(Geometry::Source.extent(7, 9), (7, 9));
    }
}
