//! What a network sees of a data set: the clips of a split, and their samples as `clip_loader` makes them.

mod limit;

pub use limit::limit;

use crate::base::console::note;
use crate::base::usage::Usage;
use crate::stream::{STACK_FRAMES, Stream};
use crate::view::View;
use anyhow::{Result, bail};
use clip_loader::{Crop, Damage, Split, SplitClip, TestOptions, TestSamples, TrainOptions, TrainSamples};
use clipshard::Dataset;
use std::sync::Arc;

/// A clip with fewer flow frames than a stack has no sample.
pub const MIN_FLOW_FRAMES: u32 = STACK_FRAMES as u32;

/// Batches of a pass in memory: one that is computed with, one that is ready, one that is being written.
pub const SLOTS: usize = 3;

/// Returns the frames that an input of a stream shows, as squares of `side` pixels.
pub fn shape(stream: Stream, side: usize) -> clip_loader::View {
    clip_loader::View::stack(stream.records(), stream.frames()).side(side)
}

/// Returns whether a clip has frames enough for a network of a stream.
pub fn is_usable(clip: &SplitClip, stream: Stream) -> bool {
    clip.flow_frames >= MIN_FLOW_FRAMES && clip.frames as usize >= stream.frames()
}

/// Lists the clips of a split that a network of a stream can see.
///
/// # Errors
/// There is no such split or stream, or no clip to train on or to test on.
pub fn split(data: &Dataset, name: &str, stream: Stream) -> Result<Split> {
    let split = Split::of_clips(data, name, &shape(stream, 1), |clip| is_usable(clip, stream));
    let split = split.map_err(|error| match error {
        clip_loader::Error::NoSplit { .. } => Usage(error.to_string()).into(),
        other => anyhow::Error::from(other),
    })?;
    if split.train.is_empty() || split.test.is_empty() {
        let (train, test) = (split.train.len(), split.test.len());
        bail!(
            "{}: split {name} has {train} clips to learn from and {test} to test on; both are needed",
            data.dir().display()
        );
    }
    Ok(split)
}

/// Moves the clips of some groups out of the training clips.
///
/// # Errors
/// There is no such group, or no clip is left to train on.
pub fn hold_out(split: &mut Split, data: &Dataset, groups: &[String]) -> Result<()> {
    Ok(split.hold_out(data, groups).map_err(|error| match &error {
        clip_loader::Error::NoGroup { group, known } => {
            let have =
                if known.is_empty() { "none has a group".into() } else { format!("there is {}", known.join(", ")) };
            Usage(format!("--val-groups {group}: no training clip is of this group; {have}"))
        }
        _ => Usage("--val-groups leaves no clip to learn from".into()),
    })?)
}

/// Returns what happens to damaged samples: they are replaced if the option `--skip-damaged` is given.
pub fn damage(skip_damaged: bool) -> Damage {
    if !skip_damaged {
        return Damage::fail();
    }
    Damage::replace().on_first(|error| {
        note(&format!("a damaged sample is replaced by another, as all others will be: {error}"));
    })
}

/// The random choices of a training pass.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    /// Seed of the run.
    pub seed: u64,
    /// Epoch, from 0.
    pub epoch: u64,
    /// Strength of the colour jitter of RGB views; 0 for none.
    pub color_jitter: f64,
    /// What happens to damaged samples.
    pub damage: Damage,
}

/// Returns the training samples of an epoch.
///
/// # Errors
/// A clip is too short, or its frames are too small.
pub fn training_samples(
    data: &Arc<Dataset>,
    clips: &Arc<[SplitClip]>,
    (stream, view, side): (Stream, View, usize),
    choices: Choices,
) -> clip_loader::Result<Arc<TrainSamples>> {
    let Choices { seed, epoch, color_jitter, damage } = choices;
    let options = TrainOptions::new()
        .sampling(view.sampling)
        .segments(view.segments)
        .crop(view.crop)
        .flip(view.flip)
        .jitter(if stream == Stream::Spatial { color_jitter } else { 0.0 })
        .seed(seed)
        .epoch(epoch)
        .damage(damage);
    Ok(Arc::new(TrainSamples::new(data, Arc::clone(clips), &shape(stream, side), options)?))
}

/// Returns how a network sees the samples of test clips.
pub fn test_options(view: View) -> TestOptions {
    TestOptions::new().sampling(view.sampling).samples(view.test_samples).crop(view.test_crop)
}

/// Returns the test samples of clips.
///
/// # Errors
/// A clip is too short.
pub fn test_samples(
    data: &Arc<Dataset>,
    clips: &Arc<[SplitClip]>,
    (stream, side): (Stream, usize),
    options: TestOptions,
) -> clip_loader::Result<Arc<TestSamples>> {
    Ok(Arc::new(TestSamples::new(data, Arc::clone(clips), &shape(stream, side), options)?))
}

/// Reports before the first step what the first bad sample would report in the middle of an epoch. `crop` is that of training.
///
/// # Errors
/// The records are not those of the stream, or too small for a random crop.
pub fn check_geometry(data: &Dataset, clips: &[SplitClip], stream: Stream, crop: Crop, side: usize) -> Result<()> {
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
    if let (Crop::Random, Some(clip)) = (crop, clips.first()) {
        let size = data.clip(stream.records(), clip.clip)?.size(0, 0)?;
        if usize::from(size.width.min(size.height)) < side {
            let error = clip_loader::Error::TooSmall { clip: clip.id.clone(), size, side };
            bail!(Usage(format!("{error}; give a smaller --input-size")));
        }
    }
    Ok(())
}
