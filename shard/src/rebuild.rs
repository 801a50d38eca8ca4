//! Rebuilds a lost manifest: the metadata of every shard names the dataset and describes the
//! shard's clips.

use crate::error::{Error, Result};
use crate::layout::MANIFEST_FILE;
use crate::manifest::{Clip, Manifest, Stream};
use crate::metadata::ShardMetadata;
use crate::names::{JOURNAL_FILE, SHARD_ENDING, parse_shard_name};
use crate::shard::Shard;
use std::collections::HashMap;
use std::path::Path;

impl Manifest {
    /// Builds the manifest of the shards in `dir` without writing it.
    ///
    /// Streams are sorted by name, after `rgb`. Shards are sorted by the number in their names.
    /// Clips have the order of the shards: first those of number 0, stream by stream, then those of
    /// number 1, and so on. All shards must be intact and from the same build. If class lists
    /// differ, each must be the start of the longest one.
    ///
    /// A missing shard is not detected: its clips are absent from the dataset, or lack a stream.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Rebuild`] if the shards do not form one dataset, or are still being
    /// written. Returns the error of a shard that cannot be opened.
    ///
    /// # Example
    ///
    /// ```
    /// use clipshard::Manifest;
    ///
    /// assert_eq!(Manifest::rebuild("tests/golden")?, Manifest::read("tests/golden")?);
    /// # Ok::<(), clipshard::Error>(())
    /// ```
    pub fn rebuild(dir: impl AsRef<Path>) -> Result<Self> {
        Self::rebuild_in(dir.as_ref())
    }

    fn rebuild_in(dir: &Path) -> Result<Self> {
        let journal = dir.join(JOURNAL_FILE);
        if journal.try_exists().map_err(Error::io(&journal, "look for it"))? {
            let fault = format!(
                "{JOURNAL_FILE} is here, so the shards are still being written, or writing was interrupted; \
                 resume writing with DatasetWriter::resume, or delete the unfinished shards and {JOURNAL_FILE}"
            );
            return Err(Error::Rebuild { dir: dir.to_owned(), fault });
        }
        let mut assembly = Assembly::new(dir);
        for (file, shard) in &open_all(dir)? {
            assembly.add(file, shard)?;
        }
        assembly.finish()
    }
}

/// Opens all shards of a folder, in the order of [`place_of`].
fn open_all(dir: &Path) -> Result<Vec<(String, Shard)>> {
    let mut shards = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(Error::io(dir, "list it"))? {
        let name = entry.map_err(Error::io(dir, "list it"))?.file_name();
        if let Some(name) = name.to_str().filter(|name| name.ends_with(SHARD_ENDING)) {
            let path = dir.join(name);
            let kind = std::fs::metadata(&path).map_err(Error::io(&path, "read its type"))?.file_type();
            if !kind.is_file() {
                let fault = format!("{name} is {}, not a shard; move it away", crate::regular::name(kind));
                return Err(Error::Rebuild { dir: dir.to_owned(), fault });
            }
            shards.push((name.to_owned(), Shard::open(&path)?));
        }
    }
    if shards.is_empty() {
        let fault = "no *.clipshard here to rebuild a manifest from; name the folder of the shards".into();
        return Err(Error::Rebuild { dir: dir.to_owned(), fault });
    }
    shards.sort_by_cached_key(|(file, shard)| place_of(&shard.spec().name, file));
    Ok(shards)
}

/// Returns the sort key of a shard: by number, then `rgb` first, then by stream and by name. Shards
/// with unusual names come last.
///
/// New shards get new numbers, so they never change the order of the clips of older shards.
pub(crate) fn place_of(stream: &str, file: &str) -> (u64, bool, String, String) {
    let number = parse_shard_name(file).map_or(u64::MAX, |(_, number)| number);
    (number, stream != "rgb", stream.to_owned(), file.to_owned())
}

/// A manifest that grows shard by shard.
pub(crate) struct Assembly<'a> {
    dir: &'a Path,
    manifest: Manifest,
    /// Number of each clip by its id.
    numbers: HashMap<String, usize>,
    /// Name of the shard with the longest list of classes.
    longest: Option<String>,
}

impl<'a> Assembly<'a> {
    pub(crate) fn new(dir: &'a Path) -> Self {
        Self { dir, manifest: Manifest::default(), numbers: HashMap::new(), longest: None }
    }

    fn fault(&self, fault: String) -> Error {
        Error::Rebuild { dir: self.dir.to_owned(), fault }
    }

    /// Adds a shard and its clips. Shards must be added in the order of [`place_of`].
    pub(crate) fn add(&mut self, file: &str, shard: &Shard) -> Result<()> {
        let metadata = shard.metadata()?;
        if let Some(longest) = &self.longest {
            if let Some(part) = difference(&self.manifest, &metadata) {
                return Err(self.fault(format!(
                    "{file} has another {part} than {longest}; move the shards of one of the two builds away"
                )));
            }
            if metadata.classes.len() > self.manifest.classes.len() {
                self.manifest.classes.clone_from(&metadata.classes);
                self.longest = Some(file.to_owned());
            }
        } else {
            let ShardMetadata { dataset, classes, splits, build, attributes, .. } = metadata.clone();
            self.manifest = Manifest { dataset, classes, splits, build, attributes, ..Manifest::default() };
            self.longest = Some(file.to_owned());
        }
        self.add_clips(file, shard, &metadata)
    }

    fn add_clips(&mut self, file: &str, shard: &Shard, metadata: &ShardMetadata) -> Result<()> {
        let spec = shard.spec();
        match self.manifest.streams.iter_mut().find(|stream| stream.spec.name == spec.name) {
            Some(stream) if stream.spec != *spec => {
                let name = &spec.name;
                return Err(self
                    .fault(format!("{file} has records of another form than the other {name} shards; move it away")));
            }
            Some(stream) => stream.shards.push(shard.info()),
            None => self.manifest.streams.push(Stream::new(spec.clone(), vec![shard.info()])),
        }
        for (place, (id, described)) in shard.clip_ids().zip(&metadata.clips).enumerate() {
            let frames = shard.frame_count(place).unwrap_or_default();
            let number = *self.numbers.entry(id.to_owned()).or_insert_with(|| {
                let mut clip = Clip::new(id, described.label, described.subsets.clone());
                clip.attributes = described.attributes.clone();
                self.manifest.clips.push(clip);
                self.manifest.clips.len() - 1
            });
            let clip = &mut self.manifest.clips[number];
            let (group, is_new) = (metadata.groups.get(id), clip.frames.is_empty());
            let differs = if (clip.label, &clip.subsets) != (described.label, &described.subsets) {
                Some("another label or other subsets")
            } else if clip.attributes != described.attributes {
                Some("other attributes")
            } else if !is_new && self.manifest.groups.get(id) != group {
                Some("another group")
            } else {
                None
            };
            if let Some(differs) = differs {
                return Err(
                    self.fault(format!("{file}: clip {id} has {differs} than in another shard; move one of them away"))
                );
            }
            let name = &spec.name;
            if clip.frames.insert(name.clone(), frames).is_some() {
                return Err(
                    self.fault(format!("{file}: clip {id} is also in another {name} shard; move one of them away"))
                );
            }
            if is_new {
                self.manifest.groups.extend(group.map(|group| (id.to_owned(), group.clone())));
            }
        }
        Ok(())
    }

    /// Returns the manifest of the shards that were added.
    pub(crate) fn finish(self) -> Result<Manifest> {
        let Self { dir, mut manifest, .. } = self;
        manifest.streams.sort_by_cached_key(|stream| (stream.spec.name != "rgb", stream.spec.name.clone()));
        manifest.check().map_err(|fault| Error::Manifest { path: dir.join(MANIFEST_FILE), fault })?;
        Ok(manifest)
    }
}

/// Names the part in which the metadata of a shard contradicts that of the shards before it.
fn difference(manifest: &Manifest, metadata: &ShardMetadata) -> Option<&'static str> {
    // Classes are only appended to a dataset, so older shards have a shorter list.
    let common = manifest.classes.len().min(metadata.classes.len());
    let parts = [
        ("dataset name", manifest.dataset != metadata.dataset),
        ("class list", manifest.classes[..common] != metadata.classes[..common]),
        ("split list", manifest.splits != metadata.splits),
        ("build (options or encoder versions)", manifest.build != metadata.build),
        ("attributes of the dataset", manifest.attributes != metadata.attributes),
    ];
    parts.into_iter().find(|(_, differ)| *differ).map(|(part, _)| part)
}
