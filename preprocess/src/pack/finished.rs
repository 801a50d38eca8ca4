//! Finds the shards that an earlier run of the same build finished.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;

use clipshard::{Attributes, Shard, ShardInfo, ShardMetadata, VerifyDepth, check_shards};

use super::plan::{StreamPlan, shard_file};
use crate::error::{Error, Result};
use crate::lists::ListedClip;
use crate::progress::{Watch, Work};
use crate::stream::StreamKind;

/// A finished shard: its entry of the manifest, and the planned clips in it, by number.
pub(crate) struct FinishedShard {
    pub info: ShardInfo,
    pub clips: HashMap<usize, FinishedClip>,
}

/// A clip in a finished shard.
pub(crate) struct FinishedClip {
    pub frames: u32,
    /// Its attributes, as in the shard.
    pub attributes: Attributes,
}

/// The finished shards of one stream, by number.
pub(crate) type FinishedShards = HashMap<u32, FinishedShard>;

/// The finished shards of one stream.
pub(crate) struct Found {
    pub shards: FinishedShards,
    /// Names of shards that must be made again, each with the reason.
    pub notes: Vec<String>,
}

/// Removes everything from `set` that is not named like a shard of these streams: partly written
/// files, an unused manifest, strays. They would become a part of the dataset.
pub(crate) fn remove_strays<'a>(
    set: &Path,
    streams: impl IntoIterator<Item = (StreamKind, &'a StreamPlan)>,
) -> Result<()> {
    let shards_of = |(kind, plan): (StreamKind, &StreamPlan)| (0..plan.shards()).map(move |n| shard_file(kind, n));
    let planned: HashSet<String> =
        streams.into_iter().flat_map(|stream| shards_of(stream).collect::<Vec<_>>()).collect();
    let Ok(entries) = fs::read_dir(set) else { return Ok(()) };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_name().to_str().is_some_and(|name| planned.contains(name)) {
            continue;
        }
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(Error::io(&path, "cannot remove a file of another build"))?;
    }
    Ok(())
}

/// Returns the finished shards of a stream in `set` after checking every record against its
/// checksum. Removes files that are no finished shard of this build.
pub(crate) fn find_finished(
    set: &Path,
    kind: StreamKind,
    plan: &StreamPlan,
    clips: &[ListedClip],
    metadata: &ShardMetadata,
    watch: Watch<'_>,
) -> Result<Found> {
    let numbers: HashMap<&str, usize> = clips.iter().enumerate().map(|(i, clip)| (clip.id.as_str(), i)).collect();
    let mut found = Found { shards: FinishedShards::new(), notes: Vec::new() };
    let names: Vec<(u32, String)> = (0..plan.shards())
        .map(|number| (number, shard_file(kind, number)))
        .filter(|(_, name)| set.join(name).exists())
        .collect();
    if names.is_empty() {
        return Ok(found);
    }
    let size = |name: &String| fs::metadata(set.join(name)).map_or(0, |metadata| metadata.len());
    watch.progress.begin("checking", Work { bytes: names.iter().map(|(_, name)| size(name)).sum(), ..Work::default() });
    for (number, name) in names {
        if watch.cancel.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        let path = set.join(&name);
        match judge(&path, kind, number, plan, &numbers, metadata, watch) {
            Ok(shard) => {
                found.shards.insert(number, shard);
            }
            Err(fault) => {
                fs::remove_file(&path).map_err(Error::io(&path, "cannot remove an unfinished shard"))?;
                found.notes.push(format!("packing {name} again: {fault}"));
            }
        }
    }
    watch.progress.end();
    Ok(found)
}

fn judge(
    path: &Path,
    kind: StreamKind,
    number: u32,
    plan: &StreamPlan,
    numbers: &HashMap<&str, usize>,
    metadata: &ShardMetadata,
    watch: Watch<'_>,
) -> Result<FinishedShard, String> {
    let shard = Shard::open(path).map_err(|error| error.to_string())?;
    let mut of_all = shard.metadata().map_err(|error| error.to_string())?;
    let described = std::mem::take(&mut of_all.clips);
    of_all.groups = BTreeMap::new();
    let other = || "it belongs to another build".to_owned();
    if *shard.spec() != kind.spec() || of_all != *metadata {
        return Err(other());
    }
    let mut clips = HashMap::new();
    for ((place, id), described) in shard.clip_ids().enumerate().zip(described) {
        let clip = *numbers.get(id).ok_or_else(other)?;
        if plan.shard_of[clip] != number {
            return Err(other());
        }
        let attributes = described.attributes;
        clips.extend(shard.frame_count(place).map(|frames| (clip, FinishedClip { frames, attributes })));
    }
    let progress = |bytes| watch.progress.add(Work { bytes, ..Work::default() });
    if let Some(damage) = check_shards(&[&shard], VerifyDepth::Checksums, &progress).damage.into_iter().flatten().next()
    {
        return Err(damage.to_string());
    }
    Ok(FinishedShard { info: shard.info(), clips })
}
