//! The errors of the crate: one variant for each kind of rule of the format.

use crate::codec::Codec;
use crate::layout::{MANIFEST_FILE, VERSION_MAJOR};
use std::fmt;
use std::path::{Path, PathBuf};

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason why a dataset cannot be opened, read or written.
///
/// Each message names the file, the fault and the remedy. It includes the text of its cause, so
/// [`source`](std::error::Error::source) returns `None`.
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
    /// An operation of the file system failed.
    #[error("{}: cannot {action}: {reason}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operation that failed, such as "open it".
        action: &'static str,
        /// The error of the operating system.
        reason: std::io::Error,
    },
    /// The operating system cannot map the file into memory. [`Access::Read`](crate::Access::Read)
    /// needs no map.
    #[error("{}: cannot map it into memory: {reason}", path.display())]
    Map {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        reason: std::io::Error,
    },
    /// The folder holds no manifest.
    #[error("{}: no {MANIFEST_FILE} here; name the folder of a packed dataset", dir.display())]
    NoManifest {
        /// The folder.
        dir: PathBuf,
    },
    /// The manifest breaks a rule of the format, or does not match its shards.
    #[error("{}: {fault}; restore the manifest or pack the dataset again", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// The rule that is broken, in words.
        fault: String,
    },
    /// The checksum of the manifest does not match its bytes.
    #[error(
        "{}: edited or damaged: it states checksum {stated:08x}, but its bytes have {found:08x}; \
         restore the manifest or pack the dataset again",
        path.display()
    )]
    ManifestChecksum {
        /// The manifest.
        path: PathBuf,
        /// The checksum that the file states.
        stated: u32,
        /// The checksum of its bytes.
        found: u32,
    },
    /// A shard is not the one that the manifest lists: its stream, size, counts or checksum differ.
    #[error(
        "{}: not the shard that the manifest lists, perhaps from another build; \
         restore the shard or pack the dataset again",
        path.display()
    )]
    ForeignShard {
        /// The shard.
        path: PathBuf,
    },
    /// The shards of a folder do not form one dataset, so no manifest can be rebuilt from them.
    #[error("{}: {fault}", dir.display())]
    Rebuild {
        /// The folder.
        dir: PathBuf,
        /// The fault and the remedy, in words.
        fault: String,
    },
    /// The journal of an interrupted [`DatasetWriter`](crate::DatasetWriter) is damaged, or does not
    /// match the folder.
    #[error(
        "{}: {fault}; writing cannot be resumed: delete this file and all shards that the manifest does not list, \
         then write their clips again",
        path.display()
    )]
    Journal {
        /// The journal.
        path: PathBuf,
        /// The fault, in words.
        fault: String,
    },
    /// A shard that the manifest lists is not in the folder.
    #[error(
        "{}: this shard of stream {stream} is missing; copy it here again, or use only the other streams",
        path.display()
    )]
    MissingShard {
        /// The shard.
        path: PathBuf,
        /// Name of its stream.
        stream: String,
    },
    /// The file does not start with the mark of a shard.
    #[error(
        "{}: not a clip shard: it does not start with the mark of the format; \
         name a *.clipshard file or restore this one",
        path.display()
    )]
    NotAShard {
        /// The file.
        path: PathBuf,
    },
    /// The file has another major version of the format.
    #[error(
        "{}: format version {major}.{minor} is not supported, only {VERSION_MAJOR}.x; \
         update this program or pack the dataset again",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its major version.
        major: u16,
        /// Its minor version.
        minor: u16,
    },
    /// The file needs a feature that this version of the crate does not know.
    #[error("{}: needs format features {unknown}, which this program does not know; update it", path.display())]
    Feature {
        /// The file.
        path: PathBuf,
        /// The unknown features.
        unknown: String,
    },
    /// A stream needs a feature that this version of the crate does not know. The other streams can
    /// be opened with [`Dataset::open_streams`](crate::Dataset::open_streams).
    #[error(
        "{}: stream {stream} needs format features {unknown}, which this program does not know; \
         update it, or open only the other streams",
        path.display()
    )]
    StreamFeature {
        /// The manifest.
        path: PathBuf,
        /// Name of the stream.
        stream: String,
        /// The unknown features.
        unknown: String,
    },
    /// The file is shorter or longer than it must be.
    #[error(
        "{}: {found} bytes long, but {expected}: the file is incomplete or has extra bytes; \
         copy it again or pack the dataset again",
        path.display()
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// The expectation that the length does not meet, as a clause: "its trailer states 400".
        expected: String,
        /// Its length in bytes.
        found: u64,
    },
    /// A part of a shard that is checked on opening is damaged.
    #[error("{}: {part} is damaged: {fault}; restore the shard or pack the dataset again", path.display())]
    Damaged {
        /// The shard.
        path: PathBuf,
        /// The part of the file.
        part: ShardPart,
        /// The fault, in words.
        fault: String,
    },
    /// The index of one clip is damaged.
    #[error(
        "{}: index of clip {clip} (records {first} to {last}) is damaged: {fault}; \
         restore the shard or pack this clip again",
        path.display()
    )]
    ClipIndex {
        /// The shard.
        path: PathBuf,
        /// Id of the clip.
        clip: String,
        /// Number of its first record in the shard.
        first: u64,
        /// Number of its last record in the shard.
        last: u64,
        /// The fault, in words.
        fault: String,
    },
    /// One record is damaged.
    #[error(
        "{}: record {record} (clip {clip}, stream {stream}, frame {frame}, plane {plane}) is damaged: {fault}; \
         restore the shard or pack this clip again",
        path.display()
    )]
    Record {
        /// The shard.
        path: PathBuf,
        /// Number of the record in the shard.
        record: u64,
        /// Id of the clip.
        clip: String,
        /// Name of the stream.
        stream: String,
        /// Number of the frame in the clip, from 0.
        frame: usize,
        /// Number of the plane in the frame, from 0.
        plane: usize,
        /// The fault, in words.
        fault: String,
    },
    /// A clip has records of a codec that this program was built without. Nothing is damaged.
    /// [`Codec::is_compiled`] says which codecs there are.
    #[error("{}: stream {stream} of clip {clip} needs codec {codec}, {}", path.display(), codec.absence())]
    CodecNotCompiled {
        /// The shard.
        path: PathBuf,
        /// Id of the clip.
        clip: String,
        /// Name of the stream.
        stream: String,
        /// The codec.
        codec: Codec,
    },
    /// The dataset was opened without this stream.
    #[error("{}: stream {stream} is not open; name it when you open the dataset", dir.display())]
    NotOpen {
        /// The folder.
        dir: PathBuf,
        /// Name of the stream.
        stream: String,
    },
    /// The dataset has no stream of this name.
    #[error("{}: no stream {stream:?} in this dataset; it has {}", dir.display(), known.join(", "))]
    NoStream {
        /// Folder of the dataset.
        dir: PathBuf,
        /// The unknown name.
        stream: String,
        /// The names of its streams.
        known: Vec<String>,
    },
    /// The dataset has no split of this name.
    #[error("{}: no split {split:?} in this dataset; it has {}", dir.display(), known.join(", "))]
    NoSplit {
        /// Folder of the dataset.
        dir: PathBuf,
        /// The unknown name.
        split: String,
        /// The names of its splits.
        known: Vec<String>,
    },
    /// The dataset or the shard has no clip of this number.
    #[error("{}: no clip number {clip}; it has {clips} clips, numbered from 0", path.display())]
    NoClip {
        /// Folder of the dataset, or the shard.
        path: PathBuf,
        /// The number, from 0.
        clip: usize,
        /// Number of clips.
        clips: usize,
    },
    /// The clip has no frames in this stream.
    #[error("{}: clip {clip} has no frames in stream {stream}", dir.display())]
    NoFrames {
        /// Folder of the dataset.
        dir: PathBuf,
        /// Id of the clip.
        clip: String,
        /// Name of the stream.
        stream: String,
    },
    /// The caller passed wrong arguments: a wrong buffer size, a frame out of range, an image too
    /// large to store.
    #[error("{0}")]
    Usage(String),
}

/// A part of a shard that has its own checksum or rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ShardPart {
    /// The first 64 bytes.
    Header,
    /// The index of the records.
    Index,
    /// The zero bytes between records and index.
    Padding,
    /// The clip entries and the clips' ids.
    ClipTable,
    /// The JSON text about the dataset and the clips.
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
    /// Returns a function that adds path and action to an error of the file system, for `map_err`.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |reason| Self::Io { path, action, reason }
    }

    /// Returns whether only a clip or a record is damaged, so that the rest of the dataset can
    /// still be read.
    ///
    /// It is true for [`Error::ClipIndex`] and [`Error::Record`].
    pub fn is_clip_damage(&self) -> bool {
        matches!(self, Self::ClipIndex { .. } | Self::Record { .. })
    }
}
