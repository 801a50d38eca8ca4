//! The training samples of an epoch.

use super::Samples;
use super::damage::{Damage, Replaced};
use super::reader::{Reader, ViewOfStream};
use super::render::{Worker, image_size, render};
use super::short::Short;
use crate::pixels::{Jitter, TrivialAugment};
use crate::sampling::Sampling;
use crate::split::SplitClip;
use crate::view::{Crop, MAX_SEGMENTS, Placement, View, check_fits, dropped, train_window};
use crate::{Error, Result};
use clipshard::order::{Draws, mix64, permutation};
use clipshard::{Dataset, ImageSize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The options of [`TrainSamples`].
///
/// ```
/// use clip_loader::{Sampling, TrainOptions};
///
/// let options = TrainOptions::new().sampling(Sampling::Segments).segments(3);
/// let third_epoch = options.seed(7).epoch(2);
/// ```
#[derive(Clone, Debug)]
pub struct TrainOptions {
    sampling: Sampling,
    segments: usize,
    short: Short,
    seed: u64,
    epoch: u64,
    repeat: usize,
    shuffle: bool,
    aligned: bool,
    damage: Damage,
}

impl TrainOptions {
    /// Returns the defaults: one segment, short clips are an error, seed 0, epoch 0, one epoch,
    /// shuffled, and damage is an error.
    pub fn new() -> Self {
        Self {
            sampling: Sampling::Segments,
            segments: 1,
            short: Short::Error,
            seed: 0,
            epoch: 0,
            repeat: 1,
            shuffle: true,
            aligned: false,
            damage: Damage::fail(),
        }
    }

    /// Sets the rule that chooses frames.
    #[must_use]
    pub fn sampling(self, sampling: Sampling) -> Self {
        Self { sampling, ..self }
    }

    /// Sets the number of segments per sample, from 1 to [`Sampling::most_segments`]. Each segment
    /// shows every view once.
    #[must_use]
    pub fn segments(self, segments: usize) -> Self {
        Self { segments, ..self }
    }

    /// Sets what a sample shows of clips that are shorter than it.
    #[must_use]
    pub fn short(self, short: Short) -> Self {
        Self { short, ..self }
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

    /// Sets the number of epochs in a pass, one after the other. The default is 1.
    #[must_use]
    pub fn repeat(self, epochs: usize) -> Self {
        Self { repeat: epochs, ..self }
    }

    /// Sets whether the order is random. Otherwise sample `i` of an epoch shows clip `i`.
    #[must_use]
    pub fn shuffle(self, shuffle: bool) -> Self {
        Self { shuffle, ..self }
    }

    /// Sets whether all segments of a sample show the same part of their frames, mirrored and with
    /// colours changed in the same way. The default is false: each segment has choices of its own.
    #[must_use]
    pub fn aligned(self, aligned: bool) -> Self {
        Self { aligned, ..self }
    }

    /// Sets the reaction to damaged samples.
    #[must_use]
    pub fn damage(self, damage: Damage) -> Self {
        Self { damage, ..self }
    }

    fn check(&self, reader: &Reader) -> Result<()> {
        let most = self.sampling.most_segments(reader.views[0].view.frames);
        if !(1..=most).contains(&self.segments) {
            return Err(Error::option("segments", self.segments, format!("between 1 and {most}")));
        }
        if self.repeat == 0 || reader.clips.len().checked_mul(self.repeat).is_none_or(|all| all > MAX_SAMPLES) {
            return Err(Error::option("repeat", self.repeat, format!("between 1 and {MAX_SAMPLES} samples")));
        }
        for view in &reader.views {
            let jitter = view.view.jitter;
            if !(0.0..=1000.0).contains(&jitter) {
                return Err(Error::option("jitter", jitter, "between 0 and 1000"));
            }
            if jitter > 0.0 && !view.is_rgb() {
                return Err(Error::option("jitter", jitter, "allowed for a stream that is not RGB"));
            }
            if view.view.trivial_augment && !view.is_rgb() {
                return Err(Error::option("trivial_augment", true, "allowed for a stream that is not RGB"));
            }
            let dropout = view.view.frame_dropout;
            if !(0.0..=1.0).contains(&dropout) {
                return Err(Error::option("frame_dropout", dropout, "between 0 and 1"));
            }
            if dropout > 0.0 && !view.is_flow() {
                return Err(Error::option("frame_dropout", dropout, "allowed for a stream that is not optical flow"));
            }
            if dropout > 0.0 && view.view.frames == 1 {
                return Err(Error::option("frame_dropout", dropout, "allowed for a view of one frame"));
            }
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
///
/// A sample has one part per view. The views of a segment start with the same frame, apart from
/// their offsets. Views with the same crop show the same relative part of their frames, and views
/// with a flip are mirrored together.
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
/// Numbers of the first draws of TrivialAugment and of frame dropout, for segment 0. All other draws of
/// a sample have smaller numbers, so these options do not change other choices.
const AUGMENT_DRAWS: u64 = 1 << 32;
const DROPOUT_DRAWS: u64 = 1 << 33;
/// Distance from the first draw of frame dropout of a segment to that of the next segment. A view takes
/// fewer draws.
const DROPOUT_DRAWS_PER_SEGMENT: u64 = 1 << 17;
/// Largest number of samples of a pass.
const MAX_SAMPLES: usize = 1 << 31;

impl TrainSamples {
    /// Draws the samples of one epoch over `clips`, with one view.
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
        Self::of_views(data, clips, std::slice::from_ref(view), options)
    }

    /// Draws the samples of one epoch over `clips`, with 1 to 16 views of different streams, or of
    /// the same one. The `clips` are those of the stream of the first view.
    ///
    /// # Errors
    /// Returns the errors of [`TrainSamples::new`].
    pub fn of_views(
        data: &Arc<Dataset>,
        clips: impl Into<Arc<[SplitClip]>>,
        views: &[View],
        options: TrainOptions,
    ) -> Result<Self> {
        let reader = Reader::new(data, clips.into(), views, options.sampling, options.short)?;
        options.check(&reader)?;
        for view in reader.views.iter().filter(|view| view.view.crop == Crop::Random && !reader.clips.is_empty()) {
            let records = reader.records(0, view)?;
            let size = image_size(&records, 0, 0)?;
            check_fits(size, view.view.side).ok_or_else(|| too_small(records.id(), size, view.view.side))?;
        }
        let clips = reader.clips.len();
        let epoch = |number: usize| {
            let in_order = || (0..clips as u32).collect();
            let shuffled = || permutation(options.seed, options.epoch.wrapping_add(number as u64), clips);
            if options.shuffle { shuffled() } else { in_order() }
        };
        let order: Vec<u32> = (0..options.repeat).flat_map(epoch).collect();
        let replacements = order.iter().map(|_| AtomicU32::new(NOT_REPLACED)).collect();
        let replaced = Replaced::new(options.damage.clone());
        Ok(Self { reader, options, order, replaced, replacements })
    }

    /// Returns the shape of the first part of a sample:
    /// `[segments, frames, planes, side, side, channels]`.
    pub fn shape(&self) -> [usize; 6] {
        self.reader.views[0].shape(self.options.segments)
    }

    /// Returns the shapes of all parts, one per view.
    pub fn shapes(&self) -> Vec<[usize; 6]> {
        self.reader.views.iter().map(|view| view.shape(self.options.segments)).collect()
    }

    /// Returns the number of clips. A pass shows each of them [`repeat`](TrainOptions::repeat) times.
    pub fn clips(&self) -> usize {
        self.reader.clips.len()
    }

    /// Returns the clip that sample number `i` shows, as an index into the `clips` of
    /// [`TrainSamples::new`]. It is final once the sample has been written.
    pub fn clip_number(&self, i: usize) -> usize {
        match self.replacements[i].load(Ordering::Relaxed) {
            NOT_REPLACED => self.order[i] as usize,
            number => number as usize,
        }
    }

    /// Returns the clip that sample number `i` shows. It is final once the sample has been written.
    pub fn clip(&self, i: usize) -> &SplitClip {
        &self.reader.clips[self.clip_number(i)]
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

    /// Writes the sample of clip `number` in `epoch`, whatever the order and the epoch of this pass
    /// are. `number` is an index into the clips of the pass. Returns the clip that the sample shows.
    ///
    /// # Errors
    /// Returns an error if a record is damaged, and [`Error::Option`] if there is no such clip.
    pub fn fill_clip(
        &self,
        number: usize,
        epoch: u64,
        worker: &mut Worker,
        out: &mut [&mut [u8]],
    ) -> Result<&SplitClip> {
        let clips = self.reader.clips.len();
        if number >= clips {
            return Err(Error::option("clip", number, format!("below the number of clips, {clips}")));
        }
        let clip_of = |attempt: usize| ((number + attempt / CHOICES) % clips) as u32;
        let attempt = self.replaced.skip(CHOICES * (1 + OTHER_CLIPS), |attempt| {
            self.fill_from(clip_of(attempt), epoch, attempt % CHOICES, worker, out)
        })?;
        Ok(&self.reader.clips[clip_of(attempt) as usize])
    }

    /// Returns the epoch of sample number `i` of the pass.
    fn epoch(&self, i: usize) -> u64 {
        self.options.epoch.wrapping_add((i / self.reader.clips.len().max(1)) as u64)
    }

    /// Draws the first frames of the segments of a clip. Also returns the draws that follow.
    fn starts(&self, number: u32, epoch: u64, choice: usize) -> ([u32; MAX_SEGMENTS], Draws) {
        let TrainOptions { seed, segments, .. } = self.options;
        // Further choices for damaged samples use numbers that no clip has.
        let mut draws = Draws::new(seed, epoch, u64::from(number) | (choice as u64) << 32);
        let clip = &self.reader.clips[number as usize];
        let of_clip = (self.reader.frames(), self.reader.starts(number as usize));
        let starts = self.options.sampling.train_starts(clip, of_clip, segments, &mut draws);
        (starts, draws)
    }

    fn fill_from(
        &self,
        number: u32,
        epoch: u64,
        choice: usize,
        worker: &mut Worker,
        out: &mut [&mut [u8]],
    ) -> Result<()> {
        let (starts, mut draws) = self.starts(number, epoch, choice);
        let first_draws = draws.clone();
        for (segment, start) in starts.into_iter().take(self.options.segments).enumerate() {
            if self.options.aligned {
                draws = first_draws.clone();
            }
            self.fill_segment((number, start, segment), &mut draws, worker, out)?;
        }
        Ok(())
    }

    /// Writes all views of one segment, which starts with frame `start` of clip `number`.
    ///
    /// Draws in this order: the window, the mirror, the colours. All views start with the same
    /// draws, so they are in step. The draws continue after those of the view that takes most.
    /// TrivialAugment and frame dropout have draws of their own.
    fn fill_segment(
        &self,
        (number, start, segment): (u32, u32, usize),
        draws: &mut Draws,
        worker: &mut Worker,
        out: &mut [&mut [u8]],
    ) -> Result<()> {
        let reader = &self.reader;
        let all_flow = reader.views.iter().all(ViewOfStream::is_flow);
        let windows = draws.clone();
        draws.skip_to(windows.taken() + reader.views.iter().map(|view| view.view.crop.draws()).max().unwrap_or(0));
        let mirrored = reader.views.iter().any(|view| view.view.flip) && draws.coin();
        let colours = draws.clone();
        let own_draws = |first: u64| {
            let mut own = colours.clone();
            own.skip_to(first);
            own
        };
        let augmented_as = if self.options.aligned { 0 } else { segment };
        let augment_draws = own_draws(AUGMENT_DRAWS + augmented_as as u64 * TrivialAugment::DRAWS);
        let dropout_draws = own_draws(DROPOUT_DRAWS + segment as u64 * DROPOUT_DRAWS_PER_SEGMENT);
        for (view, out) in reader.views.iter().zip(out) {
            let &View { side, crop, flip, jitter, trivial_augment, frame_dropout, .. } = &view.view;
            let records = reader.records(number as usize, view)?;
            let dropped = dropped(frame_dropout, view.view.frames, dropout_draws.clone());
            let frames = view.frames(start, records.frame_count(), reader.short);
            let frames = frames.zip(dropped).map(|(frame, dropped)| (!dropped).then_some(frame));
            // All images of a view use the same draws, even if their sizes differ.
            let placement = |size: ImageSize| {
                let window = train_window(crop, all_flow, size, side, &mut windows.clone());
                let window = window.ok_or_else(|| too_small(records.id(), size, side))?;
                Ok(Placement { window, mirrored: flip && mirrored })
            };
            let out = &mut out[segment * view.bytes()..(segment + 1) * view.bytes()];
            render(view, &records, frames, placement, worker, out)?;
            if jitter > 0.0 {
                let mut colours = colours.clone();
                Jitter::draw(jitter, &mut colours).apply(out);
                draws.skip_to(colours.taken());
            }
            if trivial_augment {
                let change = TrivialAugment::draw(&mut augment_draws.clone());
                let image_bytes = 3 * side * side;
                out.chunks_exact_mut(image_bytes).for_each(|image| change.apply(image, side, &mut worker.frame));
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

    fn part_bytes(&self) -> Vec<usize> {
        self.reader.views.iter().map(|view| self.options.segments * view.bytes()).collect()
    }

    fn fill(&self, i: usize, worker: &mut Worker, _: Option<&[&[u8]]>, out: &mut [&mut [u8]]) -> Result<()> {
        let clip_of = |attempt: usize| self.order[(i + attempt / CHOICES) % self.order.len()];
        let attempt = self.replaced.skip(CHOICES * (1 + OTHER_CLIPS), |attempt| {
            self.fill_from(clip_of(attempt), self.epoch(i), attempt % CHOICES, worker, out)
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
        for &start in &self.starts(number, self.epoch(i), 0).0[..self.options.segments] {
            self.reader.will_need(number as usize, start);
        }
    }

    fn fingerprint(&self) -> u64 {
        let &TrainOptions { sampling, segments, seed, epoch, repeat, shuffle, aligned, .. } = &self.options;
        let choices = [sampling as u64, segments as u64, seed, epoch, repeat as u64, shuffle.into()];
        // A later option changes the number only if it is used, so that older states stay valid.
        let choices = choices.into_iter().chain(aligned.then_some(1));
        self.reader.fingerprint(choices.fold(1, |hash, value| mix64(hash ^ value)))
    }
}
