//! The metadata of a shard, from which a lost manifest can be rebuilt.

use crate::attributes::Attributes;
use crate::manifest::{Clip, Subset};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The metadata of a shard: a description of its dataset and its clips.
///
/// [`Manifest::rebuild`](crate::Manifest::rebuild) reads it to replace a lost manifest.
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
    /// Name of the dataset, as in the manifest.
    pub dataset: String,
    /// Names of the classes, as in the manifest.
    pub classes: Vec<String>,
    /// Names of the splits, as in the manifest.
    pub splits: Vec<String>,
    /// Everything that decided the content, as in the manifest.
    pub build: BTreeMap<String, Value>,
    /// One item per clip of the shard, in the order in which the clips were added.
    pub clips: Vec<ShardClip>,
    /// Name of the group by clip id, as in the manifest, for clips of this shard.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, String>,
    /// Attributes of the dataset, as in the manifest.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
}

impl ShardMetadata {
    /// Creates metadata without clips, groups and build options.
    pub fn new(dataset: impl Into<String>, classes: Vec<String>, splits: Vec<String>) -> Self {
        Self { dataset: dataset.into(), classes, splits, ..Self::default() }
    }

    /// Replaces the clips.
    #[must_use]
    pub fn with_clips(self, clips: Vec<ShardClip>) -> Self {
        Self { clips, ..self }
    }
}

/// Label, subsets and attributes of one clip of a shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ShardClip {
    /// Class of the clip, as an index into [`ShardMetadata::classes`]. `None` for a clip without a
    /// label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<u32>,
    /// Subset of the clip in each split.
    pub subsets: Vec<Subset>,
    /// Attributes of the clip, as in the manifest.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
}

impl ShardClip {
    /// Combines a label, or `None`, with one subset per split.
    pub fn new(label: impl Into<Option<u32>>, subsets: Vec<Subset>) -> Self {
        Self { label: label.into(), subsets, attributes: Attributes::new() }
    }
}

impl From<&Clip> for ShardClip {
    fn from(clip: &Clip) -> Self {
        Self { label: clip.label, subsets: clip.subsets.clone(), attributes: clip.attributes.clone() }
    }
}
