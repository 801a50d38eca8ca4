//! The journal of an unfinished writer: what is complete, and what may be removed.
//!
//! It does not list clips, because the finished shards list theirs.

use super::folder::{Folder, JOURNAL_PREFIX};
use crate::codec::{Codec, EncodeOptions, Filter};
use crate::error::{Error, Result};
use crate::manifest::{MAX_MANIFEST_BYTES, ShardInfo, StreamSpec};
use crate::metadata::ShardMetadata;
use crate::names::{JOURNAL_FILE, SHARD_ENDING, is_plain, parse_shard_name};
use crate::regular::read_regular;
use crate::storage::write_whole;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::Path;

/// The version of the journal. Another version cannot be resumed.
const VERSION: u32 = 1;

/// The progress of a writer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Journal {
    version: u32,
    /// Dataset, classes, splits, build and attributes; no clips.
    pub(super) dataset: ShardMetadata,
    pub(super) shard_bytes: u64,
    /// CRC-32 of the file of the manifest to which the writer appends; `None` for a new dataset.
    pub(super) base: Option<u32>,
    /// The first number of the shards of this writer.
    pub(super) first: u64,
    pub(super) streams: Vec<JournalStream>,
    /// The finished shards of this writer that belong to the dataset.
    pub(super) shards: Vec<ListedShard>,
    /// Files that do not belong to the dataset after the writer has finished.
    pub(super) obsolete: Vec<String>,
}

/// A stream to which the writer may write.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct JournalStream {
    #[serde(flatten)]
    pub(super) spec: StreamSpec,
    /// Codec and filter, as the bytes of an index entry, and level.
    encode: Option<(u8, u8, i32)>,
}

/// A finished shard of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ListedShard {
    pub(super) stream: String,
    #[serde(flatten)]
    pub(super) info: ShardInfo,
}

impl JournalStream {
    pub(super) fn new(spec: StreamSpec, encode: Option<EncodeOptions>) -> Self {
        let encode = encode.map(|options| (options.codec as u8, options.filter as u8, options.level));
        Self { spec, encode }
    }

    /// Returns how the stream encodes pixels. Returns a fault for a codec or filter that does not
    /// exist.
    pub(super) fn encode(&self) -> Result<Option<EncodeOptions>, String> {
        let Some((codec, filter, level)) = self.encode else { return Ok(None) };
        match (Codec::from_byte(codec), Filter::from_byte(filter)) {
            (Some(codec), Some(filter)) => Ok(Some(EncodeOptions::new(codec, filter, level))),
            _ => Err(format!("stream {} has unknown codec {codec} or filter {filter}", self.spec.name)),
        }
    }
}

impl Journal {
    /// Creates the journal of a writer that has written nothing.
    pub(super) fn new(dataset: ShardMetadata, shard_bytes: u64, base: Option<u32>, first: u64) -> Self {
        let (streams, shards, obsolete) = Default::default();
        Self { version: VERSION, dataset, shard_bytes, base, first, streams, shards, obsolete }
    }

    /// Reads the journal in a folder.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(JOURNAL_FILE);
        let bytes = match read_regular(&path, MAX_MANIFEST_BYTES) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let what = "no interrupted writer left a journal here; use DatasetWriter::create or append";
                return Err(Error::Usage(format!("{}: {what}", dir.display())));
            }
            bytes => bytes.map_err(Error::io(&path, "read it"))?,
        };
        let parsed = serde_json::from_slice::<Self>(&bytes).map_err(|error| format!("not a journal: {error}"));
        parsed.and_then(|journal| journal.check().map(|()| journal)).map_err(|fault| Error::Journal { path, fault })
    }

    fn check(&self) -> Result<(), String> {
        if self.version != VERSION {
            return Err(format!("its version is {}, but this program knows only {VERSION}", self.version));
        }
        self.dataset.check_dataset()?;
        for stream in &self.streams {
            stream.spec.check()?;
            stream.encode()?;
        }
        let mut files = HashSet::new();
        for shard in &self.shards {
            let file = &shard.info.file;
            let is_own = parse_shard_name(file)
                .is_some_and(|(stream, number)| stream == shard.stream && number >= self.first && files.insert(file));
            if !is_own {
                return Err(format!("{file:?} is not the name of a new shard of stream {:?}", shard.stream));
            }
        }
        match self.obsolete.iter().find(|file| !is_plain(file) || !file.ends_with(SHARD_ENDING)) {
            Some(file) => Err(format!("{file:?} is not the name of a shard")),
            None => Ok(()),
        }
    }

    /// Writes the journal completely or not at all.
    pub(super) fn write(&self, folder: &Folder) -> Result<()> {
        let path = folder.path.join(JOURNAL_FILE);
        let json = serde_json::to_vec(self).map_err(|error| Error::Usage(format!("invalid journal: {error}")))?;
        write_whole(&*folder.storage, &path, JOURNAL_PREFIX, &json)
    }

    /// Returns whether a file can only be a shard that the writer has not finished or not listed.
    pub(super) fn is_unfinished(&self, file: &str) -> bool {
        let Some((stream, number)) = parse_shard_name(file) else { return false };
        number >= self.first
            && self.streams.iter().any(|known| known.spec.name == stream)
            && !self.shards.iter().any(|shard| shard.info.file == file)
            && !self.obsolete.iter().any(|obsolete| obsolete == file)
    }
}
