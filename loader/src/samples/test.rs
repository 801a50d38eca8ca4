//! Test samples. Samples of a clip that overlap share decoded frames.

use super::Samples;
use super::damage::{Damage, Replaced};
use super::render::{Reader, Worker};
use crate::sampling::Sampling;
use crate::split::SplitClip;
use crate::view::{TestCrop, View, test_placement};
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
    shares_frames: bool,
    damage: Damage,
}

impl TestOptions {
    /// Returns the defaults: 25 samples per clip from the middle of equal parts, whole frames, and
    /// damage is an error.
    pub fn new() -> Self {
        Self {
            sampling: Sampling::Segments,
            samples: 25,
            crop: TestCrop::Whole,
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
    /// Chooses the samples of `clips`, each with the shape of `view`.
    ///
    /// # Errors
    /// Returns an error if the dataset does not have the stream of the view, a clip has too few
    /// frames, or an option has a wrong value.
    pub fn new(
        data: &Arc<Dataset>,
        clips: impl Into<Arc<[SplitClip]>>,
        view: &View,
        options: TestOptions,
    ) -> Result<Self> {
        if !(1..=MAX_SAMPLES).contains(&options.samples) {
            return Err(Error::option("samples", options.samples, format!("between 1 and {MAX_SAMPLES}")));
        }
        let reader = Reader::new(data, clips.into(), view, options.sampling.fewest_flow_frames())?;
        let mut order: Vec<usize> = (0..reader.clips.len()).collect();
        order.sort_by_key(|&number| data.place(&view.stream, reader.clips[number].clip).ok());
        let replaced = Replaced::new(options.damage.clone());
        Ok(Self { reader, options, order, replaced })
    }

    /// Returns the shape of a sample: `[views, frames, planes, side, side, channels]`.
    pub fn shape(&self) -> [usize; 6] {
        self.reader.shape(self.options.crop.views())
    }

    /// Returns how many damaged samples were replaced so far.
    pub fn damaged(&self) -> u64 {
        self.replaced.samples()
    }

    /// Returns the clip that sample number `i` shows, as an index into the `clips` of
    /// [`TestSamples::new`].
    pub fn clip_number(&self, i: usize) -> usize {
        self.order[i / self.options.samples]
    }

    /// Returns the first frame of each sample of a clip, counted from 0. `number` is an index as in
    /// [`TestSamples::clip_number`].
    pub fn starts(&self, number: usize) -> impl Iterator<Item = u32> {
        (0..self.options.samples).map(move |sample| self.start(number, sample))
    }

    /// Returns the first frame of a sample, counted from 0.
    fn start(&self, number: usize, sample: usize) -> u32 {
        let (clip, TestOptions { sampling, samples, .. }) = (&self.reader.clips[number], &self.options);
        sampling.test_start(clip, self.reader.frames(), *samples, sample)
    }
}

impl Samples for TestSamples {
    fn len(&self) -> usize {
        self.order.len() * self.options.samples
    }

    fn sample_bytes(&self) -> usize {
        self.options.crop.views() * self.reader.view_bytes()
    }

    fn run_end(&self, i: usize) -> usize {
        let samples = self.options.samples;
        if self.options.shares_frames { (i / samples + 1) * samples } else { i + 1 }
    }

    fn fill(&self, i: usize, worker: &mut Worker, previous: Option<&[u8]>, out: &mut [u8]) -> Result<()> {
        let number = self.clip_number(i);
        let records = self.reader.records(number)?;
        let (frames, crop, samples) = (self.reader.view.frames, self.options.crop, self.options.samples);
        let view_bytes = self.reader.view_bytes();
        let frame_bytes = view_bytes / frames;
        let last = worker.last.take().filter(|&(clip, _)| clip == number);
        // The next sample of the clip replaces a damaged one.
        let attempt = self.replaced.skip(samples, |attempt| {
            let start = self.start(number, (i + attempt) % samples);
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
                self.reader.fill(&records, rest.clone(), |size| Ok(test_placement(crop, size, view)), worker, new)?;
            }
            Ok(())
        })?;
        worker.last = Some((number, self.start(number, (i + attempt) % samples)));
        Ok(())
    }

    fn stored_bytes(&self) -> u64 {
        // All views of a test sample show parts of the same frames.
        self.reader.stored_bytes(1)
    }

    fn will_need(&self, i: usize) {
        let number = self.clip_number(i);
        if let Ok(records) = self.reader.records(number) {
            self.reader.will_need(&records, self.start(number, i % self.options.samples));
        }
    }

    fn fingerprint(&self) -> u64 {
        let &TestOptions { sampling, samples, crop, .. } = &self.options;
        let choices = [sampling as u64, samples as u64, crop as u64];
        self.reader.fingerprint(choices.into_iter().fold(2, |hash, value| mix64(hash ^ value)))
    }
}
