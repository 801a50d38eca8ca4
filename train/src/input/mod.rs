//! The input of a network: the clips of a split, and their samples from `clip_loader`.

mod held_out;
mod limit;
mod unusable;

pub use held_out::{hold_out, val_lines};
pub use limit::limit;
pub use unusable::{MIN_FLOW_FRAMES, Unusable, note_omitted};

use crate::base::console::note;
use crate::base::usage::Usage;
use crate::stream::Stream;
use crate::view::View;
use anyhow::{Context, Result, bail};
use clip_loader::{Crop, Damage, Short, Split, SplitClip, TestOptions, TestSamples, TrainOptions, TrainSamples};
use clipshard::{Dataset, Subset};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Number of batches in memory: one in use, one ready, one being filled.
pub const SLOTS: usize = 3;

/// Returns a view of a stream that reads `frames` records, as squares of `side` pixels.
fn shape(stream: Stream, frames: usize, side: usize) -> clip_loader::View {
    clip_loader::View::stack(stream.records(), frames).side(side)
}

/// Returns how samples use clips that are shorter than a view. Without `--stack`, there are none.
fn short(view: View) -> Short {
    if view.stack.is_some() { Short::Hold } else { Short::Error }
}

/// Returns whether a clip has enough frames for a network of the stream.
pub fn is_long_enough(clip: &SplitClip, stream: Stream) -> bool {
    Unusable::by_frames(clip, stream).is_none()
}

/// Lists the clips of a split that have a label and are long enough for a network of the stream.
///
/// # Errors
/// The dataset does not have the split or the stream, or the split has no training clip, or neither
/// a val nor a test clip.
pub fn split(data: &Dataset, name: &str, stream: Stream) -> Result<Split> {
    let is_usable = |clip: &SplitClip| clip.label.is_some() && is_long_enough(clip, stream);
    let view = shape(stream, stream.frames(stream.stack()), 1);
    let split = Split::of_clips(data, name, &view, is_usable).map_err(as_usage)?;
    if split.train.is_empty() || split.validation().is_empty() {
        let [absent, short, unlabelled] = [Unusable::NoFrames, Unusable::Short, Unusable::NoLabel]
            .map(|reason| unusable::count(&split.omitted, stream, reason));
        let kind = stream.kind();
        let lost = if absent == 0 { String::new() } else { format!("{absent} have no {kind} frames, ") };
        let omitted = if split.omitted.is_empty() {
            String::new()
        } else {
            format!(" ({lost}{unlabelled} have no label, {short} are too short)")
        };
        let cure = if absent > 0 {
            "restore lost shards, or pack the dataset again with both streams"
        } else if unlabelled > 0 {
            "pack the dataset again with labels for these clips"
        } else if data.manifest().splits.len() > 1 {
            "use a split that has training clips, and val or test clips"
        } else {
            "pack the dataset again with both, from a CSV file or from folders train and test"
        };
        bail!(
            "{}: split {name} has {} usable training clips, {} val clips and {} test clips{omitted}; {cure}",
            data.dir().display(),
            split.train.len(),
            split.val.len(),
            split.test.len()
        );
    }
    Ok(split)
}

/// Makes the name of a split that does not exist an error of the command line.
fn as_usage(error: clip_loader::Error) -> anyhow::Error {
    match error {
        clip_loader::Error::NoSplit { .. } => Usage(error.to_string()).into(),
        other => other.into(),
    }
}

/// Lists the clips of one subset of a split that are long enough for a network of the stream, and
/// the others.
///
/// # Errors
/// The dataset does not have the split or the stream, or the subset has no clip that is long
/// enough.
pub fn subset(data: &Dataset, split: &str, subset: &Subset, stream: Stream) -> Result<[Vec<SplitClip>; 2]> {
    let clips = SplitClip::of_subset(data, split, subset, stream.records()).map_err(as_usage)?;
    let (long, short): (Vec<_>, Vec<_>) = clips.into_iter().partition(|clip| is_long_enough(clip, stream));
    if !long.is_empty() {
        return Ok([long, short]);
    }
    let dir = data.dir().display();
    if !short.is_empty() {
        let (all, kind) = (short.len(), stream.kind());
        let lack = match short.iter().filter(|clip| clip.frames == 0).count() {
            0 => format!("fewer than {MIN_FLOW_FRAMES} flow frames"),
            absent if absent == all => format!("no {kind} frames"),
            _ => format!("no {kind} frames or fewer than {MIN_FLOW_FRAMES} flow frames"),
        };
        bail!("{dir}: all {all} {subset} clips of split {split} have {lack}; name another --subset");
    }
    let mut counts = BTreeMap::new();
    let number = data.manifest().splits.iter().position(|name| name == split).unwrap_or_default();
    for name in data.manifest().clips.iter().filter_map(|clip| clip.subsets.get(number)) {
        *counts.entry(name).or_insert(0_usize) += 1;
    }
    let counts: Vec<String> = counts.into_iter().map(|(name, clips)| format!("{clips} {name}")).collect();
    let has = if counts.is_empty() { "no clips".to_owned() } else { counts.join(", ") + " clips" };
    bail!(Usage(format!("{dir}: split {split} has no {subset} clips; it has {has}, so name another --subset")))
}

/// Returns the label of a clip to train on.
///
/// # Errors
/// The clip has no label. [`split`] omits such clips.
pub fn label(clip: &SplitClip) -> Result<u32> {
    clip.label.with_context(|| format!("clip {} has no label, so a network cannot learn from it", clip.id))
}

/// Counts the clips that are training clips of the split `trained`. Returns 0 if the dataset does
/// not have that split.
pub fn trained_clips(data: &Dataset, clips: &[SplitClip], trained: &str) -> usize {
    let manifest = data.manifest();
    let Some(number) = manifest.splits.iter().position(|split| split == trained) else { return 0 };
    clips.iter().filter(|clip| manifest.clips[clip.clip].subsets[number] == Subset::Train).count()
}

/// Returns the treatment of damaged samples: an error, or replacement if `skip_damaged` is set. The
/// first replacement prints a note.
pub fn damage(skip_damaged: bool) -> Damage {
    if !skip_damaged {
        return Damage::fail();
    }
    Damage::replace().on_first(|error| {
        note(&format!("warning: replaced a damaged sample, and will replace others without a message: {error}"));
    })
}

/// The random choices of a training pass.
#[derive(Clone, Debug)]
pub struct Choices {
    /// Seed of the run.
    pub seed: u64,
    /// Epoch, from 0.
    pub epoch: u64,
    /// Number of epochs in the pass, one after the other.
    pub repeat: usize,
    /// Strength of colour changes of RGB views; 0 for none.
    pub color_jitter: f64,
    /// Whether one random operation changes each RGB view.
    pub trivial_augment: bool,
    /// Probability that a frame of a flow stack becomes one without motion.
    pub frame_dropout: f64,
    /// Treatment of damaged samples.
    pub damage: Damage,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            seed: 0,
            epoch: 0,
            repeat: 1,
            color_jitter: 0.0,
            trivial_augment: false,
            frame_dropout: 0.0,
            damage: Damage::fail(),
        }
    }
}

/// Returns the training samples of a pass.
///
/// # Errors
/// A clip is too short, or its frames are too small.
pub fn training_samples(
    data: &Arc<Dataset>,
    clips: &Arc<[SplitClip]>,
    (stream, view, side): (Stream, View, usize),
    choices: Choices,
) -> clip_loader::Result<Arc<TrainSamples>> {
    let Choices { seed, epoch, repeat, color_jitter, trivial_augment, frame_dropout, damage } = choices;
    let options = TrainOptions::new()
        .sampling(view.sampling)
        .segments(view.segments)
        .seed(seed)
        .epoch(epoch)
        .repeat(repeat)
        .aligned(view.temporal_shift)
        .short(short(view))
        .damage(damage);
    let view = shape(stream, view.frames(stream), side).crop(view.crop).flip(view.flip);
    let view = match stream {
        Stream::Spatial => view.jitter(color_jitter).trivial_augment(trivial_augment),
        Stream::Temporal => view.frame_dropout(frame_dropout),
        Stream::Difference => view,
    };
    Ok(Arc::new(TrainSamples::new(data, Arc::clone(clips), &view, options)?))
}

/// Returns the options of test samples for a view.
pub fn test_options(view: View) -> TestOptions {
    TestOptions::new().sampling(view.sampling).samples(view.test_samples).crop(view.test_crop).short(short(view))
}

/// Returns the test samples of clips.
///
/// # Errors
/// A clip is too short.
pub fn test_samples(
    data: &Arc<Dataset>,
    clips: &Arc<[SplitClip]>,
    (stream, view, side): (Stream, View, usize),
    options: TestOptions,
) -> clip_loader::Result<Arc<TestSamples>> {
    Ok(Arc::new(TestSamples::new(data, Arc::clone(clips), &shape(stream, view.frames(stream), side), options)?))
}

/// Checks the size of frames before the first step, so that training does not fail in the middle of
/// an epoch. `crop` is the crop of training.
///
/// # Errors
/// The records are not images of u8 samples, have a wrong number of channels, or are too small for a
/// random crop.
pub fn check_geometry(data: &Dataset, clips: &[SplitClip], stream: Stream, crop: Crop, side: usize) -> Result<()> {
    let spec = data.stream(stream.records())?;
    if !spec.is_u8_images() {
        bail!(
            "{}: the records of stream {} are {}, but the network needs u8 images; pack the stream again as u8 images",
            data.dir().display(),
            spec.name,
            spec.form()
        );
    }
    let channels = spec.planes as usize * spec.channels as usize;
    let expected = if stream == Stream::Temporal { 2 } else { 3 };
    if channels != expected {
        bail!(
            "{}: stream {} has {channels} channels per frame, but the network needs {expected}; pack the dataset again",
            data.dir().display(),
            spec.name
        );
    }
    if let (Crop::Random, Some(clip)) = (crop, clips.first()) {
        let size = data.clip(stream.records(), clip.clip)?.size(0, 0)?;
        if usize::from(size.width.min(size.height)) < side {
            let error = clip_loader::Error::TooSmall { clip: clip.id.clone(), size, side };
            bail!(Usage(format!("{error}; use a smaller --input-size")));
        }
    }
    Ok(())
}
