//! Lists the clips of a split.

use crate::view::View;
use crate::{Error, Result};
use clipshard::{Dataset, Subset};
use std::collections::BTreeSet;
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
}

/// The clips of one split of a dataset. Cloning it does not copy the lists of clips.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Split {
    /// Clips to train on.
    pub train: Arc<[SplitClip]>,
    /// Clips of the training subset that only choose the best epoch. Empty unless you call
    /// [`Split::hold_out`].
    pub held_out: Arc<[SplitClip]>,
    /// Clips to test on.
    pub test: Arc<[SplitClip]>,
    /// Ids of the omitted clips: they have too few frames, or [`Split::of_clips`] found them not
    /// usable.
    pub left_out: Vec<String>,
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
        let manifest = data.manifest();
        let Some(number) = manifest.splits.iter().position(|split| split == name) else {
            let (dir, known) = (data.dir().to_owned(), manifest.splits.clone());
            return Err(Error::NoSplit { dir, split: name.to_owned(), known });
        };
        data.stream(&view.stream)?;
        let (mut train, mut held_out, mut test, mut left_out) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (i, entry) in manifest.clips.iter().enumerate() {
            let listed = match &entry.subsets[number] {
                Subset::Train => &mut train,
                Subset::Val => &mut held_out,
                Subset::Test => &mut test,
                _ => continue,
            };
            let Some(clip) = SplitClip::of(data, i, &view.stream) else { continue };
            if (clip.frames as usize) < view.frames || !is_usable(&clip) {
                left_out.push(clip.id);
            } else {
                listed.push(clip);
            }
        }
        Ok(Self { train: train.into(), held_out: held_out.into(), test: test.into(), left_out })
    }

    /// Moves the clips of these groups from `train` to `held_out`.
    ///
    /// Clips of one group show the same people in the same place. A held-out clip is therefore only
    /// a fair test if no clip of its group is trained on. The group of a clip is the one in the
    /// manifest, or else the `gNN` in the clip names of UCF101.
    ///
    /// # Errors
    /// Returns [`Error::NoGroup`] or [`Error::NothingToTrain`]. The split then stays as it was.
    pub fn hold_out(&mut self, data: &Dataset, groups: &[String]) -> Result<()> {
        let own = &data.manifest().groups;
        let group = |clip: &SplitClip| own.get(&clip.id).cloned().or_else(|| group_in_name(&clip.id));
        let known: BTreeSet<String> = self.train.iter().filter_map(group).collect();
        if let Some(unknown) = groups.iter().find(|group| !known.contains(*group)) {
            return Err(Error::NoGroup { group: unknown.clone(), known: known.into_iter().collect() });
        }
        let is_held_out = |clip: &SplitClip| group(clip).is_some_and(|group| groups.contains(&group));
        let (held_out, train): (Vec<_>, Vec<_>) = self.train.iter().cloned().partition(is_held_out);
        if train.is_empty() {
            return Err(Error::NothingToTrain);
        }
        (self.held_out, self.train) = (held_out.into(), train.into());
        Ok(())
    }

    /// Returns the clips that choose the best epoch: the held-out clips, or the test clips if none
    /// is held out.
    pub fn validation(&self) -> &Arc<[SplitClip]> {
        if self.held_out.is_empty() { &self.test } else { &self.held_out }
    }
}

/// Returns the group in a clip name of UCF101, such as `g08` in `v_ApplyEyeMakeup_g08_c01`.
fn group_in_name(id: &str) -> Option<String> {
    let is_group = |part: &&str| {
        part.strip_prefix('g').is_some_and(|number| number.len() == 2 && number.bytes().all(|c| c.is_ascii_digit()))
    };
    id.rsplit('_').nth(1).filter(is_group).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_in_ucf101s_names_only() {
        assert_eq!(group_in_name("v_ApplyEyeMakeup_g08_c01").as_deref(), Some("g08"));
        for other in ["clip", "v_g08", "a_g8_c1", "a_gxx_c1", "g08_c01_x"] {
            assert_eq!(group_in_name(other), None, "{other}");
        }
    }
}
