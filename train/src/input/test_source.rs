//! The test samples, which share frames.

use super::damage::Damage;
use super::source::{SampleSource, Worker, squashed_frames, stored_bytes, view_bytes, will_need};
use crate::sampler::{self, TEST_SAMPLES};
use crate::stream::{STACK_FRAMES, Stream};
use crate::videos::Video;
use anyhow::Result;
use clipshard::Dataset;

/// The test samples: 19 of each clip, clip after clip in the order in which they are stored.
pub struct TestSource<'a> {
    data: &'a Dataset,
    videos: &'a [Video],
    order: Vec<usize>,
    stream: Stream,
    side: usize,
    shares_frames: bool,
    damage: Damage,
}

impl<'a> TestSource<'a> {
    /// The samples of these clips.
    pub fn new(data: &'a Dataset, videos: &'a [Video], stream: Stream, side: usize) -> Self {
        let mut order: Vec<usize> = (0..videos.len()).collect();
        order.sort_by_key(|&video| data.place(stream.records(), videos[video].clip));
        Self { data, videos, order, stream, side, shares_frames: true, damage: Damage::is_fatal() }
    }

    /// The same samples, each decoded for itself: what sharing is measured against.
    #[must_use]
    pub fn each_alone(self) -> Self {
        Self { shares_frames: false, ..self }
    }

    /// The same samples; `damage` says what to do with those that cannot be read.
    #[must_use]
    pub fn with_damage(self, damage: Damage) -> Self {
        Self { damage, ..self }
    }

    /// Samples that were replaced so far.
    pub fn damaged(&self) -> u64 {
        self.damage.samples()
    }

    /// Which of the clips sample number `i` is of.
    pub fn video(&self, i: usize) -> usize {
        self.order[i / TEST_SAMPLES]
    }

    /// First frame of a sample.
    fn start(&self, video: &Video, sample: usize) -> u32 {
        match self.stream {
            Stream::Spatial => sampler::test_frame(video.flow_frames, video.rgb_frames, sample),
            Stream::Temporal => sampler::test_start(video.flow_frames, sample),
        }
    }

    fn frames(&self) -> usize {
        if self.stream == Stream::Spatial { 1 } else { STACK_FRAMES }
    }
}

impl SampleSource for TestSource<'_> {
    fn len(&self) -> usize {
        self.videos.len() * TEST_SAMPLES
    }

    fn sample_bytes(&self) -> usize {
        view_bytes(self.stream, self.side)
    }

    fn run_end(&self, i: usize) -> usize {
        if self.shares_frames { (i / TEST_SAMPLES + 1) * TEST_SAMPLES } else { i + 1 }
    }

    fn fill(&self, i: usize, worker: &mut Worker, previous: Option<&[u8]>, out: &mut [u8]) -> Result<()> {
        let video = &self.videos[self.video(i)];
        let records = self.data.clip(self.stream.records(), video.clip)?;
        let (frames, frame_bytes) = (self.frames(), out.len() / self.frames());
        let last = worker.last.take().filter(|&(clip, _)| clip == video.clip);
        // In place of a damaged sample the next one of the clip.
        let attempt = self.damage.skip(TEST_SAMPLES, |attempt| {
            let start = self.start(video, (i + attempt) % TEST_SAMPLES);
            let shared = match (previous, last) {
                (Some(previous), Some((_, last))) if (last..last + frames as u32).contains(&start) => {
                    let from = (start - last) as usize;
                    out[..(frames - from) * frame_bytes].copy_from_slice(&previous[from * frame_bytes..]);
                    frames - from
                }
                _ => 0,
            };
            let rest = start as usize + shared..start as usize + frames;
            squashed_frames(&records, rest, self.side, worker, &mut out[shared * frame_bytes..])
        })?;
        worker.last = Some((video.clip, self.start(video, (i + attempt) % TEST_SAMPLES)));
        Ok(())
    }

    fn stored_bytes(&self) -> u64 {
        stored_bytes(self.data, self.stream, self.frames())
    }

    fn will_need(&self, i: usize) {
        let video = &self.videos[self.video(i)];
        if let Ok(records) = self.data.clip(self.stream.records(), video.clip) {
            will_need(&records, self.start(video, i % TEST_SAMPLES), self.frames());
        }
    }
}
