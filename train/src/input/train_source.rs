//! The training samples of an epoch.

use super::damage::Damage;
use super::geometry::{fill_view, train_placement};
use super::source::{SampleSource, Worker, stored_bytes, view_bytes, will_need};
use crate::pixels::Jitter;
use crate::sampler;
use crate::stream::Stream;
use crate::videos::Video;
use crate::view::{MAX_SEGMENTS, Sampling, View};
use anyhow::{Result, anyhow};
use clipshard::Dataset;
use clipshard::order::{Draws, permutation};
use std::sync::atomic::{AtomicU32, Ordering};

/// The training samples of one epoch: every clip once, in the epoch's order, with the epoch's random choices.
pub struct TrainSource<'a> {
    data: &'a Dataset,
    videos: &'a [Video],
    stream: Stream,
    side: usize,
    seed: u64,
    epoch: u64,
    order: Vec<u32>,
    view: View,
    damage: Damage,
    /// Strength of the colour jitter of RGB views; 0 for none.
    color_jitter: f64,
    /// For each sample that was damaged the clip whose frames are in its place; mostly the same one.
    replaced: Vec<AtomicU32>,
}

/// Other choices of the same clip before another clip takes the place of a damaged sample, and clips.
const CHOICES: usize = 4;
const OTHER_CLIPS: usize = 4;
const NOT_REPLACED: u32 = u32::MAX;

impl<'a> TrainSource<'a> {
    /// The samples of `epoch` as the seed recipe sees them.
    pub fn new(data: &'a Dataset, videos: &'a [Video], stream: Stream, side: usize, seed: u64, epoch: u64) -> Self {
        let order = permutation(seed, epoch, videos.len());
        let replaced = order.iter().map(|_| AtomicU32::new(NOT_REPLACED)).collect();
        let (view, damage) = (View::seed(stream), Damage::is_fatal());
        Self { data, videos, stream, side, seed, epoch, order, view, damage, color_jitter: 0.0, replaced }
    }

    /// The same clips, seen in another way.
    #[must_use]
    pub fn with_view(self, view: View) -> Self {
        Self { view, ..self }
    }

    /// The same samples; `damage` says what to do with those that cannot be read.
    #[must_use]
    pub fn with_damage(self, damage: Damage) -> Self {
        Self { damage, ..self }
    }

    /// The same samples with colour jitter of some strength.
    #[must_use]
    pub fn with_color_jitter(self, color_jitter: f64) -> Self {
        Self { color_jitter, ..self }
    }

    /// Every `world`th of the samples, from number `rank` on: ranks share none, have as many steps as each other, and together
    /// follow the order of one that is alone. Where the clips cannot be shared out evenly, the last few are left out.
    #[must_use]
    pub fn share(mut self, rank: usize, world: usize) -> Self {
        let each = self.order.len() / world;
        self.order = self.order.into_iter().skip(rank).step_by(world).take(each).collect();
        self
    }

    /// Whether sample number `i` of the epoch, which has been written, was damaged and replaced.
    pub fn was_damaged(&self, i: usize) -> bool {
        self.replaced[i].load(Ordering::Relaxed) != NOT_REPLACED
    }

    /// Label of sample number `i` of the epoch, which has been written.
    pub fn label(&self, i: usize) -> u32 {
        let number = match self.replaced[i].load(Ordering::Relaxed) {
            NOT_REPLACED => self.order[i],
            number => number,
        };
        self.videos[number as usize].label
    }

    /// The random choices of a clip: the first frames of its views, and what follows from the draws behind them.
    fn starts(&self, number: u32, choice: usize) -> ([u32; MAX_SEGMENTS], Draws) {
        let (Video { flow_frames, rgb_frames, .. }, segments) = (&self.videos[number as usize], self.view.segments);
        // Other choices for damaged samples: numbers that no clip has.
        let mut draws = Draws::new(self.seed, self.epoch, u64::from(number) | (choice as u64) << 32);
        let mut starts = [0; MAX_SEGMENTS];
        match (self.view.sampling, self.stream) {
            (Sampling::Seed, Stream::Spatial) => {
                starts[..3].copy_from_slice(&sampler::segment_frames(*flow_frames, *rgb_frames, &mut draws));
            }
            (Sampling::Seed, Stream::Temporal) => starts[0] = sampler::stack_start(*flow_frames, &mut draws),
            (Sampling::Segments, stream) => {
                let all = if stream == Stream::Spatial { *rgb_frames } else { sampler::stack_starts(*flow_frames) };
                for (part, start) in starts[..segments].iter_mut().enumerate() {
                    *start = sampler::part_start(all, segments, part, &mut draws);
                }
            }
        }
        (starts, draws)
    }

    fn fill_from(&self, number: u32, choice: usize, worker: &mut Worker, out: &mut [u8]) -> Result<()> {
        let Self { stream, side, view, .. } = *self;
        let records = self.data.clip(stream.records(), self.videos[number as usize].clip)?;
        let (starts, mut draws) = self.starts(number, choice);
        for (start, out) in starts.into_iter().zip(out.chunks_exact_mut(view_bytes(stream, side))) {
            let frames = start as usize..start as usize + stream.frames();
            let first = records.size(frames.start, 0)?;
            let place = |size, draws: &mut Draws| train_placement((view.crop, view.flip), stream, size, side, draws);
            // The same choices for all of a view's images, whatever their sizes; the next view makes its own.
            let of_view = draws.clone();
            place(first, &mut draws).map_err(|e| anyhow!("{}: {e}", records.id()))?;
            fill_view(&records, frames, |size| place(size, &mut of_view.clone()), side, worker, out)?;
            if self.color_jitter > 0.0 {
                Jitter::draw(self.color_jitter, &mut draws).apply(out);
            }
        }
        Ok(())
    }
}

impl SampleSource for TrainSource<'_> {
    fn len(&self) -> usize {
        self.order.len()
    }

    fn sample_bytes(&self) -> usize {
        self.view.segments * view_bytes(self.stream, self.side)
    }

    fn fill(&self, i: usize, worker: &mut Worker, _: Option<&[u8]>, out: &mut [u8]) -> Result<()> {
        let clip_of = |attempt: usize| self.order[(i + attempt / CHOICES) % self.order.len()];
        let attempt = self.damage.skip(CHOICES * (1 + OTHER_CLIPS), |attempt| {
            self.fill_from(clip_of(attempt), attempt % CHOICES, worker, out)
        })?;
        if attempt > 0 {
            self.replaced[i].store(clip_of(attempt), Ordering::Relaxed);
        }
        Ok(())
    }

    fn stored_bytes(&self) -> u64 {
        stored_bytes(self.data, self.stream, self.view.segments * self.stream.frames())
    }

    fn will_need(&self, i: usize) {
        let number = self.order[i];
        let Ok(records) = self.data.clip(self.stream.records(), self.videos[number as usize].clip) else { return };
        for &start in &self.starts(number, 0).0[..self.view.segments] {
            will_need(&records, start, self.stream.frames());
        }
    }
}
