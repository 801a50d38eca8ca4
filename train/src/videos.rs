//! The clips of one split as the networks see them.

use crate::sampler::MIN_FLOW_FRAMES;
use crate::stream::Stream;
use crate::usage::Usage;
use anyhow::{Result, bail};
use clipshard::{Dataset, Subset};

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

/// The clips of one split.
#[derive(Clone, Debug)]
pub struct Videos {
    /// Learnt from.
    pub train: Vec<Video>,
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
        let has_flow = manifest.stream("flow").is_some();
        let mut videos = Self { train: Vec::new(), test: Vec::new(), left_out: Vec::new() };
        for (i, clip) in manifest.clips.iter().enumerate() {
            let subset = clip.subsets[number];
            if subset == Subset::Unused {
                continue;
            }
            let frames = |stream: &str| clip.frames.get(stream).copied().unwrap_or(0);
            let rgb_frames = frames("rgb");
            let flow_frames = if has_flow { frames("flow") } else { rgb_frames.saturating_sub(1) };
            if flow_frames < MIN_FLOW_FRAMES || frames(stream.records()) == 0 {
                videos.left_out.push(clip.id.clone());
                continue;
            }
            let video = Video { clip: i, id: clip.id.clone(), label: clip.label, flow_frames, rgb_frames };
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
}
