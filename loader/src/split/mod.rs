//! Lists the clips of a split. `held_out` moves groups of training clips to the val clips, and
//! `groups` finds the group of a clip.

mod groups;
mod held_out;

use crate::view::View;
use crate::{Error, Result};
use clipshard::{Dataset, Subset};
use std::sync::Arc;

/// One clip of a split.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SplitClip {
    /// Number of the clip in the dataset.
    pub clip: usize,
    /// Id of the clip in the dataset.
    pub id: String,
    /// Number of the class, if the clip has a label.
    pub label: Option<u32>,
    /// Number of frames in the stream of the view.
    pub frames: u32,
    /// Number of optical-flow frames. In a dataset without a stream `flow`, one less than the
    /// number of `rgb` frames.
    pub flow_frames: u32,
}

impl SplitClip {
    /// Describes clip number `clip` of a dataset, with its frames in `stream`. Returns `None` if
    /// there is no such clip.
    pub fn of(data: &Dataset, clip: usize, stream: &str) -> Option<Self> {
        let manifest = data.manifest();
        let entry = manifest.clips.get(clip)?;
        let frames = |stream: &str| entry.frames.get(stream).copied().unwrap_or(0);
        let has_flow = manifest.stream("flow").is_some();
        let flow_frames = if has_flow { frames("flow") } else { frames("rgb").saturating_sub(1) };
        Some(Self { clip, id: entry.id.clone(), label: entry.label, frames: frames(stream), flow_frames })
    }

    /// Lists the clips of one subset of a split, in the order of the dataset. The list also has the
    /// clips that are too short for a view: filter it by [`SplitClip::frames`].
    ///
    /// ```
    /// # use clip_loader::SplitClip;
    /// # use clipshard::{Dataset, Subset};
    /// # mod synthetic { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/synthetic/mod.rs")); }
    /// # let folder = synthetic::synthetic_dataset();
    /// # let data = Dataset::open(folder.path())?;
    /// let test = SplitClip::of_subset(&data, "1", &Subset::Test, "rgb")?;
    /// assert_eq!(test.len(), 2);
    /// assert_eq!(SplitClip::of_subset(&data, "1", &Subset::from("test-hard"), "rgb")?, []);
    /// # Ok::<(), clip_loader::Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns [`Error::NoSplit`], or [`Error::Shard`] if the dataset does not have the stream.
    pub fn of_subset(data: &Dataset, split: &str, subset: &Subset, stream: &str) -> Result<Vec<Self>> {
        let number = number_of(data, split)?;
        data.stream(stream)?;
        let clips = data.manifest().clips.iter().enumerate();
        let listed = clips.filter(|(_, clip)| clip.subsets.get(number) == Some(subset));
        Ok(listed.filter_map(|(clip, _)| Self::of(data, clip, stream)).collect())
    }
}

/// The clips of one split of a dataset. Cloning it does not copy the lists of clips.
///
/// Clips of subsets with other names are in none of the lists. [`SplitClip::of_subset`] lists them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Split {
    /// Clips to train on.
    pub train: Arc<[SplitClip]>,
    /// Clips that choose the best epoch: those of the subset `val`, and those that
    /// [`Split::hold_out`] or [`Split::hold_out_share`] moves here.
    pub val: Arc<[SplitClip]>,
    /// Clips to test on.
    pub test: Arc<[SplitClip]>,
    /// Clips of these three subsets that are in no list: they have too few frames, or
    /// [`Split::of_clips`] found them not usable.
    pub omitted: Arc<[SplitClip]>,
    /// Number of the split in the subsets of the clips.
    number: usize,
}

impl Split {
    /// Lists the clips of the split `name` that have enough frames for `view`.
    ///
    /// # Errors
    /// Returns [`Error::NoSplit`], or [`Error::Shard`] if the dataset does not have the stream of
    /// the view.
    pub fn of(data: &Dataset, name: &str, view: &View) -> Result<Self> {
        Self::of_clips(data, name, view, |_| true)
    }

    /// Lists the clips of the split `name` that have enough frames for `view` and for which
    /// `is_usable` returns true.
    ///
    /// # Errors
    /// Returns [`Error::NoSplit`], or [`Error::Shard`] if the dataset does not have the stream of
    /// the view.
    pub fn of_clips(data: &Dataset, name: &str, view: &View, is_usable: impl Fn(&SplitClip) -> bool) -> Result<Self> {
        let number = number_of(data, name)?;
        data.stream(&view.stream)?;
        let (mut train, mut val, mut test, mut omitted) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (i, entry) in data.manifest().clips.iter().enumerate() {
            let listed = match entry.subsets.get(number) {
                Some(Subset::Train) => &mut train,
                Some(Subset::Val) => &mut val,
                Some(Subset::Test) => &mut test,
                _ => continue,
            };
            let Some(clip) = SplitClip::of(data, i, &view.stream) else { continue };
            let is_long = clip.frames as usize >= view.span();
            (if is_long && is_usable(&clip) { listed } else { &mut omitted }).push(clip);
        }
        Ok(Self { train: train.into(), val: val.into(), test: test.into(), omitted: omitted.into(), number })
    }

    /// Returns the clips that choose the best epoch: the val clips, or the test clips if there are
    /// no val clips.
    pub fn validation(&self) -> &Arc<[SplitClip]> {
        if self.val.is_empty() { &self.test } else { &self.val }
    }
}

/// Returns the number of a split in the subsets of the clips.
fn number_of(data: &Dataset, split: &str) -> Result<usize> {
    let splits = &data.manifest().splits;
    splits.iter().position(|name| name == split).ok_or_else(|| Error::NoSplit {
        dir: data.dir().to_owned(),
        split: split.to_owned(),
        known: splits.clone(),
    })
}
