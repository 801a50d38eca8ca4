//! Plans which clip goes into which shard, from frame counts and nominal sizes, before encoding.
//!
//! The boundaries therefore do not depend on encoded sizes, on the number of threads, or on clips
//! that turn out to be damaged. A shard that loses a clip keeps the others, and its neighbours stay
//! the same.

use std::collections::BTreeMap;

use clipshard::{Attributes, Codec, Subset};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::difference::{attributes_difference, build_difference, differs};
use super::part::Part;
use crate::error::{Problem, Setting};
use crate::stored::{Geometry, StreamOptions};
use crate::stream::StreamKind;

/// Bytes of a record's index entry.
pub(crate) const INDEX_ENTRY_BYTES: u64 = 32;
/// Largest accepted size of a plan file, in bytes. The plan of UCF101 (13,320 clips) takes 2 MB.
pub(crate) const MAX_PLAN_BYTES: u64 = 1 << 30;
/// Pixels of a usual image: 342x256.
pub(crate) const USUAL_PIXELS: u64 = 342 * 256;

/// The shards of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamPlan {
    /// The shard number of each clip, in ascending order.
    pub shard_of: Vec<u32>,
    /// Estimated bytes of all shards.
    pub nominal_bytes: u64,
}

impl StreamPlan {
    /// Returns the number of shards.
    pub fn shards(&self) -> u32 {
        self.shard_of.last().map_or(0, |last| last + 1)
    }
}

/// Everything that decides the content of a build. Two builds with equal plans make the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuildPlan {
    /// Name of the dataset, as in the manifest.
    pub dataset: String,
    /// Names of the classes, as in the manifest.
    pub classes: Vec<String>,
    /// Names of the splits, as in the manifest.
    pub splits: Vec<String>,
    /// Options and versions, as in the manifest.
    pub build: BTreeMap<String, Value>,
    /// Attributes of the dataset, as in the manifest.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// Names of the streams.
    pub streams: Vec<String>,
    /// All listed clips.
    pub clips: Vec<PlannedClip>,
    /// The part of the build, if it is one.
    pub part: Option<Part>,
}

/// A clip of a [`BuildPlan`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedClip {
    /// Id, as in the manifest.
    pub id: String,
    /// Label of the class, as in the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<u32>,
    /// Subset in each split, as in the manifest.
    pub subsets: Vec<Subset>,
    /// Group, as in the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Attributes of the lists. Those of a video are known only when it is decoded.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// Nominal number of frames in each stream.
    pub frames: Vec<u32>,
    /// Bytes of its video. They reveal a video that was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_bytes: Option<u64>,
    /// Whether all its files are there. Other clips are not packed.
    pub whole: bool,
}

impl BuildPlan {
    /// Describes the first difference between `other` and this earlier plan, or returns `None` if
    /// they are equal. Names the setting that decides it, if there is one.
    pub(crate) fn difference(&self, other: &Self) -> Option<Problem> {
        if let Some(what) = build_difference(&self.build, &other.build) {
            return Some(what);
        }
        if let Some(what) = attributes_difference(&self.attributes, &other.attributes) {
            return Some(Problem::from(Setting::Attributes).then(format!(": {what}")));
        }
        if self.dataset != other.dataset {
            return Some(differs(Setting::Dataset, &other.dataset, &self.dataset));
        }
        if self.classes != other.classes {
            let names = |classes: &[String]| {
                let more = if classes.len() > 3 { format!(" and {} more", classes.len() - 3) } else { String::new() };
                format!("{}{more}", classes.iter().take(3).cloned().collect::<Vec<_>>().join(","))
            };
            let list =
                Problem::from("the class list (").name(Setting::Classes).then(", ").name(Setting::Lists).then(")");
            return Some(differs(list, &names(&other.classes), &names(&self.classes)));
        }
        if self.splits != other.splits {
            let list = Problem::from("the list of splits (").name(Setting::Lists).then(")");
            return Some(differs(list, &other.splits.join(","), &self.splits.join(",")));
        }
        if self.streams != other.streams {
            return Some(differs("the list of streams", &other.streams.join(","), &self.streams.join(",")));
        }
        if self.part != other.part {
            let shown = |part: Option<Part>| part.map_or("not given".into(), |part| part.to_string());
            return Some(differs(Setting::Part, &shown(other.part), &shown(self.part)));
        }
        let pairs = self.clips.iter().zip(&other.clips);
        if let Some((mine, theirs)) = pairs.into_iter().find(|(mine, theirs)| mine != theirs) {
            let what = if mine.id == theirs.id {
                match mine.difference(theirs) {
                    Some(what) => format!("the lists changed: clip {}: {what}", mine.id),
                    None => {
                        format!("the lists or the source changed: clip {} has {theirs}, but had {mine}", mine.id)
                    }
                }
            } else {
                format!("the lists or the source changed: there is clip {} instead of {}", theirs.id, mine.id)
            };
            return Some(what.into());
        }
        let (were, are) = (self.clips.len(), other.clips.len());
        (were != are).then(|| format!("the number of clips is {are}, but was {were}").into())
    }
}

impl PlannedClip {
    /// Describes the first attribute or the subsets that differ, if nothing else does.
    fn difference(&self, other: &Self) -> Option<String> {
        let (subsets, attributes) = (self.subsets.clone(), self.attributes.clone());
        if (Self { subsets, attributes, ..other.clone() }) != *self {
            return None;
        }
        attributes_difference(&self.attributes, &other.attributes).or_else(|| {
            let names = |clip: &Self| clip.subsets.iter().map(Subset::name).collect::<Vec<_>>().join(" and ");
            let (is, was) = (names(other), names(self));
            (is != was).then(|| format!("its subset is {is}, but was {was}"))
        })
    }
}

impl std::fmt::Display for PlannedClip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let whole = if self.whole { "complete" } else { "incomplete" };
        let group = self.group.as_ref().map_or_else(String::new, |group| format!(", group {group}"));
        let frames = self.frames.iter().map(u32::to_string).collect::<Vec<_>>().join(" and ");
        let bytes = self.video_bytes.map_or_else(String::new, |bytes| format!(", a video of {bytes} bytes"));
        let label = self.label.map_or_else(|| "no label".into(), |label| format!("label {label}"));
        write!(f, "{label}{group}, {frames} frames{bytes}, {whole}")
    }
}

/// Returns the expected bytes of a record of a usual image. The numbers per pixel are averages over
/// clips of UCF101 (see the design notes).
pub fn nominal_record_bytes(kind: StreamKind, options: &StreamOptions) -> u64 {
    record_bytes(kind, options, USUAL_PIXELS)
}

/// Returns the expected bytes of a record whose source image has `source_pixels` pixels.
pub fn record_bytes(kind: StreamKind, options: &StreamOptions, source_pixels: u64) -> u64 {
    let pixels = match options.geometry {
        Geometry::Source => source_pixels,
        Geometry::Square(side) => u64::from(side) * u64::from(side),
        Geometry::ShortSide(side) => u64::from(side) * u64::from(side) * 4 / 3,
    };
    let bytes_per_1000_pixels = match (kind, options.codec) {
        (StreamKind::Rgb, Codec::Jpeg) => 160,
        (StreamKind::Rgb, Codec::Zstd) => 810,
        (StreamKind::Rgb, Codec::Lz4) => 1_100,
        (StreamKind::Rgb, _) => 3_000,
        (StreamKind::Flow, Codec::Jpeg) => 45,
        (StreamKind::Flow, Codec::Zstd) => 60,
        (StreamKind::Flow, Codec::Lz4) => 75,
        (StreamKind::Flow, _) => 1_000,
    };
    INDEX_ENTRY_BYTES + (pixels * bytes_per_1000_pixels).div_ceil(1000)
}

/// Returns the nominal bytes of a clip in one stream.
pub fn nominal_clip_bytes(kind: StreamKind, options: &StreamOptions, frames: u32) -> u64 {
    u64::from(frames) * u64::from(kind.planes()) * nominal_record_bytes(kind, options)
}

/// Returns the expected bytes of a clip's source files in one stream, for JPEG files of the usual
/// size.
pub fn nominal_source_bytes(kind: StreamKind, frames: u32) -> u64 {
    let bytes = if kind == StreamKind::Rgb { 14_000 } else { 4_000 };
    u64::from(frames) * u64::from(kind.planes()) * bytes
}

/// Assigns clips to shards in order. A shard ends before the clip that would make it larger than
/// `shard_bytes`. Clips are never divided, so a shard holds at least one.
pub fn assign(clip_bytes: impl IntoIterator<Item = u64>, shard_bytes: u64) -> StreamPlan {
    let mut plan = StreamPlan { shard_of: Vec::new(), nominal_bytes: 0 };
    let (mut shard, mut filled) = (0, 0);
    for bytes in clip_bytes {
        if filled > 0 && filled + bytes > shard_bytes {
            shard += 1;
            filled = 0;
        }
        filled += bytes;
        plan.nominal_bytes += bytes;
        plan.shard_of.push(shard);
    }
    plan
}

/// Returns the file name of a shard.
pub fn shard_file(kind: StreamKind, number: u32) -> String {
    format!("{}-{number:05}.clipshard", kind.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_close_before_they_grow_too_large() {
        let plan = assign([40, 40, 30, 200, 10, 10], 100);
        assert_eq!(plan.shard_of, [0, 0, 1, 2, 3, 3]);
        assert_eq!(plan.nominal_bytes, 330);
        assert_eq!(assign([0, 0, 5], 1).shard_of, [0, 0, 0]);
    }

    #[test]
    fn nominal_sizes_are_near_the_measured_ones() {
        let bytes = |kind, codec, geometry| {
            nominal_record_bytes(kind, &StreamOptions { codec, filter: clipshard::Filter::Up, level: 9, geometry })
        };
        assert_eq!(bytes(StreamKind::Rgb, Codec::Jpeg, Geometry::Source), 14_041);
        assert_eq!(bytes(StreamKind::Flow, Codec::Zstd, Geometry::Square(224)), 3_043);
        assert_eq!(bytes(StreamKind::Flow, Codec::Raw, Geometry::Square(224)), 50_208);
    }

    #[test]
    fn a_clip_with_other_attributes_or_subsets_says_which() {
        let clip = |attributes: &str, subset: &str, frames| PlannedClip {
            id: "a".into(),
            label: Some(0),
            subsets: vec!["train".into(), subset.into()],
            group: None,
            attributes: Attributes::from_json(attributes).unwrap(),
            frames: vec![frames],
            video_bytes: None,
            whole: true,
        };
        let was = clip(r#"{"caption":"a jump"}"#, "test", 20);
        let plan = |clip: PlannedClip| BuildPlan {
            dataset: "custom".into(),
            classes: vec!["jump".into()],
            splits: vec!["1".into(), "2".into()],
            build: BTreeMap::new(),
            attributes: Attributes::new(),
            streams: vec!["rgb".into()],
            clips: vec![clip],
            part: None,
        };
        let differs = |is: PlannedClip| plan(was.clone()).difference(&plan(is)).map(|problem| problem.to_string());
        assert_eq!(differs(was.clone()), None);
        for (is, words) in [
            (
                clip(r#"{"caption":"a leap"}"#, "test", 20),
                "the lists changed: clip a: attribute caption is \"a leap\", but was \"a jump\"",
            ),
            (
                clip(r#"{"caption":"a jump"}"#, "val", 20),
                "the lists changed: clip a: its subset is train and val, but was train and test",
            ),
            (
                clip(r#"{"caption":"a leap"}"#, "val", 21),
                "the lists or the source changed: clip a has label 0, 21 frames, complete, but had label 0, 20 frames, \
                 complete",
            ),
        ] {
            assert_eq!(differs(is).as_deref(), Some(words));
        }
    }

    #[test]
    fn shard_names_sort_in_order() {
        assert_eq!(shard_file(StreamKind::Flow, 7), "flow-00007.clipshard");
    }
}
