//! Rebuilds a lost manifest: the metadata of every shard names the dataset and describes the
//! shard's clips.

use crate::error::{Error, Result};
use crate::layout::MANIFEST_FILE;
use crate::manifest::{Clip, Manifest, Stream};
use crate::metadata::ShardMetadata;
use crate::shard::Shard;
use std::collections::HashMap;
use std::path::Path;

impl Manifest {
    /// Builds the manifest of the shards in `dir` without writing it.
    ///
    /// Shards are sorted by name. Streams are sorted by name too, after `rgb`. Clips have the order
    /// of the first stream. All shards must be intact and from the same build.
    ///
    /// A missing shard is not detected: its clips are absent from the dataset, or lack a stream.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Rebuild`] if the shards do not form one dataset, or the error of a shard
    /// that cannot be opened.
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
        let shards = open_all(dir)?;
        let mut manifest = Self::default();
        let mut first: Option<(&Shard, ShardMetadata)> = None;
        let mut numbers: HashMap<String, usize> = HashMap::new();
        for (file, shard) in &shards {
            let metadata = shard.metadata()?;
            if let Some((one, expected)) = &first {
                if let Some(part) = difference(expected, &metadata) {
                    let fault = format!(
                        "{file} has another {part} than {}; move the shards of one of the two builds away",
                        one.path().file_name().unwrap_or_default().to_string_lossy()
                    );
                    return Err(Error::Rebuild { dir: dir.to_owned(), fault });
                }
            } else {
                let ShardMetadata { dataset, classes, splits, build, attributes, .. } = metadata.clone();
                manifest = Self { dataset, classes, splits, build, attributes, ..Self::default() };
            }
            add_clips(&mut manifest, &mut numbers, dir, file, shard, &metadata)?;
            first.get_or_insert((shard, metadata));
        }
        let path = dir.join(MANIFEST_FILE);
        manifest.check().map_err(|fault| Error::Manifest { path, fault })?;
        Ok(manifest)
    }
}

/// Opens all shards of a folder, sorted by stream (`rgb` first), then by file name.
fn open_all(dir: &Path) -> Result<Vec<(String, Shard)>> {
    let mut shards = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(Error::io(dir, "list it"))? {
        let name = entry.map_err(Error::io(dir, "list it"))?.file_name();
        if let Some(name) = name.to_str().filter(|name| name.ends_with(".clipshard")) {
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
    shards.sort_by_cached_key(|(file, shard)| {
        let stream = shard.spec().name.clone();
        (stream != "rgb", stream, file.clone())
    });
    Ok(shards)
}

/// Names the part in which the metadata of two shards differs.
fn difference(a: &ShardMetadata, b: &ShardMetadata) -> Option<&'static str> {
    let parts = [
        ("dataset name", a.dataset != b.dataset),
        ("class list", a.classes != b.classes),
        ("split list", a.splits != b.splits),
    ];
    let others = [
        ("build (options or encoder versions)", a.build != b.build),
        ("attributes of the dataset", a.attributes != b.attributes),
    ];
    parts.into_iter().chain(others).find(|(_, differ)| *differ).map(|(part, _)| part)
}

/// Adds a shard and its clips to the manifest. `numbers` has the numbers of the clips that it lists
/// already.
fn add_clips(
    manifest: &mut Manifest,
    numbers: &mut HashMap<String, usize>,
    dir: &Path,
    file: &str,
    shard: &Shard,
    metadata: &ShardMetadata,
) -> Result<()> {
    let (spec, fault) = (shard.spec(), |fault: String| Error::Rebuild { dir: dir.to_owned(), fault });
    match manifest.streams.iter_mut().find(|stream| stream.spec.name == spec.name) {
        Some(stream) if stream.spec != *spec => {
            let name = &spec.name;
            return Err(fault(format!(
                "{file} has other planes or channels than the other {name} shards; move it away"
            )));
        }
        Some(stream) => stream.shards.push(shard.info()),
        None => manifest.streams.push(Stream::new(spec.clone(), vec![shard.info()])),
    }
    for (place, (id, described)) in shard.clip_ids().zip(&metadata.clips).enumerate() {
        let frames = shard.frame_count(place).unwrap_or_default();
        let number = *numbers.entry(id.to_owned()).or_insert_with(|| {
            let mut clip = Clip::new(id, described.label, described.subsets.clone());
            clip.attributes = described.attributes.clone();
            manifest.clips.push(clip);
            manifest.clips.len() - 1
        });
        let clip = &mut manifest.clips[number];
        let differs =
            if clip.attributes == described.attributes { "another label or other subsets" } else { "other attributes" };
        if (clip.label, &clip.subsets, &clip.attributes) != (described.label, &described.subsets, &described.attributes)
        {
            return Err(fault(format!("{file}: clip {id} has {differs} than in another shard; move one of them away")));
        }
        let group = metadata.groups.get(id);
        if clip.frames.is_empty() {
            manifest.groups.extend(group.map(|group| (id.to_owned(), group.clone())));
        } else if manifest.groups.get(id) != group {
            return Err(fault(format!(
                "{file}: clip {id} has another group than in another shard; move one of them away"
            )));
        }
        if clip.frames.insert(spec.name.clone(), frames).is_some() {
            let name = &spec.name;
            return Err(fault(format!("{file}: clip {id} is also in another {name} shard; move one of them away")));
        }
    }
    Ok(())
}
