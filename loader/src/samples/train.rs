//! The training samples of an epoch.

use super::Samples;
use super::damage::{Damage, Replaced};
use super::render::{Reader, Worker};
use crate::pixels::Jitter;
use crate::sampling::Sampling;
use crate::split::SplitClip;
use crate::view::{Crop, MAX_SEGMENTS, View, check_fits, train_placement};
use crate::{Error, Result};
use clipshard::order::{Draws, mix64, permutation};
use clipshard::{Dataset, ImageSize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The options of [`TrainSamples`].
///
/// ```
/// use clip_loader::{Crop, Sampling, TrainOptions};
///
/// let options = TrainOptions::new().sampling(Sampling::Segments).segments(3).crop(Crop::Corners);
/// let third_epoch = options.flip(true).seed(7).epoch(2);
/// ```
#[derive(Clone, Debug)]
pub struct TrainOptions {
    sampling: Sampling,
    segments: usize,
    crop: Crop,
    flip: bool,
    jitter: f64,
    seed: u64,
    epoch: u64,
    damage: Damage,
}

impl TrainOptions {
    /// Returns the defaults: one view per sample from anywhere in the clip, whole frames, no flip,
    /// no jitter, seed 0, epoch 0, and damage is an error.
    pub fn new() -> Self {
        Self {
            sampling: Sampling::Segments,
            segments: 1,
            crop: Crop::Whole,
            flip: false,
            jitter: 0.0,
            seed: 0,
            epoch: 0,
            damage: Damage::fail(),
        }
    }

    /// Sets the rule that chooses frames.
    #[must_use]
    pub fn sampling(self, sampling: Sampling) -> Self {
        Self { sampling, ..self }
    }

    /// Sets the number of views per sample, from 1 to [`Sampling::most_segments`].
    #[must_use]
    pub fn segments(self, segments: usize) -> Self {
        Self { segments, ..self }
    }

    /// Sets the part of a frame that a view shows.
    #[must_use]
    pub fn crop(self, crop: Crop) -> Self {
        Self { crop, ..self }
    }

    /// Sets whether each view is mirrored with a probability of one half. In mirrored optical flow,
    /// x displacements are reversed.
    #[must_use]
    pub fn flip(self, flip: bool) -> Self {
        Self { flip, ..self }
    }

    /// Sets the strength of the colour jitter ([`Jitter`]) of RGB views, from 0 (none) to 1000.
    /// Streams other than RGB allow only 0.
    #[must_use]
    pub fn jitter(self, jitter: f64) -> Self {
        Self { jitter, ..self }
    }

    /// Sets the seed of the order and the random choices.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Sets the epoch, counted from 0. Each epoch has its own order and random choices.
    #[must_use]
    pub fn epoch(self, epoch: u64) -> Self {
        Self { epoch, ..self }
    }

    /// Sets the reaction to damaged samples.
    #[must_use]
    pub fn damage(self, damage: Damage) -> Self {
        Self { damage, ..self }
    }

    fn check(&self, reader: &Reader) -> Result<()> {
        let most = self.sampling.most_segments(reader.view.frames);
        if !(1..=most).contains(&self.segments) {
            return Err(Error::option("segments", self.segments, format!("between 1 and {most}")));
        }
        if !(0.0..=1000.0).contains(&self.jitter) {
            return Err(Error::option("jitter", self.jitter, "between 0 and 1000"));
        }
        if self.jitter > 0.0 && !reader.is_rgb() {
            return Err(Error::option("jitter", self.jitter, "allowed for a stream that is not RGB"));
        }
        Ok(())
    }
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// The training samples of one epoch: each clip once. Seed and epoch determine the order and the
/// random choices.
#[derive(Debug)]
pub struct TrainSamples {
    reader: Reader,
    options: TrainOptions,
    order: Vec<u32>,
    replaced: Replaced,
    /// For each sample the clip that replaces its damaged data, often the same clip, or
    /// `NOT_REPLACED`.
    replacements: Vec<AtomicU32>,
}

/// Number of random choices to try per clip if samples are damaged.
const CHOICES: usize = 4;
/// Number of other clips to try if all choices of a clip are damaged.
const OTHER_CLIPS: usize = 4;
const NOT_REPLACED: u32 = u32::MAX;

impl TrainSamples {
    /// Draws the samples of one epoch over `clips`, with views of the shape `view`.
    ///
    /// # Errors
    /// Returns an error if the dataset does not have the stream of the view, a clip has too few
    /// frames, the frames are too small for the crop, or an option has a wrong value.
    pub fn new(
        data: &Arc<Dataset>,
        clips: impl Into<Arc<[SplitClip]>>,
        view: &View,
        options: TrainOptions,
    ) -> Result<Self> {
        let reader = Reader::new(data, clips.into(), view, options.sampling.fewest_flow_frames())?;
        options.check(&reader)?;
        if options.crop == Crop::Random && !reader.clips.is_empty() {
            let records = reader.records(0)?;
            let size = records.size(0, 0)?;
            check_fits(size, view.side).ok_or_else(|| too_small(records.id(), size, view.side))?;
        }
        let order = permutation(options.seed, options.epoch, reader.clips.len());
        let replacements = order.iter().map(|_| AtomicU32::new(NOT_REPLACED)).collect();
        let replaced = Replaced::new(options.damage.clone());
        Ok(Self { reader, options, order, replaced, replacements })
    }

    /// Returns the shape of a sample: `[views, frames, planes, side, side, channels]`.
    pub fn shape(&self) -> [usize; 6] {
        self.reader.shape(self.options.segments)
    }

    /// Returns the clip that sample number `i` shows. It is final once the sample has been written.
    pub fn clip(&self, i: usize) -> &SplitClip {
        let number = match self.replacements[i].load(Ordering::Relaxed) {
            NOT_REPLACED => self.order[i],
            number => number,
        };
        &self.reader.clips[number as usize]
    }

    /// Returns the label of sample number `i`, if its clip has one. It is final once the sample has
    /// been written.
    pub fn label(&self, i: usize) -> Option<u32> {
        self.clip(i).label
    }

    /// Returns whether sample number `i` was damaged and replaced. It is final once the sample has
    /// been written.
    pub fn was_damaged(&self, i: usize) -> bool {
        self.replacements[i].load(Ordering::Relaxed) != NOT_REPLACED
    }

    /// Returns how many damaged samples were replaced so far.
    pub fn damaged(&self) -> u64 {
        self.replaced.samples()
    }

    /// Draws the first frames of the views of a clip. Also returns the draws that follow.
    fn starts(&self, number: u32, choice: usize) -> ([u32; MAX_SEGMENTS], Draws) {
        let TrainOptions { seed, epoch, segments, .. } = self.options;
        // Further choices for damaged samples use numbers that no clip has.
        let mut draws = Draws::new(seed, epoch, u64::from(number) | (choice as u64) << 32);
        let clip = &self.reader.clips[number as usize];
        let starts = self.options.sampling.train_starts(clip, self.reader.frames(), segments, &mut draws);
        (starts, draws)
    }

    fn fill_from(&self, number: u32, choice: usize, worker: &mut Worker, out: &mut [u8]) -> Result<()> {
        let (reader, &TrainOptions { crop, flip, jitter, .. }) = (&self.reader, &self.options);
        let side = reader.view.side;
        let records = reader.records(number as usize)?;
        let (starts, mut draws) = self.starts(number, choice);
        let place = |size: ImageSize, draws: &mut Draws| {
            train_placement((crop, flip), reader.is_flow(), size, side, draws)
                .ok_or_else(|| too_small(records.id(), size, side))
        };
        for (start, out) in starts.into_iter().zip(out.chunks_exact_mut(reader.view_bytes())) {
            let frames = start as usize..start as usize + reader.view.frames;
            let first = records.size(frames.start, 0)?;
            // All images of a view use the same draws, even if their sizes differ. The next view
            // continues with new draws.
            let of_view = draws.clone();
            place(first, &mut draws)?;
            reader.fill(&records, frames, |size| place(size, &mut of_view.clone()), worker, out)?;
            if jitter > 0.0 {
                Jitter::draw(jitter, &mut draws).apply(out);
            }
        }
        Ok(())
    }
}

fn too_small(clip: &str, size: ImageSize, side: usize) -> Error {
    Error::TooSmall { clip: clip.to_owned(), size, side }
}

impl Samples for TrainSamples {
    fn len(&self) -> usize {
        self.order.len()
    }

    fn sample_bytes(&self) -> usize {
        self.options.segments * self.reader.view_bytes()
    }

    fn fill(&self, i: usize, worker: &mut Worker, _: Option<&[u8]>, out: &mut [u8]) -> Result<()> {
        let clip_of = |attempt: usize| self.order[(i + attempt / CHOICES) % self.order.len()];
        let attempt = self.replaced.skip(CHOICES * (1 + OTHER_CLIPS), |attempt| {
            self.fill_from(clip_of(attempt), attempt % CHOICES, worker, out)
        })?;
        if attempt > 0 {
            self.replacements[i].store(clip_of(attempt), Ordering::Relaxed);
        }
        Ok(())
    }

    fn stored_bytes(&self) -> u64 {
        self.reader.stored_bytes(self.options.segments)
    }

    fn will_need(&self, i: usize) {
        let number = self.order[i];
        let Ok(records) = self.reader.records(number as usize) else { return };
        for &start in &self.starts(number, 0).0[..self.options.segments] {
            self.reader.will_need(&records, start);
        }
    }

    fn fingerprint(&self) -> u64 {
        let &TrainOptions { sampling, segments, crop, flip, jitter, seed, epoch, .. } = &self.options;
        let choices = [sampling as u64, segments as u64, crop as u64, u64::from(flip), jitter.to_bits(), seed, epoch];
        self.reader.fingerprint(choices.into_iter().fold(1, |hash, value| mix64(hash ^ value)))
    }
}
