//! What can be wrong with a data set: each rule of the format has its variant.

use crate::layout::{MANIFEST_FILE, VERSION_MAJOR};
use std::fmt;
use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a data set cannot be opened, read or written. Each message names the file, what was expected and the cure, and includes its
/// cause: [`source`](std::error::Error::source) returns nothing.
///
/// # Example
///
/// ```
/// use clipshard::{Dataset, Error};
///
/// match Dataset::open("tests").unwrap_err() {
///     Error::NoManifest { dir } => assert_eq!(dir, std::path::Path::new("tests")),
///     other => panic!("{other}"),
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("{}: cannot {action}: {reason}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// The operating system cannot map the file into memory. [`Access::Read`](crate::Access::Read) works without a map.
    #[error("{}: cannot map it into memory: {reason}", path.display())]
    Map {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// The folder holds no manifest.
    #[error("{}: no {MANIFEST_FILE} here; name the folder of a packed data set", dir.display())]
    NoManifest {
        /// The folder.
        dir: PathBuf,
    },
    /// The manifest breaks a rule of the format, or does not fit its shards.
    #[error("{}: {fault}; restore the manifest or pack again", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        fault: String,
    },
    /// The manifest's checksum does not fit its bytes.
    #[error("{}: checksum {stated:08x} differs from {found:08x} of its bytes: edited or damaged; restore the manifest or pack again", path.display())]
    ManifestChecksum {
        /// The manifest.
        path: PathBuf,
        /// The checksum that the file states.
        stated: u32,
        /// The checksum of its bytes.
        found: u32,
    },
    /// A shard is not the one that the manifest lists: its stream, size, counts or checksum differ.
    #[error("{}: not the shard that the manifest lists (another build?); restore the shard or pack again", path.display())]
    ForeignShard {
        /// The shard.
        path: PathBuf,
    },
    /// The shards of a folder do not make one data set, so that no manifest can be made from them.
    #[error("{}: {fault}", dir.display())]
    Rebuild {
        /// The folder.
        dir: PathBuf,
        /// What is wrong, and the cure.
        fault: String,
    },
    /// The first bytes are not those of a shard.
    #[error("{}: not a clip shard (its first bytes are not the format's mark); name a *.clipshard file or restore this one", path.display())]
    NotAShard {
        /// The file.
        path: PathBuf,
    },
    /// A later major version of the format.
    #[error("{}: format version {major}.{minor}; this program reads {VERSION_MAJOR}.x; update it or pack again", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its major version.
        major: u16,
        /// Its minor version.
        minor: u16,
    },
    /// The file needs a feature that this version of the crate does not know.
    #[error("{}: needs format features {unknown} that this program does not know; update it", path.display())]
    Feature {
        /// The file.
        path: PathBuf,
        /// The unknown features.
        unknown: String,
    },
    /// The file is shorter or longer than the size that it states.
    #[error("{}: {found} bytes long where {expected}: truncated or not completely copied; copy it again or pack again", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// What was expected.
        expected: String,
        /// Its length in bytes.
        found: u64,
    },
    /// A part of a shard that is checked on opening is damaged.
    #[error("{}: {part} damaged: {fault}; restore the shard or pack again", path.display())]
    Damaged {
        /// The shard.
        path: PathBuf,
        /// The part of the file.
        part: ShardPart,
        /// What is wrong.
        fault: String,
    },
    /// The index of one clip is damaged.
    #[error("{}: index of clip {clip} (records {first} to {last}) damaged: {fault}; restore the shard or pack this clip again", path.display())]
    ClipIndex {
        /// The shard.
        path: PathBuf,
        /// The clip.
        clip: String,
        /// Number of its first record in the shard.
        first: u64,
        /// Number of its last record in the shard.
        last: u64,
        /// What is wrong.
        fault: String,
    },
    /// One record is damaged.
    #[error("{}: record {record} ({clip} {stream} {frame} plane {plane}): {fault}; restore the shard or pack this clip again", path.display())]
    Record {
        /// The shard.
        path: PathBuf,
        /// Number of the record in the shard.
        record: u64,
        /// The clip.
        clip: String,
        /// The stream's name.
        stream: String,
        /// The frame, from 0.
        frame: usize,
        /// The plane of the frame, from 0.
        plane: usize,
        /// What is wrong.
        fault: String,
    },
    /// The data set has no stream of this name.
    #[error("{}: no stream {stream:?} in this data set; it has {}", dir.display(), known.join(", "))]
    NoStream {
        /// The data set.
        dir: PathBuf,
        /// The name.
        stream: String,
        /// The names of its streams.
        known: Vec<String>,
    },
    /// The data set has no split of this name.
    #[error("{}: no split {split:?} in this data set; it has {}", dir.display(), known.join(", "))]
    NoSplit {
        /// The data set.
        dir: PathBuf,
        /// The name.
        split: String,
        /// The names of its splits.
        known: Vec<String>,
    },
    /// The data set or the shard has no clip of this number.
    #[error("{}: no clip number {clip} among {clips}", path.display())]
    NoClip {
        /// The data set's folder, or the shard.
        path: PathBuf,
        /// The number, from 0.
        clip: usize,
        /// How many clips there are.
        clips: usize,
    },
    /// The clip has no frames in this stream.
    #[error("{}: clip {clip} has no {stream} frames", dir.display())]
    NoFrames {
        /// The data set.
        dir: PathBuf,
        /// The clip.
        clip: String,
        /// The stream's name.
        stream: String,
    },
    /// A call makes no sense: a wrong buffer size, a frame out of range, an image too large to store.
    #[error("{0}")]
    Usage(String),
}

/// A part of a shard that has a checksum or a rule of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ShardPart {
    /// The first 64 bytes.
    Header,
    /// The records' index.
    Index,
    /// The zero bytes between records and index.
    Padding,
    /// The clip entries and the clips' ids.
    ClipTable,
    /// The JSON text about data set and clips.
    Metadata,
    /// The last 64 bytes.
    Trailer,
}

impl fmt::Display for ShardPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Header => "header",
            Self::Index => "index",
            Self::Padding => "padding",
            Self::ClipTable => "clip table",
            Self::Metadata => "metadata",
            Self::Trailer => "trailer",
        })
    }
}

impl Error {
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |reason| Self::Io { path, action, reason }
    }

    /// Whether single clips or records are damaged, so that the rest of the data set can still be read.
    ///
    /// True for [`Error::ClipIndex`] and [`Error::Record`].
    pub fn is_clip_damage(&self) -> bool {
        matches!(self, Self::ClipIndex { .. } | Self::Record { .. })
    }
}
