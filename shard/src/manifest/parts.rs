//! The items that a manifest lists: streams, shards and clips.

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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<u32>,
    /// Its subset in each of [`Manifest::splits`](crate::Manifest::splits).
    pub subsets: Vec<Subset>,
    /// Number of frames, by stream name.
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

/// The name of a stream and the form of its frames.
///
/// # Example
///
/// ```
/// use clipshard::StreamSpec;
///
/// assert_eq!(StreamSpec::flow(), StreamSpec::new("flow", 2, 1));
/// let depth = StreamSpec::new("depth", 1, 1);
/// assert_eq!(depth.planes, 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StreamSpec {
    /// Name of the stream: `rgb`, `flow` or another name of 1 to 16 ASCII letters, digits, `-` and
    /// `_`.
    pub name: String,
    /// Records per frame: 1 for RGB; 2 for flow, x then y.
    pub planes: u8,
    /// Channels of each record: 3 for RGB, 1 for a flow plane.
    pub channels: u8,
}

impl StreamSpec {
    /// Creates a description without checks. [`ShardWriter::create`](crate::ShardWriter::create)
    /// checks it.
    pub fn new(name: impl Into<String>, planes: u8, channels: u8) -> Self {
        Self { name: name.into(), planes, channels }
    }

    /// Describes the stream `rgb`: one record of three channels per frame.
    pub fn rgb() -> Self {
        Self::new("rgb", 1, 3)
    }

    /// Describes the stream `flow`: two records of one channel per frame, x then y.
    pub fn flow() -> Self {
        Self::new("flow", 2, 1)
    }

    /// Checks that the format allows this name and these numbers.
    pub(crate) fn check(&self) -> Result<(), String> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if self.name.is_empty() || self.name.len() > 16 || !self.name.bytes().all(plain) {
            return Err(format!("stream name {:?} is not 1 to 16 letters, digits, - or _", self.name));
        }
        if self.planes == 0 || !(1..=4).contains(&self.channels) {
            return Err(format!(
                "stream {} has {} planes of {} channels; it needs at least 1 plane and 1 to 4 channels",
                self.name, self.planes, self.channels
            ));
        }
        Ok(())
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

/// A stream and its shards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stream {
    /// Name of the stream and form of its frames.
    #[serde(flatten)]
    pub spec: StreamSpec,
    /// The shards that hold the stream.
    pub shards: Vec<ShardInfo>,
}

impl Stream {
    /// Combines a stream with its shards.
    pub fn new(spec: StreamSpec, shards: Vec<ShardInfo>) -> Self {
        Self { spec, shards }
    }
}
