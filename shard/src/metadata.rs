//! The metadata of a shard, from which a lost manifest can be rebuilt.

use crate::attributes::Attributes;
#[cfg(feature = "write")]
use crate::manifest::check_names;
use crate::manifest::{Clip, Subset, check_groups, present, unique_names};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};

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
    #[serde(default, deserialize_with = "unique_names", skip_serializing_if = "BTreeMap::is_empty")]
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

impl ShardMetadata {
    /// Checks that a manifest can be rebuilt from the metadata. `ids` has the ids of the clips.
    #[cfg(feature = "write")]
    pub(crate) fn check<'a>(&self, ids: impl ExactSizeIterator<Item = &'a str>) -> Result<(), String> {
        self.check_dataset()?;
        self.check_clips(ids)
    }

    /// Checks the description of the clips with these ids.
    pub(crate) fn check_clips<'a>(&self, ids: impl ExactSizeIterator<Item = &'a str>) -> Result<(), String> {
        if ids.len() != self.clips.len() {
            let (described, clips) = (self.clips.len(), ids.len());
            return Err(format!("it describes {described} clips, but the shard has {clips}"));
        }
        let mut known = HashSet::with_capacity(ids.len());
        for (id, clip) in ids.zip(&self.clips) {
            self.check_clip(clip).map_err(|fault| format!("clip {id}: {fault}"))?;
            known.insert(id);
        }
        check_groups(&self.groups, |id| known.contains(id))
    }

    /// Checks the description of the dataset.
    #[cfg(feature = "write")]
    pub(crate) fn check_dataset(&self) -> Result<(), String> {
        check_names(&self.classes, &self.splits)?;
        self.attributes.check().map_err(|fault| format!("dataset {}: {fault}", self.dataset))?;
        // JSON that nests too deeply can be written, but not read.
        let build = serde_json::to_string(&self.build).and_then(|text| serde_json::from_str(&text));
        match build {
            Ok(read) if self.build == read => Ok(()),
            Ok(_) => Err("the values of the build change when they are written and read".into()),
            Err(error) => Err(format!("the build cannot be written as JSON and read again: {error}")),
        }
    }

    /// Checks the description of a clip.
    pub(crate) fn check_clip(&self, clip: &ShardClip) -> Result<(), String> {
        let (classes, splits) = (self.classes.len(), self.splits.len());
        if let Some(label) = clip.label.filter(|&label| label as usize >= classes) {
            return Err(format!("label {label} of {classes} classes; labels are indices of the class list, from 0"));
        }
        if clip.subsets.len() != splits {
            return Err(format!("{} subsets for {splits} splits; give one subset per split", clip.subsets.len()));
        }
        clip.subsets.iter().try_for_each(Subset::check)?;
        clip.attributes.check()
    }
}

/// Label, subsets and attributes of one clip of a shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ShardClip {
    /// Class of the clip, as an index into [`ShardMetadata::classes`]. `None` for a clip without a
    /// label.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
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
