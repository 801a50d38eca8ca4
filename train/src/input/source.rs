//! Fills one sample with pixels: decode, then crop and flip (training on RGB) or squash (everything else).

use crate::pixels;
use crate::sampler::{self, TEST_SAMPLES};
use crate::stream::{STACK_FRAMES, Stream};
use crate::videos::Video;
use anyhow::{Result, bail};
use clipshard::order::{Draws, permutation};
use clipshard::{ClipRecords, Dataset, Decoder, Window};
use fast_image_resize::Resizer;

/// What a decode thread keeps between samples.
pub struct Worker {
    decoder: Decoder,
    resizer: Resizer,
    frame: Vec<u8>,
}

impl Worker {
    /// One for each thread.
    pub fn new() -> Result<Self> {
        Ok(Self { decoder: Decoder::new()?, resizer: Resizer::new(), frame: Vec::new() })
    }
}

/// The samples of one pass over a split, in order.
pub trait SampleSource: Sync {
    /// Samples of the pass.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Bytes of each sample: u8, `[views, side, side, 3]` for RGB, `[20, side, side]` for flow.
    fn sample_bytes(&self) -> usize;
    /// Writes sample number `i` of the pass. A pure function of `i`: any thread, any order, the same bytes.
    fn fill(&self, i: usize, worker: &mut Worker, out: &mut [u8]) -> Result<()>;
}

/// Bytes of one view of a stream.
fn view_bytes(stream: Stream, side: usize) -> usize {
    stream.channels() * side * side
}

/// The training samples of one epoch: every clip once, in the epoch's order, with the epoch's random choices.
pub struct TrainSource<'a> {
    data: &'a Dataset,
    videos: &'a [Video],
    stream: Stream,
    side: usize,
    seed: u64,
    epoch: u64,
    order: Vec<u32>,
    views: usize,
}

impl<'a> TrainSource<'a> {
    /// The samples of `epoch`.
    pub fn new(data: &'a Dataset, videos: &'a [Video], stream: Stream, side: usize, seed: u64, epoch: u64) -> Self {
        let order = permutation(seed, epoch, videos.len());
        Self { data, videos, stream, side, seed, epoch, order, views: stream.train_views() }
    }

    /// The same samples, but only the first image of each.
    #[must_use]
    pub fn first_view(self) -> Self {
        Self { views: 1, ..self }
    }

    /// Label of sample number `i` of the epoch.
    pub fn label(&self, i: usize) -> u32 {
        self.videos[self.order[i] as usize].label
    }
}

impl SampleSource for TrainSource<'_> {
    fn len(&self) -> usize {
        self.videos.len()
    }

    fn sample_bytes(&self) -> usize {
        self.views * view_bytes(self.stream, self.side)
    }

    fn fill(&self, i: usize, worker: &mut Worker, out: &mut [u8]) -> Result<()> {
        let number = self.order[i];
        let video = &self.videos[number as usize];
        let records = self.data.clip(self.stream.records(), video.clip)?;
        let mut draws = Draws::new(self.seed, self.epoch, number.into());
        match self.stream {
            Stream::Spatial => {
                let frames = sampler::segment_frames(video.flow_frames, video.rgb_frames, &mut draws);
                for (frame, out) in frames.into_iter().zip(out.chunks_exact_mut(view_bytes(self.stream, self.side))) {
                    random_crop(&records, frame as usize, self.side, &mut draws, worker, out)?;
                }
                Ok(())
            }
            Stream::Temporal => {
                let start = sampler::stack_start(video.flow_frames, &mut draws);
                squashed_frames(&records, start as usize, STACK_FRAMES, self.side, worker, out)
            }
        }
    }
}

/// The test samples: 19 of each clip, clip after clip.
pub struct TestSource<'a> {
    data: &'a Dataset,
    videos: &'a [Video],
    stream: Stream,
    side: usize,
}

impl<'a> TestSource<'a> {
    /// The samples of these clips.
    pub fn new(data: &'a Dataset, videos: &'a [Video], stream: Stream, side: usize) -> Self {
        Self { data, videos, stream, side }
    }
}

impl SampleSource for TestSource<'_> {
    fn len(&self) -> usize {
        self.videos.len() * TEST_SAMPLES
    }

    fn sample_bytes(&self) -> usize {
        view_bytes(self.stream, self.side)
    }

    fn fill(&self, i: usize, worker: &mut Worker, out: &mut [u8]) -> Result<()> {
        let (video, i) = (&self.videos[i / TEST_SAMPLES], i % TEST_SAMPLES);
        let records = self.data.clip(self.stream.records(), video.clip)?;
        match self.stream {
            Stream::Spatial => {
                let frame = sampler::test_frame(video.flow_frames, video.rgb_frames, i);
                squashed_frames(&records, frame as usize, 1, self.side, worker, out)
            }
            Stream::Temporal => {
                let start = sampler::test_start(video.flow_frames, i);
                squashed_frames(&records, start as usize, STACK_FRAMES, self.side, worker, out)
            }
        }
    }
}

/// A random square of the frame at its stored size, mirrored half of the time. Draws: row, column, mirror.
fn random_crop(
    records: &ClipRecords<'_>,
    frame: usize,
    side: usize,
    draws: &mut Draws,
    worker: &mut Worker,
    out: &mut [u8],
) -> Result<()> {
    let size = records.size(frame, 0);
    let (width, height) = (size.width as usize, size.height as usize);
    if width < side || height < side {
        bail!(
            "{} has frames of {width}x{height}, too small to crop {side}x{side}; give a smaller --input-size",
            records.id()
        );
    }
    let y = draws.below((height - side + 1) as u64) as u16;
    let x = draws.below((width - side + 1) as u64) as u16;
    let window = Window { x, y, width: side as u16, height: side as u16 };
    records.decode_window(frame, 0, window, &mut worker.decoder, out)?;
    if draws.coin() {
        pixels::mirror(out, side);
    }
    Ok(())
}

/// All records of some frames, one after the other, each squashed to a square where it is not one of that size already.
fn squashed_frames(
    records: &ClipRecords<'_>,
    start: usize,
    frames: usize,
    side: usize,
    worker: &mut Worker,
    out: &mut [u8],
) -> Result<()> {
    let image_bytes = out.len() / (frames * records.planes());
    for (i, out) in out.chunks_exact_mut(image_bytes).enumerate() {
        let (frame, plane) = (start + i / records.planes(), i % records.planes());
        let size = records.size(frame, plane);
        if (size.width as usize, size.height as usize) == (side, side) {
            records.decode(frame, plane, &mut worker.decoder, out)?;
        } else {
            worker.frame.resize(size.bytes(), 0);
            records.decode(frame, plane, &mut worker.decoder, &mut worker.frame)?;
            pixels::squash(&mut worker.resizer, &worker.frame, size, side, out)?;
        }
    }
    Ok(())
}

/// Says before the first step what the first bad sample would say in the middle of an epoch.
pub fn check_geometry(data: &Dataset, videos: &[Video], stream: Stream, side: usize) -> Result<()> {
    let spec = data.stream(stream.records())?;
    let channels = spec.planes as usize * spec.channels as usize;
    let expected = if stream == Stream::Spatial { 3 } else { 2 };
    if channels != expected {
        bail!(
            "{}: stream {} has {channels} channels a frame; {expected} are expected",
            data.dir().display(),
            spec.name
        );
    }
    if let (Stream::Spatial, Some(video)) = (stream, videos.first()) {
        let size = data.clip(stream.records(), video.clip)?.size(0, 0);
        if (size.width.min(size.height) as usize) < side {
            let (width, height) = (size.width, size.height);
            bail!(crate::usage::Usage(format!(
                "{} has frames of {width}x{height}, too small to crop {side}x{side}; give a smaller --input-size",
                video.id
            )));
        }
    }
    Ok(())
}
