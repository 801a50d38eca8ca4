//! The training samples of an epoch.

use super::damage::Damage;
use super::source::{SampleSource, Worker, random_crop, squashed_frames, stored_bytes, view_bytes, will_need};
use crate::sampler;
use crate::stream::{STACK_FRAMES, Stream};
use crate::videos::Video;
use anyhow::Result;
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
    views: usize,
    damage: Damage,
    /// For each sample that was damaged the clip whose frames are in its place; mostly the same one.
    replaced: Vec<AtomicU32>,
}

/// Other choices of the same clip before another clip takes the place of a damaged sample, and clips.
const CHOICES: usize = 4;
const OTHER_CLIPS: usize = 4;
const NOT_REPLACED: u32 = u32::MAX;

impl<'a> TrainSource<'a> {
    /// The samples of `epoch`.
    pub fn new(data: &'a Dataset, videos: &'a [Video], stream: Stream, side: usize, seed: u64, epoch: u64) -> Self {
        let order = permutation(seed, epoch, videos.len());
        let replaced = order.iter().map(|_| AtomicU32::new(NOT_REPLACED)).collect();
        let (views, damage) = (stream.train_views(), Damage::is_fatal());
        Self { data, videos, stream, side, seed, epoch, order, views, damage, replaced }
    }

    /// The same samples, but only the first image of each.
    #[must_use]
    pub fn first_view(self) -> Self {
        Self { views: 1, ..self }
    }

    /// The same samples; `damage` says what to do with those that cannot be read.
    #[must_use]
    pub fn with_damage(self, damage: Damage) -> Self {
        Self { damage, ..self }
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

    /// The random choices of a clip: which frames, and what follows from the draws behind them.
    fn frames(&self, number: u32, choice: usize) -> (Frames, Draws) {
        let video = &self.videos[number as usize];
        // Other choices for damaged samples: numbers that no clip has.
        let mut draws = Draws::new(self.seed, self.epoch, u64::from(number) | (choice as u64) << 32);
        let frames = match self.stream {
            Stream::Spatial => Frames::Of(sampler::segment_frames(video.flow_frames, video.rgb_frames, &mut draws)),
            Stream::Temporal => Frames::From(sampler::stack_start(video.flow_frames, &mut draws)),
        };
        (frames, draws)
    }

    fn fill_from(&self, number: u32, choice: usize, worker: &mut Worker, out: &mut [u8]) -> Result<()> {
        let records = self.data.clip(self.stream.records(), self.videos[number as usize].clip)?;
        let (frames, mut draws) = self.frames(number, choice);
        match frames {
            Frames::Of(frames) => {
                for (frame, out) in frames.into_iter().zip(out.chunks_exact_mut(view_bytes(self.stream, self.side))) {
                    random_crop(&records, frame as usize, self.side, &mut draws, worker, out)?;
                }
                Ok(())
            }
            Frames::From(start) => {
                squashed_frames(&records, start as usize..start as usize + STACK_FRAMES, self.side, worker, out)
            }
        }
    }
}

/// What a training sample is made of.
enum Frames {
    /// Single frames.
    Of([u32; 3]),
    /// A stack.
    From(u32),
}

impl SampleSource for TrainSource<'_> {
    fn len(&self) -> usize {
        self.order.len()
    }

    fn sample_bytes(&self) -> usize {
        self.views * view_bytes(self.stream, self.side)
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
        stored_bytes(self.data, self.stream, if self.stream == Stream::Spatial { self.views } else { STACK_FRAMES })
    }

    fn will_need(&self, i: usize) {
        let number = self.order[i];
        let Ok(records) = self.data.clip(self.stream.records(), self.videos[number as usize].clip) else { return };
        match self.frames(number, 0).0 {
            Frames::Of(frames) => frames.iter().take(self.views).for_each(|&f| will_need(&records, f, 1)),
            Frames::From(start) => will_need(&records, start, STACK_FRAMES),
        }
    }
}
