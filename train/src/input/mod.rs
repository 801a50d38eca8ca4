//! The input of a network: the clips of a split, and their samples from `clip_loader`.

mod limit;

pub use limit::limit;

use crate::base::console::note;
use crate::base::usage::Usage;
use crate::stream::{STACK_FRAMES, Stream};
use crate::view::View;
use anyhow::{Result, bail};
use clip_loader::{Crop, Damage, Split, SplitClip, TestOptions, TestSamples, TrainOptions, TrainSamples};
use clipshard::{Dataset, Subset};
use std::sync::Arc;

/// Fewest flow frames of a usable clip: those of one stack.
pub const MIN_FLOW_FRAMES: u32 = STACK_FRAMES as u32;

/// Number of batches in memory: one in use, one ready, one being filled.
pub const SLOTS: usize = 3;

/// Returns the shape of one view of a stream: its frames, as squares of `side` pixels.
pub fn shape(stream: Stream, side: usize) -> clip_loader::View {
    clip_loader::View::stack(stream.records(), stream.frames()).side(side)
}

/// Returns whether a clip has a label and enough frames for a network of the stream.
pub fn is_usable(clip: &SplitClip, stream: Stream) -> bool {
    clip.label.is_some() && clip.flow_frames >= MIN_FLOW_FRAMES && clip.frames as usize >= stream.frames()
}

/// Lists the clips of a split that are long enough for a network of the stream.
///
/// # Errors
/// The dataset does not have the split or the stream, or the split has no training clip or no test
/// clip.
pub fn split(data: &Dataset, name: &str, stream: Stream) -> Result<Split> {
    let split = Split::of_clips(data, name, &shape(stream, 1), |clip| is_usable(clip, stream));
    let split = split.map_err(|error| match error {
        clip_loader::Error::NoSplit { .. } => Usage(error.to_string()).into(),
        other => anyhow::Error::from(other),
    })?;
    if split.train.is_empty() || split.test.is_empty() {
        let (train, test) = (split.train.len(), split.test.len());
        let cure = if data.manifest().splits.len() > 1 {
            "use a split that has both"
        } else {
            "pack the dataset again with both, from a CSV file or from folders train and test"
        };
        bail!("{}: split {name} has {train} training clips and {test} test clips; {cure}", data.dir().display());
    }
    Ok(split)
}

/// Returns the label of a clip. [`split`] lists only clips with a label. The result for another
/// clip is no class of any network, so its use is an error.
pub fn label(clip: &SplitClip) -> u32 {
    clip.label.unwrap_or(u32::MAX)
}

/// Counts the clips that are training clips of the split `trained`. Returns 0 if the dataset does
/// not have that split.
pub fn trained_clips(data: &Dataset, clips: &[SplitClip], trained: &str) -> usize {
    let manifest = data.manifest();
    let Some(number) = manifest.splits.iter().position(|split| split == trained) else { return 0 };
    clips.iter().filter(|clip| manifest.clips[clip.clip].subsets[number] == Subset::Train).count()
}

/// Moves the clips of the groups from the training clips to the held-out clips.
///
/// # Errors
/// A group has no training clip, or no training clip remains.
pub fn hold_out(split: &mut Split, data: &Dataset, groups: &[String]) -> Result<()> {
    Ok(split.hold_out(data, groups).map_err(|error| match &error {
        clip_loader::Error::NoGroup { group, known } => {
            let cure = if known.is_empty() {
                "the clips have no groups, so remove --val-groups".into()
            } else {
                format!("use some of {}", known.join(", "))
            };
            Usage(format!("--val-groups {group}: no training clip belongs to this group; {cure}"))
        }
        _ => Usage("--val-groups names all groups, so no training clip remains; name fewer groups".into()),
    })?)
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
#[derive(Clone, Debug, Default)]
pub struct Choices {
    /// Seed of the run.
    pub seed: u64,
    /// Epoch, from 0.
    pub epoch: u64,
    /// Strength of colour changes of RGB views; 0 for none.
    pub color_jitter: f64,
    /// Treatment of damaged samples.
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

/// Returns the options of test samples for a view.
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

/// Checks the size of frames before the first step, so that training does not fail in the middle of
/// an epoch. `crop` is the crop of training.
///
/// # Errors
/// The records have a wrong number of channels, or are too small for a random crop.
pub fn check_geometry(data: &Dataset, clips: &[SplitClip], stream: Stream, crop: Crop, side: usize) -> Result<()> {
    let spec = data.stream(stream.records())?;
    let channels = spec.planes as usize * spec.channels as usize;
    let expected = if stream == Stream::Spatial { 3 } else { 2 };
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
