//! The description of a new dataset, and the options of its writer.

use crate::attributes::Attributes;
use crate::metadata::ShardMetadata;
use crate::storage::{Disk, Storage};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The description of a new dataset.
///
/// # Example
///
/// ```
/// use clipshard::DatasetInfo;
///
/// let mut info = DatasetInfo::new("waves", ["Wave", "Jump"], ["1"]);
/// info.build.insert("resize".into(), "bilinear".into());
/// info.attributes.set("licence", "CC0");
/// assert_eq!(info.classes.len(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct DatasetInfo {
    /// Name of the dataset, for people.
    pub name: String,
    /// Names of the classes. A label is an index into this list. Empty if no clip has a label.
    pub classes: Vec<String>,
    /// Names of the splits. Empty if there are none.
    pub splits: Vec<String>,
    /// Everything that decides the content: options, versions of encoders and decoders.
    pub build: BTreeMap<String, Value>,
    /// Anything else that is worth knowing about the dataset, such as a licence or a citation.
    pub attributes: Attributes,
}

impl DatasetInfo {
    /// Describes a dataset by its name, its classes and its splits.
    pub fn new<C, S>(name: impl Into<String>, classes: C, splits: S) -> Self
    where
        C: IntoIterator<Item: Into<String>>,
        S: IntoIterator<Item: Into<String>>,
    {
        Self {
            name: name.into(),
            classes: classes.into_iter().map(Into::into).collect(),
            splits: splits.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Replaces the build.
    #[must_use]
    pub fn with_build(self, build: BTreeMap<String, Value>) -> Self {
        Self { build, ..self }
    }

    /// Replaces the attributes.
    #[must_use]
    pub fn with_attributes(self, attributes: Attributes) -> Self {
        Self { attributes, ..self }
    }

    /// Returns the metadata of a shard without clips.
    pub(super) fn into_metadata(self) -> ShardMetadata {
        let mut metadata = ShardMetadata::new(self.name, self.classes, self.splits);
        (metadata.build, metadata.attributes) = (self.build, self.attributes);
        metadata
    }
}

/// The options of a [`DatasetWriter`](crate::DatasetWriter).
///
/// # Example
///
/// ```
/// use clipshard::{DatasetInfo, DatasetWriter, WriteOptions};
///
/// # let dir = tempfile::tempdir().unwrap();
/// let options = WriteOptions::new().with_shard_bytes(256 << 20).with_threads(4);
/// let writer = DatasetWriter::create_with(dir.path(), DatasetInfo::new("waves", ["Wave"], ["1"]), &options)?;
/// # Ok::<(), clipshard::Error>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct WriteOptions {
    /// Size in bytes from which a shard is full. `None` stands for 1 GiB, or for the size that an
    /// interrupted writer used.
    pub shard_bytes: Option<u64>,
    /// Number of threads that encode and check records. 0 stands for the threads of rayon's global
    /// pool, one per core.
    pub threads: usize,
    pub(super) storage: Arc<dyn Storage>,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { shard_bytes: None, threads: 0, storage: Arc::new(Disk) }
    }
}

impl fmt::Debug for WriteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shard_bytes, threads, .. } = self;
        f.debug_struct("WriteOptions")
            .field("shard_bytes", shard_bytes)
            .field("threads", threads)
            .finish_non_exhaustive()
    }
}

impl WriteOptions {
    /// Creates the default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the size from which a shard is full. Shards are a little larger: a clip is never
    /// divided.
    #[must_use]
    pub fn with_shard_bytes(self, shard_bytes: u64) -> Self {
        Self { shard_bytes: Some(shard_bytes), ..self }
    }

    /// Sets the number of threads. 0 stands for one per core.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// Replaces the file system.
    #[doc(hidden)]
    #[must_use]
    pub fn with_storage(self, storage: Arc<dyn Storage>) -> Self {
        Self { storage, ..self }
    }
}
