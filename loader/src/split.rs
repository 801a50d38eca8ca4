//! The clips of one split.

use crate::view::View;
use crate::{Error, Result};
use clipshard::{Dataset, Subset};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One clip of a split.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SplitClip {
    /// Its number in the data set.
    pub clip: usize,
    /// Its id in the data set.
    pub id: String,
    /// Number of its class.
    pub label: u32,
    /// Its frames in the stream of the view.
    pub frames: u32,
    /// Its optical-flow frames. In a data set without a stream `flow`, one less than its frames in the stream `rgb`.
    pub flow_frames: u32,
}

impl SplitClip {
    /// Describes clip number `clip` of a data set, as seen through `stream`. Returns nothing where there is no such clip.
    pub fn of(data: &Dataset, clip: usize, stream: &str) -> Option<Self> {
        let manifest = data.manifest();
        let entry = manifest.clips.get(clip)?;
        let frames = |stream: &str| entry.frames.get(stream).copied().unwrap_or(0);
        let has_flow = manifest.stream("flow").is_some();
        let flow_frames = if has_flow { frames("flow") } else { frames("rgb").saturating_sub(1) };
        Some(Self { clip, id: entry.id.clone(), label: entry.label, frames: frames(stream), flow_frames })
    }
}

/// The clips of one split of a data set. Cloning copies no clip.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Split {
    /// Clips to train on.
    pub train: Arc<[SplitClip]>,
    /// Training clips that only choose the best epoch; empty unless [`Split::hold_out`] filled it.
    pub held_out: Arc<[SplitClip]>,
    /// Clips to test on.
    pub test: Arc<[SplitClip]>,
    /// Ids of the clips that cannot be used, because they are too short.
    pub left_out: Vec<String>,
}

impl Split {
    /// Lists the clips of the data set's split `name` that have enough frames for `view`.
    ///
    /// # Errors
    /// [`Error::NoSplit`], or [`Error::Shard`] where the data set has no such stream.
    pub fn of(data: &Dataset, name: &str, view: &View) -> Result<Self> {
        Self::of_clips(data, name, view, |_| true)
    }

    /// Lists the clips of the data set's split `name` that have enough frames for `view` and that `is_usable` takes.
    ///
    /// # Errors
    /// [`Error::NoSplit`], or [`Error::Shard`] where the data set has no such stream.
    pub fn of_clips(data: &Dataset, name: &str, view: &View, is_usable: impl Fn(&SplitClip) -> bool) -> Result<Self> {
        let manifest = data.manifest();
        let Some(number) = manifest.splits.iter().position(|split| split == name) else {
            let (dir, known) = (data.dir().to_owned(), manifest.splits.clone());
            return Err(Error::NoSplit { dir, split: name.to_owned(), known });
        };
        data.stream(&view.stream)?;
        let (mut train, mut test, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
        for (i, entry) in manifest.clips.iter().enumerate() {
            let subset = entry.subsets[number];
            let Some(clip) = SplitClip::of(data, i, &view.stream).filter(|_| subset != Subset::Unused) else {
                continue;
            };
            if (clip.frames as usize) < view.frames || !is_usable(&clip) {
                left_out.push(clip.id);
            } else if subset == Subset::Train {
                train.push(clip);
            } else {
                test.push(clip);
            }
        }
        Ok(Self { train: train.into(), held_out: Arc::default(), test: test.into(), left_out })
    }

    /// Moves the clips of these groups from `train` to `held_out`.
    ///
    /// Clips of a group show the same people in the same place, so a held-out clip measures nothing while others of its group
    /// are trained on. Groups are those of the data set, or the `gNN` in the names of UCF101.
    ///
    /// # Errors
    /// [`Error::NoGroup`] or [`Error::NothingToTrain`]; the split is then as before.
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

    /// Returns the clips that choose the best epoch: those held out, or else the test clips.
    pub fn validation(&self) -> &Arc<[SplitClip]> {
        if self.held_out.is_empty() { &self.test } else { &self.held_out }
    }
}

/// Finds `g08` in `v_ApplyEyeMakeup_g08_c01`.
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
