//! Starts a writer: for a new dataset, for an existing one, or where an earlier writer stopped.

use super::folder::{Folder, JOURNAL_PREFIX, is_partial};
use super::journal::{Journal, ListedShard};
use super::options::{DatasetInfo, WriteOptions};
use super::workers::Workers;
use super::{DatasetWriter, OpenStream};
use crate::error::{Error, Result};
use crate::layout::MANIFEST_FILE;
use crate::manifest::{Manifest, Stream};
use crate::metadata::ShardMetadata;
use crate::names::{JOURNAL_FILE, SHARD_ENDING};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

/// The size from which shards are full, unless the caller sets another one.
const SHARD_BYTES: u64 = 1 << 30;

impl DatasetWriter {
    /// Starts a new dataset in `dir`, with shards of about 1 GiB. Creates the folder if it does not
    /// exist.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Usage`] if the folder has a dataset, shards or an interrupted writer, if
    /// another writer is using it, or if two classes or splits have the same name.
    pub fn create(dir: impl AsRef<Path>, info: DatasetInfo) -> Result<Self> {
        Self::create_in(dir.as_ref(), info, &WriteOptions::new())
    }

    /// Starts a new dataset with other options, see [`DatasetWriter::create`].
    pub fn create_with(dir: impl AsRef<Path>, info: DatasetInfo, options: &WriteOptions) -> Result<Self> {
        Self::create_in(dir.as_ref(), info, options)
    }

    fn create_in(dir: &Path, info: DatasetInfo, options: &WriteOptions) -> Result<Self> {
        let dataset = info.into_metadata();
        dataset.check_dataset().map_err(Error::Usage)?;
        std::fs::create_dir_all(dir).map_err(Error::io(dir, "create it"))?;
        let folder = Folder::lock(dir, Arc::clone(&options.storage))?;
        folder.check_is_new()?;
        remove_partial_journals(&folder)?;
        let journal = Journal::new(dataset, options.shard_bytes.unwrap_or(SHARD_BYTES), None, 0);
        Self::start(folder, journal, Vec::new(), Workers::new(options.threads)?)
    }

    /// Opens the dataset in `dir` to add clips to it or to remove some.
    ///
    /// The dataset keeps its name, splits, build and attributes. New shards get new numbers.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Manifest::read`] and of shards that cannot be opened. Returns
    /// [`Error::Usage`] if the folder has an interrupted writer, or shards that the manifest does
    /// not list. Returns [`Error::Rebuild`] if the shards do not describe the dataset as the
    /// manifest does.
    pub fn append(dir: impl AsRef<Path>) -> Result<Self> {
        Self::append_in(dir.as_ref(), &WriteOptions::new())
    }

    /// Opens a dataset with other options, see [`DatasetWriter::append`].
    pub fn append_with(dir: impl AsRef<Path>, options: &WriteOptions) -> Result<Self> {
        Self::append_in(dir.as_ref(), options)
    }

    fn append_in(dir: &Path, options: &WriteOptions) -> Result<Self> {
        if !dir.is_dir() {
            return Err(Error::NoManifest { dir: dir.to_owned() });
        }
        let folder = Folder::lock(dir, Arc::clone(&options.storage))?;
        folder.check_not_interrupted()?;
        Self::append_to(folder, options)
    }

    fn append_to(folder: Folder, options: &WriteOptions) -> Result<Self> {
        let manifest = Manifest::read(&folder.path)?;
        let base = folder.manifest_crc32()?;
        let kept = listed(&folder, &manifest, &[])?;
        let files: HashSet<&str> = kept.iter().map(|shard| shard.info.file.as_str()).collect();
        let names = folder.files()?;
        if let Some(file) = names.iter().find(|name| name.ends_with(SHARD_ENDING) && !files.contains(name.as_str())) {
            let what = format!("the manifest does not list {file}; move it away, or write a rebuilt manifest");
            return Err(folder.usage(&what));
        }
        remove_partial_journals(&folder)?;
        let mut dataset = ShardMetadata::new(&manifest.dataset, manifest.classes.clone(), manifest.splits.clone());
        (dataset.build, dataset.attributes) = (manifest.build.clone(), manifest.attributes.clone());
        let journal = Journal::new(dataset, options.shard_bytes.unwrap_or(SHARD_BYTES), base, folder.next_number()?);
        let workers = Workers::new(options.threads)?;
        let writer = Self::start(folder, journal, kept, workers)?;
        if let Some(part) = difference(&manifest, &writer.assemble()?) {
            let dir = writer.folder.path.clone();
            let fault = format!(
                "{MANIFEST_FILE} has other {part} than the shards describe, so nothing can be appended; \
                 write the manifest that Manifest::rebuild returns, or write the dataset again"
            );
            return Err(Error::Rebuild { dir, fault });
        }
        Ok(writer)
    }

    /// Continues where an earlier writer in `dir` stopped, with its description, streams and
    /// options.
    ///
    /// Removes the unfinished files of that writer. If the writer stopped while it finished, the
    /// dataset is finished first, and the new writer appends to it.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Usage`] if no writer was interrupted here or another one is using the
    /// folder, and [`Error::Journal`] if the manifest has changed since.
    pub fn resume(dir: impl AsRef<Path>) -> Result<Self> {
        Self::resume_in(dir.as_ref(), &WriteOptions::new())
    }

    /// Continues with other options, see [`DatasetWriter::resume`].
    pub fn resume_with(dir: impl AsRef<Path>, options: &WriteOptions) -> Result<Self> {
        Self::resume_in(dir.as_ref(), options)
    }

    /// Returns whether a writer was interrupted in `dir`, or is still writing there.
    pub fn is_interrupted(dir: impl AsRef<Path>) -> bool {
        dir.as_ref().join(JOURNAL_FILE).exists()
    }

    fn resume_in(dir: &Path, options: &WriteOptions) -> Result<Self> {
        let folder = Folder::lock(dir, Arc::clone(&options.storage))?;
        let mut journal = Journal::read(dir)?;
        let manifest = match Manifest::read(dir) {
            Err(Error::NoManifest { .. }) => None,
            manifest => Some(manifest?),
        };
        let is_base = folder.manifest_crc32()? == journal.base;
        if !is_base && !manifest.as_ref().is_some_and(|manifest| is_finished(manifest, &journal)) {
            let fault = format!("another program has changed {MANIFEST_FILE} or removed it");
            return Err(Error::Journal { path: dir.join(JOURNAL_FILE), fault });
        }
        let mut unfinished = folder.files()?;
        let is_listed = |file: &str| {
            manifest.iter().flat_map(|m| &m.streams).flat_map(|s| &s.shards).any(|shard| shard.file == file)
        };
        unfinished.retain(|file| is_partial(file) || (journal.is_unfinished(file) && !is_listed(file)));
        folder.remove(&unfinished, "remove it, because it is unfinished")?;
        if !is_base {
            Self::clean_up(&folder, &journal)?;
            return Self::append_to(folder, options);
        }
        let kept = manifest.map_or_else(|| Ok(Vec::new()), |manifest| listed(&folder, &manifest, &journal.obsolete))?;
        journal.shard_bytes = options.shard_bytes.unwrap_or(journal.shard_bytes);
        let mut writer = Self::start(folder, journal, kept, Workers::new(options.threads)?)?;
        writer.has_journal = true;
        Ok(writer)
    }

    /// Combines the parts of a writer, and reads which streams and clips its shards have.
    fn start(folder: Folder, journal: Journal, kept: Vec<ListedShard>, workers: Workers) -> Result<Self> {
        let next = folder.next_number()?.max(journal.first);
        let opened = journal.streams.clone();
        let mut writer = Self {
            folder,
            journal,
            has_journal: false,
            is_stale: true,
            kept,
            streams: BTreeMap::new(),
            ids: HashSet::new(),
            rotation: None,
            next,
            workers,
            has_failed: false,
        };
        let manifest = writer.assemble()?;
        writer.ids = manifest.clips.into_iter().map(|clip| clip.id).collect();
        for Stream { spec, .. } in manifest.streams {
            // The journal lists these streams, too: a later writer removes only files of streams
            // that it lists.
            if !opened.iter().any(|stream| stream.spec.name == spec.name) {
                writer.open_stream(spec.clone(), None)?;
            }
            writer.streams.entry(spec.name.clone()).or_insert(OpenStream { spec, encoders: None });
        }
        for stream in opened {
            let encode = stream.encode().map_err(Error::Usage)?;
            writer.open_stream(stream.spec, encode)?;
        }
        Ok(writer)
    }
}

/// Removes unfinished journals that no journal mentions. No other writer can be using them.
fn remove_partial_journals(folder: &Folder) -> Result<()> {
    let mut files = folder.files()?;
    files.retain(|file| is_partial(file) && file.starts_with(JOURNAL_PREFIX));
    folder.remove(&files, "remove it, because it is unfinished")
}

/// Lists the shards of a manifest, without the obsolete ones.
fn listed(folder: &Folder, manifest: &Manifest, obsolete: &[String]) -> Result<Vec<ListedShard>> {
    let mut shards = Vec::new();
    for Stream { spec, shards: infos, required_features } in &manifest.streams {
        if !required_features.is_empty() {
            let (path, unknown) = (folder.path.join(MANIFEST_FILE), required_features.join(", "));
            return Err(Error::StreamFeature { path, stream: spec.name.clone(), unknown });
        }
        let infos = infos.iter().filter(|info| !obsolete.contains(&info.file));
        shards.extend(infos.map(|info| ListedShard { stream: spec.name.clone(), info: info.clone() }));
    }
    Ok(shards)
}

/// Returns whether a manifest is the one that the writer of a journal was going to write.
fn is_finished(manifest: &Manifest, journal: &Journal) -> bool {
    let files: HashMap<&str, _> =
        manifest.streams.iter().flat_map(|s| &s.shards).map(|info| (info.file.as_str(), info)).collect();
    // A writer without a finished change has not written a manifest.
    let has_changed = !journal.shards.is_empty() || !journal.obsolete.is_empty();
    has_changed
        && journal.shards.iter().all(|shard| files.get(shard.info.file.as_str()) == Some(&&shard.info))
        && !journal.obsolete.iter().any(|file| files.contains_key(file.as_str()))
}

/// Names the part in which two manifests differ, apart from the order of streams, shards and clips.
fn difference(a: &Manifest, b: &Manifest) -> Option<&'static str> {
    let streams = |manifest: &Manifest| {
        let mut streams: Vec<Stream> =
            manifest.streams.iter().filter(|stream| !stream.shards.is_empty()).cloned().collect();
        for stream in &mut streams {
            stream.shards.sort_by(|a, b| a.file.cmp(&b.file));
        }
        streams.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        streams
    };
    let clips = |manifest: &Manifest| {
        let mut clips = manifest.clips.clone();
        clips.sort_by(|a, b| a.id.cmp(&b.id));
        clips
    };
    let parts = [
        ("name", a.dataset == b.dataset),
        ("classes", a.classes == b.classes),
        ("splits", a.splits == b.splits),
        ("build", a.build == b.build),
        ("attributes", a.attributes == b.attributes),
        ("groups", a.groups == b.groups),
        ("streams", streams(a) == streams(b)),
        ("clips", clips(a) == clips(b)),
    ];
    parts.into_iter().find(|(_, same)| !same).map(|(part, _)| part)
}
