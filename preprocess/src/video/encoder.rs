//! Turns a video into the images of its streams: decode, resize, compute flow, quantise. The caller
//! receives the images one by one.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use clip_flow::{Flow, quantise};
use clipshard::Attributes;

use super::decoder::VideoDecoder;
use super::ffmpeg::{MOST_FRAMES, Meaning};
use super::file::VideoFile;
use super::flow::FlowMaker;
use super::frames::{Frame, FrameReader, Said};
use crate::clip::{Absence, MIN_FLOW_FRAMES};
use crate::error::{ClipError, Error, Result};
use crate::resize::Resizer;
use crate::stored::Geometry;

/// An image of a stream, valid until the next one.
pub(crate) enum StreamImage<'a> {
    /// An RGB frame, `[height, width, 3]`.
    Rgb { width: u16, height: u16, pixels: &'a [u8] },
    /// The quantised flow from a frame to the next: x and y components, `[height, width]` each.
    Flow { width: u16, height: u16, planes: [&'a [u8]; 2] },
}

/// The streams and frames to make.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub rgb: bool,
    pub flow: bool,
    /// Earlier frames are decoded but not used; later frames are not decoded. Flow is computed
    /// between frames of this range.
    pub frames: Range<u32>,
}

/// Findings about a decoded video.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Remarks, such as an unexpected number of frames or warnings from ffmpeg.
    pub notes: Vec<String>,
    /// Attributes of the clip, if the whole video was decoded.
    pub attributes: Attributes,
}

/// Makes images from videos, reusing its memory. Each thread has its own encoder.
pub(crate) struct VideoEncoder {
    video: VideoDecoder,
    /// Whether any warning from ffmpeg is a fault instead of a note.
    strict: bool,
    /// Number of threads that may help to compute flow.
    threads: usize,
    scale: Resizer,
    frame: Frame,
    resized: Vec<u8>,
    grey: Vec<u8>,
    flow: Option<FlowMaker>,
    planes: [Vec<u8>; 2],
}

impl VideoEncoder {
    pub fn new(video: VideoDecoder, strict: bool, threads: usize) -> Self {
        Self {
            video,
            strict,
            threads,
            scale: Resizer::default(),
            frame: Frame::default(),
            resized: Vec::new(),
            grey: Vec::new(),
            flow: None,
            planes: Default::default(),
        }
    }

    /// Decodes a video and passes the wanted images to `each` in frame order. A frame comes before
    /// the flow that leads to it. Errors about the video name its file.
    pub fn run(
        &mut self,
        file: &VideoFile,
        wanted: &Wanted,
        cancel: &AtomicBool,
        each: impl FnMut(StreamImage<'_>) -> Result<()>,
    ) -> Result<Seen, ClipError> {
        self.decode(file, wanted, cancel, each).map_err(|error| error.at(|| file.path.clone()))
    }

    fn decode(
        &mut self,
        file: &VideoFile,
        wanted: &Wanted,
        cancel: &AtomicBool,
        mut each: impl FnMut(StreamImage<'_>) -> Result<()>,
    ) -> Result<Seen, ClipError> {
        // The number of frames is only known at the end, but a file cannot hold more frames than
        // bytes.
        let whole = wanted.frames == (0..file.frames);
        let most = u32::try_from(file.bytes.saturating_add(1)).map_or(MOST_FRAMES, |bytes| bytes.min(MOST_FRAMES));
        let limit = if whole { most } else { wanted.frames.end };
        let mut reader = FrameReader::start(&self.video.ffmpeg, &file.path, limit, cancel)?;
        if let Some(flow) = &mut self.flow {
            flow.restart();
        }
        let mut first_size = None;
        let mut decoded = 0;
        while reader.next(&mut self.frame)? {
            if cancel.load(Ordering::Relaxed) {
                return Err(ClipError::Work(Error::Interrupted));
            }
            let size = (self.frame.width, self.frame.height);
            let first = *first_size.get_or_insert(size);
            if first != size {
                return Err(ClipError::fault(format!(
                    "frame {decoded} has {}x{} pixels, but the first frame has {}x{}; all frames of a clip need the \
                     same size",
                    size.0, size.1, first.0, first.1
                )));
            }
            if decoded >= wanted.frames.start {
                self.give(wanted, &mut each)?;
            }
            decoded += 1;
        }
        if let Some(flow) = &mut self.flow {
            let planes = &mut self.planes;
            flow.finish(|flow| give_flow(flow, planes, &mut each))?;
        }
        let said = reader.finish()?;
        if whole && decoded == limit {
            return Err(ClipError::fault(format!(
                "it has at least {decoded} frames, which are too many; split it into clips"
            )));
        }
        if !whole {
            return Ok(Seen::default());
        }
        let notes = self.judge(file, decoded, said)?;
        let attributes = file.attributes(decoded, first_size);
        Ok(Seen { notes, attributes })
    }

    /// Returns notes about a video that was decoded to its end, or its fault. Missing frames are
    /// damage only if ffmpeg also gave a warning: cuts without re-encoding, invisible frames and
    /// empty packets hide frames on purpose.
    fn judge(&self, file: &VideoFile, decoded: u32, said: Option<Said>) -> Result<Vec<String>, ClipError> {
        let counted = file.header_frames.unwrap_or(file.frames);
        // A container with packed B-frames may count one packet without a frame.
        let is_short = decoded + 1 < counted.max(file.frames);
        let mut notes = Vec::new();
        if let Some(Said { words, meaning, at_start }) = said {
            let is_cut_copy = meaning == Meaning::MissingReferences && at_start;
            if meaning == Meaning::OtherSize {
                return Err(ClipError::fault(
                    "the size or pixel format of its frames changes; split it into clips there",
                ));
            }
            if is_short && !is_cut_copy {
                return Err(ClipError::fault(format!(
                    "only {decoded} of {} frames can be decoded ({words}); get the file again",
                    counted.max(file.frames)
                )));
            }
            if self.strict {
                return Err(ClipError::fault(format!("ffmpeg found damage: {words}; get the file again")));
            }
            notes.push(if is_cut_copy {
                format!("it starts between two key frames, so its first frames are missing: {words}")
            } else {
                format!("ffmpeg found damage and continued: {words}")
            });
        }
        if decoded == 0 {
            return Err(ClipError::fault("no frame can be decoded; get the file again"));
        }
        if decoded <= MIN_FLOW_FRAMES {
            return Err(Absence::short_video(&file.path, decoded).into());
        }
        if decoded != counted {
            let who = if file.header_frames.is_some() { "its header says" } else { "its number of packets is" };
            notes.push(format!("decoded {decoded} frames, but {who} {counted}"));
        }
        if let Some(flow_frames) = file.published_flow_frames
            && decoded != flow_frames + 1
        {
            notes.push(format!("decoded {decoded} frames, but the published frames are {}", flow_frames + 1));
        }
        Ok(notes)
    }

    /// Resizes the frame that was just read, and passes its wanted images to `each`.
    fn give(&mut self, wanted: &Wanted, each: &mut impl FnMut(StreamImage<'_>) -> Result<()>) -> Result<()> {
        let Frame { width: from_width, height: from_height, ref pixels } = self.frame;
        let (width, height) = Geometry::ShortSide(self.video.options.short_side).extent(from_width, from_height);
        let extent = |w: u16, h: u16| (usize::from(w), usize::from(h));
        self.scale.resize(pixels, extent(from_width, from_height), extent(width, height), 3, &mut self.resized);
        if wanted.rgb {
            each(StreamImage::Rgb { width, height, pixels: &self.resized })?;
        }
        let Some(method) = self.video.options.flow.filter(|_| wanted.flow) else { return Ok(()) };
        if self.flow.as_ref().is_none_or(|flow| flow.size() != (width, height)) {
            self.flow = Some(FlowMaker::new(
                method,
                self.video.options,
                self.video.solvers.clone(),
                self.threads,
                (width, height),
            )?);
        }
        if let Some(flow) = &mut self.flow {
            grey(&self.resized, &mut self.grey);
            let planes = &mut self.planes;
            flow.push(&self.grey, |flow| give_flow(flow, planes, each))?;
        }
        Ok(())
    }
}

/// Quantises a flow and passes it to `each`.
fn give_flow(
    flow: &Flow,
    planes: &mut [Vec<u8>; 2],
    each: &mut impl FnMut(StreamImage<'_>) -> Result<()>,
) -> Result<()> {
    quantise(&flow.x, &mut planes[0]);
    quantise(&flow.y, &mut planes[1]);
    let (width, height) = (flow.width as u16, flow.height as u16);
    each(StreamImage::Flow { width, height, planes: [&planes[0], &planes[1]] })
}

/// Computes the luma of RGB pixels (ITU-R BT.601) in 15-bit fixed point, as OpenCV's `cvtColor`
/// does.
fn grey(rgb: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend(rgb.chunks_exact(3).map(|pixel| {
        let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
        ((9798 * r + 19235 * g + 3735 * b + (1 << 14)) >> 15) as u8
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_is_that_of_opencv() {
        // cv2.cvtColor(numpy.uint8([[[255, 0, 0], ...]]), cv2.COLOR_RGB2GRAY)
        let mut out = vec![7];
        grey(&[255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255, 10, 200, 30, 0, 0, 0], &mut out);
        assert_eq!(out, [76, 150, 29, 255, 124, 0]);
    }
}
