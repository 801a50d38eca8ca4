//! What a manifest lists: streams, shards and clips.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The part that a clip plays in one split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Subset {
    /// The clip is trained on.
    Train,
    /// The clip is tested on.
    Test,
    /// Neither.
    Unused,
}

/// One clip of a data set.
///
/// # Example
///
/// ```
/// use clipshard::{Clip, Subset};
///
/// let clip = Clip::new("v_Wave_g01_c01", 0, vec![Subset::Train]).with_frames("rgb", 164).with_frames("flow", 163);
/// assert_eq!(clip.frames["flow"], 163);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Clip {
    /// Its name, unique in the data set.
    pub id: String,
    /// Its class, by place in [`Manifest::classes`](crate::Manifest::classes).
    pub label: u32,
    /// One for each of [`Manifest::splits`](crate::Manifest::splits).
    pub subsets: Vec<Subset>,
    /// Number of frames, by stream name.
    pub frames: BTreeMap<String, u32>,
}

impl Clip {
    /// Describes a clip without frames.
    pub fn new(id: impl Into<String>, label: u32, subsets: Vec<Subset>) -> Self {
        Self { id: id.into(), label, subsets, frames: BTreeMap::new() }
    }

    /// Sets the number of frames in a stream.
    #[must_use]
    pub fn with_frames(mut self, stream: impl Into<String>, frames: u32) -> Self {
        self.frames.insert(stream.into(), frames);
        self
    }
}

/// What the records of a stream are.
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
    /// `rgb`, `flow` or any other name of up to 16 ASCII letters, digits, `-`, `_`.
    pub name: String,
    /// Records per frame: 1 for RGB; 2 for flow, x then y.
    pub planes: u8,
    /// Channels of each record: 3 for RGB, 1 for a flow plane.
    pub channels: u8,
}

impl StreamSpec {
    /// Describes a stream. [`ShardWriter::create`](crate::ShardWriter::create) checks the name and the numbers.
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

    pub(crate) fn check(&self) -> Result<(), String> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if self.name.is_empty() || self.name.len() > 16 || !self.name.bytes().all(plain) {
            return Err(format!("stream name {:?} is not 1 to 16 letters, digits, - or _", self.name));
        }
        if self.planes == 0 || !(1..=4).contains(&self.channels) {
            return Err(format!("stream {} has {} planes of {} channels", self.name, self.planes, self.channels));
        }
        Ok(())
    }
}

/// A shard as a manifest lists it. [`ShardWriter::finish`](crate::ShardWriter::finish) and [`Shard::info`](crate::Shard::info)
/// return it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ShardInfo {
    /// File name in the data set's folder.
    pub file: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Number of its clips.
    pub clips: u32,
    /// Number of its records.
    pub records: u64,
    /// The checksum in its trailer, which covers header, clip table and metadata.
    pub trailer_crc32: u32,
}

/// A stream and the shards that hold it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stream {
    /// What its records are.
    #[serde(flatten)]
    pub spec: StreamSpec,
    /// Its shards.
    pub shards: Vec<ShardInfo>,
}

impl Stream {
    /// Combines a stream with its shards.
    pub fn new(spec: StreamSpec, shards: Vec<ShardInfo>) -> Self {
        Self { spec, shards }
    }
}
