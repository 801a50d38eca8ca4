//! The items that a manifest lists: streams, shards and clips.

use super::strict::{present, unique_names};
use super::subset::Subset;
use crate::attributes::Attributes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A clip of a dataset.
///
/// # Example
///
/// ```
/// use clipshard::{Clip, Subset};
///
/// let mut clip = Clip::new("v_Wave_g01_c01", 0, vec![Subset::Train]).with_frames("rgb", 164).with_frames("flow", 163);
/// clip.attributes.set("fps", 25);
/// assert_eq!((clip.label, clip.frames["flow"]), (Some(0), 163));
/// let unlabelled = Clip::new("v_Other_g01_c01", None, vec![Subset::Train]);
/// assert_eq!(unlabelled.label, None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Clip {
    /// Name of the clip, unique in the dataset.
    pub id: String,
    /// Its class, as an index into [`Manifest::classes`](crate::Manifest::classes). `None` for a
    /// clip without a label.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub label: Option<u32>,
    /// Its subset in each of [`Manifest::splits`](crate::Manifest::splits).
    pub subsets: Vec<Subset>,
    /// Number of frames, by stream name.
    #[serde(deserialize_with = "unique_names")]
    pub frames: BTreeMap<String, u32>,
    /// Anything else that is worth knowing about the clip.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
}

impl Clip {
    /// Creates the description of a clip without frames and attributes. `label` is the number of a
    /// class, or `None`.
    pub fn new(id: impl Into<String>, label: impl Into<Option<u32>>, subsets: Vec<Subset>) -> Self {
        Self { id: id.into(), label: label.into(), subsets, frames: BTreeMap::new(), attributes: Attributes::new() }
    }

    /// Sets the number of frames in a stream.
    #[must_use]
    pub fn with_frames(mut self, stream: impl Into<String>, frames: u32) -> Self {
        self.frames.insert(stream.into(), frames);
        self
    }
}

/// The entry of a shard in a manifest.
///
/// [`ShardWriter::finish`](crate::ShardWriter::finish) and [`Shard::info`](crate::Shard::info)
/// return it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ShardInfo {
    /// File name in the folder of the dataset.
    pub file: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Number of clips.
    pub clips: u32,
    /// Number of records.
    pub records: u64,
    /// The checksum in its trailer, which covers the checksums of header, clip table and metadata.
    pub trailer_crc32: u32,
}
