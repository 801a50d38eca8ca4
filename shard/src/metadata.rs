//! What a shard says about its data set, so that a lost manifest can be made again.

use crate::manifest::{Clip, Subset};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a shard says about its clips beyond their ids, so that a lost manifest can be made again from the shards.
///
/// # Example
///
/// ```
/// use clipshard::{ShardClip, ShardMetadata, Subset};
///
/// let mut metadata = ShardMetadata::new("waves", vec!["Wave".into()], vec!["1".into()]);
/// metadata.clips.push(ShardClip::new(0, vec![Subset::Train]));
/// ```
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ShardMetadata {
    /// As in the manifest.
    pub dataset: String,
    /// As in the manifest.
    pub classes: Vec<String>,
    /// As in the manifest.
    pub splits: Vec<String>,
    /// As in the manifest.
    pub build: BTreeMap<String, Value>,
    /// One for each clip of the shard, in the clip table's order.
    pub clips: Vec<ShardClip>,
    /// As in the manifest, of clips of the shard.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, String>,
}

impl ShardMetadata {
    /// Describes a data set without clips, groups and build options.
    pub fn new(dataset: impl Into<String>, classes: Vec<String>, splits: Vec<String>) -> Self {
        Self { dataset: dataset.into(), classes, splits, ..Self::default() }
    }

    /// Replaces the clips.
    #[must_use]
    pub fn with_clips(self, clips: Vec<ShardClip>) -> Self {
        Self { clips, ..self }
    }
}

/// Label and subsets of one clip of a shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ShardClip {
    /// As in the manifest.
    pub label: u32,
    /// As in the manifest.
    pub subsets: Vec<Subset>,
}

impl ShardClip {
    /// Combines a label with one subset per split.
    pub fn new(label: u32, subsets: Vec<Subset>) -> Self {
        Self { label, subsets }
    }
}

impl From<&Clip> for ShardClip {
    fn from(clip: &Clip) -> Self {
        Self::new(clip.label, clip.subsets.clone())
    }
}
