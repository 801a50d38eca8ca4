//! Test samples. Samples of a clip that overlap share decoded frames.

use super::Samples;
use super::damage::{Damage, Replaced};
use super::reader::{Reader, ViewOfStream};
use super::render::{Worker, render};
use super::short::Short;
use crate::sampling::Sampling;
use crate::split::SplitClip;
use crate::view::{Crop, TestCrop, View, test_placement};
use crate::{Error, Result};
use clipshard::Dataset;
use clipshard::order::mix64;
use std::sync::Arc;

/// Largest number of samples per test clip.
const MAX_SAMPLES: usize = 100_000;

/// The options of [`TestSamples`].
///
/// ```
/// use clip_loader::{TestCrop, TestOptions};
///
/// let options = TestOptions::new().samples(25).crop(TestCrop::Ten); // 250 views per clip
/// ```
#[derive(Clone, Debug)]
pub struct TestOptions {
    sampling: Sampling,
    samples: usize,
    crop: TestCrop,
    short: Short,
    repeat: usize,
    shares_frames: bool,
    damage: Damage,
}

impl TestOptions {
    /// Returns the defaults: 25 samples per clip from the middle of equal parts, whole frames, short
    /// clips are an error, and damage is an error.
    pub fn new() -> Self {
        Self {
            sampling: Sampling::Segments,
            samples: 25,
            crop: TestCrop::Whole,
            short: Short::Error,
            repeat: 1,
            shares_frames: true,
            damage: Damage::fail(),
        }
    }

    /// Sets the rule that chooses frames.
    #[must_use]
    pub fn sampling(self, sampling: Sampling) -> Self {
        Self { sampling, ..self }
    }

    /// Sets the number of samples per clip.
    #[must_use]
    pub fn samples(self, samples: usize) -> Self {
        Self { samples, ..self }
    }

    /// Sets the parts of a frame that a sample shows. Each part is a view.
    #[must_use]
    pub fn crop(self, crop: TestCrop) -> Self {
        Self { crop, ..self }
    }

    /// Sets what a sample shows of clips that are shorter than it.
    #[must_use]
    pub fn short(self, short: Short) -> Self {
        Self { short, ..self }
    }

    /// Sets the number of passes through the clips, one after the other. The default is 1.
    #[must_use]
    pub fn repeat(self, passes: usize) -> Self {
        Self { repeat: passes, ..self }
    }

    /// Sets whether overlapping samples decode their common frames only once. The default is true.
    ///
    /// The pixels are the same either way. Benchmarks measure the difference.
    #[must_use]
    pub fn shares_frames(self, shares_frames: bool) -> Self {
        Self { shares_frames, ..self }
    }

    /// Sets the reaction to damaged samples.
    #[must_use]
    pub fn damage(self, damage: Damage) -> Self {
        Self { damage, ..self }
    }
}

impl Default for TestOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// The test samples of some clips: the same number per clip, clip after clip, in the order in which
/// the clips are stored.
#[derive(Debug)]
pub struct TestSamples {
    reader: Reader,
    options: TestOptions,
    order: Vec<usize>,
    replaced: Replaced,
}

impl TestSamples {
    /// Chooses the samples of `clips`, with one view.
    ///
    /// # Errors
    /// Returns an error if the dataset does not have the stream of the view, a clip has too few
    /// frames, or an option has a wrong value. A view with a random crop or another random change is
    /// an error, too.
    pub fn new(
        data: &Arc<Dataset>,
        clips: impl Into<Arc<[SplitClip]>>,
        view: &View,
        options: TestOptions,
    ) -> Result<Self> {
        Self::of_views(data, clips, std::slice::from_ref(view), options)
    }

    /// Chooses the samples of `clips`, with 1 to 16 views. The `clips` are those of the stream of
    /// the first view.
    ///
    /// # Errors
    /// Returns the errors of [`TestSamples::new`].
    pub fn of_views(
        data: &Arc<Dataset>,
        clips: impl Into<Arc<[SplitClip]>>,
        views: &[View],
        options: TestOptions,
    ) -> Result<Self> {
        if !(1..=MAX_SAMPLES).contains(&options.samples) {
            return Err(Error::option("samples", options.samples, format!("between 1 and {MAX_SAMPLES}")));
        }
        for view in views {
            if view.crop != Crop::Whole {
                return Err(Error::option("crop", view.crop, "allowed in a test view; set the crop of the options"));
            }
            let changes = [
                ("flip", view.flip),
                ("jitter", view.jitter != 0.0),
                ("trivial_augment", view.trivial_augment),
                ("frame_dropout", view.frame_dropout != 0.0),
            ];
            if let Some((option, _)) = changes.into_iter().find(|(_, is_used)| *is_used) {
                return Err(Error::option(option, "of a view", "allowed in a test"));
            }
        }
        let reader = Reader::new(data, clips.into(), views, options.sampling, options.short)?;
        let mut order: Vec<usize> = (0..reader.clips.len()).collect();
        let first = &reader.views[0].view.stream;
        order.sort_by_key(|&number| data.place(first, reader.clips[number].clip).ok());
        let pass = order.len() * options.samples;
        if options.repeat == 0 || pass.checked_mul(options.repeat).is_none() {
            return Err(Error::option("repeat", options.repeat, "a number of passes"));
        }
        let replaced = Replaced::new(options.damage.clone());
        Ok(Self { reader, options, order, replaced })
    }

    /// Returns the shape of the first part of a sample:
    /// `[views, frames, planes, side, side, channels]`. There is one view per part of a frame that
    /// the crop shows.
    pub fn shape(&self) -> [usize; 6] {
        self.reader.views[0].shape(self.options.crop.views())
    }

    /// Returns the shapes of all parts.
    pub fn shapes(&self) -> Vec<[usize; 6]> {
        self.reader.views.iter().map(|view| view.shape(self.options.crop.views())).collect()
    }

    /// Returns how many damaged samples were replaced so far.
    pub fn damaged(&self) -> u64 {
        self.replaced.samples()
    }

    /// Returns the clip that sample number `i` shows, as an index into the `clips` of
    /// [`TestSamples::new`].
    pub fn clip_number(&self, i: usize) -> usize {
        self.order[i / self.options.samples % self.order.len()]
    }

    /// Returns the clip that sample number `i` shows.
    pub fn clip(&self, i: usize) -> &SplitClip {
        &self.reader.clips[self.clip_number(i)]
    }

    /// Returns the first frame of each sample of a clip, counted from 0. `number` is an index as in
    /// [`TestSamples::clip_number`].
    pub fn starts(&self, number: usize) -> impl Iterator<Item = u32> {
        (0..self.options.samples).map(move |sample| self.start(number, sample))
    }

    /// Returns the first frame of a sample, counted from 0.
    fn start(&self, number: usize, sample: usize) -> u32 {
        let (clip, TestOptions { sampling, samples, .. }) = (&self.reader.clips[number], &self.options);
        sampling.test_start(clip, (self.reader.frames(), self.reader.starts(number)), *samples, sample)
    }
}

impl TestSamples {
    /// Writes all crops of a view. `previous` has the bytes and the first frame of the previous
    /// sample of the clip, from which the common frames are copied.
    fn fill_view(
        &self,
        view: &ViewOfStream,
        (number, start): (usize, u32),
        previous: Option<(&[u8], u32)>,
        worker: &mut Worker,
        out: &mut [u8],
    ) -> Result<()> {
        let records = self.reader.records(number, view)?;
        let (View { frames: count, stride, .. }, view_bytes) = (&view.view, view.bytes());
        let frame_bytes = view_bytes / count;
        // The first frame of this sample is frame `ahead` of the previous one.
        let ahead = previous.and_then(|(_, last)| {
            let distance = start.checked_sub(last)? as usize;
            (distance.is_multiple_of(*stride) && distance / stride < *count).then_some(distance / stride)
        });
        let shared = ahead.map_or(0, |ahead| count - ahead);
        let frames = || view.frames(start, records.frame_count(), self.reader.short).skip(shared);
        for (crop, out) in out.chunks_exact_mut(view_bytes).enumerate() {
            let (common, new) = out.split_at_mut(shared * frame_bytes);
            if let Some((previous, _)) = previous.filter(|_| shared > 0) {
                let end = (crop + 1) * view_bytes;
                common.copy_from_slice(&previous[end - common.len()..end]);
            }
            let place = |size| Ok(test_placement(self.options.crop, size, crop));
            render(view, &records, frames().map(Some), place, worker, new)?;
        }
        Ok(())
    }
}

impl Samples for TestSamples {
    fn len(&self) -> usize {
        self.order.len() * self.options.samples * self.options.repeat
    }

    fn part_bytes(&self) -> Vec<usize> {
        self.reader.views.iter().map(|view| self.options.crop.views() * view.bytes()).collect()
    }

    fn run_end(&self, i: usize) -> usize {
        let samples = self.options.samples;
        if self.options.shares_frames { (i / samples + 1) * samples } else { i + 1 }
    }

    fn fill(&self, i: usize, worker: &mut Worker, previous: Option<&[&[u8]]>, out: &mut [&mut [u8]]) -> Result<()> {
        let (number, samples) = (self.clip_number(i), self.options.samples);
        let last = worker.last.take().filter(|&(clip, _)| clip == number).map(|(_, start)| start);
        // The next sample of the clip replaces a damaged one.
        let attempt = self.replaced.skip(samples, |attempt| {
            let start = self.start(number, (i + attempt) % samples);
            for (part, (view, out)) in self.reader.views.iter().zip(&mut *out).enumerate() {
                let previous = previous.zip(last).map(|(previous, last)| (previous[part], last));
                self.fill_view(view, (number, start), previous, worker, out)?;
            }
            Ok(())
        })?;
        worker.last = Some((number, self.start(number, (i + attempt) % samples)));
        Ok(())
    }

    fn stored_bytes(&self) -> u64 {
        // All crops of a test sample show parts of the same frames.
        self.reader.stored_bytes(1)
    }

    fn will_need(&self, i: usize) {
        let number = self.clip_number(i);
        self.reader.will_need(number, self.start(number, i % self.options.samples));
    }

    fn fingerprint(&self) -> u64 {
        let &TestOptions { sampling, samples, crop, repeat, .. } = &self.options;
        let choices = [sampling as u64, samples as u64, crop as u64, repeat as u64];
        self.reader.fingerprint(choices.into_iter().fold(2, |hash, value| mix64(hash ^ value)))
    }
}
