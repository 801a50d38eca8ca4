//! The clips of one split as the networks see them.

use crate::base::usage::Usage;
use crate::sampler::MIN_FLOW_FRAMES;
use crate::stream::Stream;
use anyhow::{Result, bail};
use clipshard::{Dataset, Subset};
use std::collections::BTreeSet;

/// One clip that is learnt from or tested on.
#[derive(Clone, Debug)]
pub struct Video {
    /// Its number in the data set.
    pub clip: usize,
    /// Its name.
    pub id: String,
    /// Its class.
    pub label: u32,
    /// F of the rules: its flow frames, or one less than its RGB frames in a data set without flow.
    pub flow_frames: u32,
    /// Its RGB frames; 0 where there are none.
    pub rgb_frames: u32,
}

impl Video {
    /// Clip number `clip` of a data set.
    pub fn of(data: &Dataset, clip: usize) -> Self {
        let manifest = data.manifest();
        let entry = &manifest.clips[clip];
        let frames = |stream: &str| entry.frames.get(stream).copied().unwrap_or(0);
        let rgb_frames = frames("rgb");
        let has_flow = manifest.stream("flow").is_some();
        let flow_frames = if has_flow { frames("flow") } else { rgb_frames.saturating_sub(1) };
        Self { clip, id: entry.id.clone(), label: entry.label, flow_frames, rgb_frames }
    }

    /// Whether it has frames enough for the rules, and any of this stream.
    pub fn is_usable(&self, stream: Stream) -> bool {
        self.flow_frames >= MIN_FLOW_FRAMES && (stream == Stream::Temporal || self.rgb_frames > 0)
    }
}

/// The clips of one split.
#[derive(Clone, Debug)]
pub struct Videos {
    /// Learnt from.
    pub train: Vec<Video>,
    /// Of the training clips those that only choose the best epoch.
    pub held_out: Vec<Video>,
    /// Tested on.
    pub test: Vec<Video>,
    /// Clips too short for a single stack.
    pub left_out: Vec<String>,
}

impl Videos {
    /// The clips that the data set's split `split` names and that stream `stream` can use.
    pub fn of(data: &Dataset, split: &str, stream: Stream) -> Result<Self> {
        let manifest = data.manifest();
        let Some(number) = manifest.splits.iter().position(|name| name == split) else {
            let have = manifest.splits.join(", ");
            bail!(Usage(format!("{} has no split {split}; it has {have}", data.dir().display())));
        };
        data.stream(stream.records())?;
        let mut videos = Self { train: Vec::new(), held_out: Vec::new(), test: Vec::new(), left_out: Vec::new() };
        for (i, clip) in manifest.clips.iter().enumerate() {
            let subset = clip.subsets[number];
            if subset == Subset::Unused {
                continue;
            }
            let video = Video::of(data, i);
            if !video.is_usable(stream) {
                videos.left_out.push(clip.id.clone());
                continue;
            }
            match subset {
                Subset::Train => videos.train.push(video),
                _ => videos.test.push(video),
            }
        }
        if videos.train.is_empty() || videos.test.is_empty() {
            let (train, test) = (videos.train.len(), videos.test.len());
            bail!(
                "{}: split {split} has {train} clips to learn from and {test} to test on; both are needed",
                data.dir().display()
            );
        }
        Ok(videos)
    }

    /// Takes the clips of these groups out of the training clips. Clips of a group show the same people at the same place, so
    /// single clips would tell nothing. Groups are the data set's own, or the `gNN` of UCF101's names.
    pub fn hold_out(&mut self, data: &Dataset, groups: &[String]) -> Result<()> {
        let own = &data.manifest().groups;
        let group = |video: &Video| own.get(&video.id).cloned().or_else(|| group_in_name(&video.id));
        let known: BTreeSet<String> = self.train.iter().filter_map(group).collect();
        if let Some(unknown) = groups.iter().find(|group| !known.contains(*group)) {
            let known: Vec<_> = known.into_iter().collect();
            let have =
                if known.is_empty() { "none has a group".into() } else { format!("there is {}", known.join(", ")) };
            bail!(Usage(format!("--val-groups {unknown}: no training clip is of this group; {have}")));
        }
        let is_held_out = |video: &Video| group(video).is_some_and(|group| groups.contains(&group));
        (self.held_out, self.train) = std::mem::take(&mut self.train).into_iter().partition(is_held_out);
        if self.train.is_empty() {
            bail!(Usage("--val-groups leaves no clip to learn from".into()));
        }
        Ok(())
    }

    /// The clips that choose the best epoch.
    pub fn validation(&self) -> &[Video] {
        if self.held_out.is_empty() { &self.test } else { &self.held_out }
    }
}

/// `g08` of `v_ApplyEyeMakeup_g08_c01`.
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
