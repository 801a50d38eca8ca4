//! The test samples, which share frames.

use super::damage::Damage;
use super::geometry::{fill_view, test_placement};
use super::source::{SampleSource, Worker, stored_bytes, view_bytes, will_need};
use crate::sampler;
use crate::stream::Stream;
use crate::videos::Video;
use crate::view::{Sampling, View};
use anyhow::Result;
use clipshard::Dataset;

/// The test samples: as many of each clip, clip after clip in the order in which they are stored.
pub struct TestSource<'a> {
    data: &'a Dataset,
    videos: &'a [Video],
    order: Vec<usize>,
    stream: Stream,
    side: usize,
    view: View,
    shares_frames: bool,
    damage: Damage,
}

impl<'a> TestSource<'a> {
    /// The samples of these clips as the seed recipe sees them.
    pub fn new(data: &'a Dataset, videos: &'a [Video], stream: Stream, side: usize) -> Self {
        let mut order: Vec<usize> = (0..videos.len()).collect();
        order.sort_by_key(|&video| data.place(stream.records(), videos[video].clip).ok());
        let view = View::seed(stream);
        Self { data, videos, order, stream, side, view, shares_frames: true, damage: Damage::is_fatal() }
    }

    /// The same clips, seen in another way.
    #[must_use]
    pub fn with_view(self, view: View) -> Self {
        Self { view, ..self }
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
        self.order[i / self.view.test_samples]
    }

    /// First frames of a clip's samples, from 0.
    pub fn starts(&self, video: &Video) -> impl Iterator<Item = u32> {
        (0..self.view.test_samples).map(|sample| self.start(video, sample))
    }

    /// First frame of a sample, from 0.
    fn start(&self, video: &Video, sample: usize) -> u32 {
        let (&Video { flow_frames, rgb_frames, .. }, samples) = (video, self.view.test_samples);
        match (self.view.sampling, self.stream) {
            (Sampling::Seed, Stream::Spatial) => sampler::test_frame(flow_frames, rgb_frames, samples, sample),
            (Sampling::Seed, Stream::Temporal) => sampler::test_start(flow_frames, samples, sample),
            (Sampling::Segments, Stream::Spatial) => sampler::part_middle(rgb_frames, samples, sample),
            (Sampling::Segments, Stream::Temporal) => {
                sampler::part_middle(sampler::stack_starts(flow_frames), samples, sample)
            }
        }
    }
}

impl SampleSource for TestSource<'_> {
    fn len(&self) -> usize {
        self.videos.len() * self.view.test_samples
    }

    fn sample_bytes(&self) -> usize {
        self.view.test_views() * view_bytes(self.stream, self.side)
    }

    fn run_end(&self, i: usize) -> usize {
        if self.shares_frames { (i / self.view.test_samples + 1) * self.view.test_samples } else { i + 1 }
    }

    fn fill(&self, i: usize, worker: &mut Worker, previous: Option<&[u8]>, out: &mut [u8]) -> Result<()> {
        let video = &self.videos[self.video(i)];
        let records = self.data.clip(self.stream.records(), video.clip)?;
        let (frames, crop, side) = (self.stream.frames(), self.view.test_crop, self.side);
        let view_bytes = view_bytes(self.stream, side);
        let frame_bytes = view_bytes / frames;
        let last = worker.last.take().filter(|&(clip, _)| clip == video.clip);
        // In place of a damaged sample the next one of the clip.
        let attempt = self.damage.skip(self.view.test_samples, |attempt| {
            let start = self.start(video, (i + attempt) % self.view.test_samples);
            let shared = match (previous, last) {
                (Some(_), Some((_, last))) if (last..last + frames as u32).contains(&start) => {
                    frames - (start - last) as usize
                }
                _ => 0,
            };
            let rest = start as usize + shared..start as usize + frames;
            for (view, out) in out.chunks_exact_mut(view_bytes).enumerate() {
                let (out, new) = out.split_at_mut(shared * frame_bytes);
                if let Some(previous) = previous.filter(|_| shared > 0) {
                    out.copy_from_slice(&previous[(view + 1) * view_bytes - out.len()..(view + 1) * view_bytes]);
                }
                fill_view(&records, rest.clone(), |size| Ok(test_placement(crop, size, view)), side, worker, new)?;
            }
            Ok(())
        })?;
        worker.last = Some((video.clip, self.start(video, (i + attempt) % self.view.test_samples)));
        Ok(())
    }

    fn stored_bytes(&self) -> u64 {
        stored_bytes(self.data, self.stream, self.stream.frames())
    }

    fn will_need(&self, i: usize) {
        let video = &self.videos[self.video(i)];
        if let Ok(records) = self.data.clip(self.stream.records(), video.clip) {
            will_need(&records, self.start(video, i % self.view.test_samples), self.stream.frames());
        }
    }
}
