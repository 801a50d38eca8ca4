//! What can be wrong with a data set: each rule of the format has its variant.

use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a data set cannot be opened, read or written. Each message names the file, what was expected and the cure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The folder holds no manifest.
    #[error("{}: no {} here; name the folder that `ucfpack build` wrote", dir.display(), crate::manifest::MANIFEST_FILE)]
    NoManifest {
        /// The folder.
        dir: PathBuf,
    },
    /// The manifest is not what the format says.
    #[error("{}: {fault}; restore the manifest or pack again", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        fault: String,
    },
    /// The manifest's own checksum does not fit its bytes.
    #[error("{}: checksum {stated:08x} differs from {found:08x} of its bytes: edited or damaged; restore the manifest or pack again", path.display())]
    ManifestChecksum {
        /// The manifest.
        path: PathBuf,
        /// The checksum that the file states.
        stated: u32,
        /// The checksum of its bytes.
        found: u32,
    },
    /// The first bytes are not those of a shard.
    #[error("{}: not a clip shard (its first bytes are not the format's mark); name a *.clipshard file or restore this one", path.display())]
    NotAShard {
        /// The file.
        path: PathBuf,
    },
    /// Written by a later major version.
    #[error("{}: format version {major}.{minor}; this program reads {}.x; update it or pack again", path.display(), crate::layout::VERSION_MAJOR)]
    Version {
        /// The file.
        path: PathBuf,
        /// Its major version.
        major: u16,
        /// Its minor version.
        minor: u16,
    },
    /// The file needs a feature that this program does not know.
    #[error("{}: needs format features {unknown} that this program does not know; update it", path.display())]
    Feature {
        /// The file.
        path: PathBuf,
        /// The unknown features.
        unknown: String,
    },
    /// The file ends early (or late): its size is not the one that it states.
    #[error("{}: {found} bytes long where {expected}: truncated or not completely copied; copy it again or pack again", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// What was expected.
        expected: String,
        /// Its length in bytes.
        found: u64,
    },
    /// A part of a shard that opening checks is damaged.
    #[error("{}: {part} damaged: {fault}; restore the shard or pack again", path.display())]
    Damaged {
        /// The shard.
        path: PathBuf,
        /// The part of the file: header, trailer, clip table, metadata.
        part: &'static str,
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
    /// The data set lacks what was asked for.
    #[error("{}: {what}", dir.display())]
    Absent {
        /// The data set.
        dir: PathBuf,
        /// What is not there, and what is.
        what: String,
    },
    /// A caller asked for what cannot be: wrong buffer size, frame out of range, image too large to store.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path, action, source }
    }
}
