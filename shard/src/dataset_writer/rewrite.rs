//! Rewrites finished shards: without some clips, or several as one. Records are copied with a check
//! of their checksums, and never decoded.

use super::clip::Described;
use super::folder::Folder;
use super::journal::ListedShard;
use super::rotation::Rotation;
use crate::codec::EncodedRecord;
use crate::error::{Error, Result};
use crate::metadata::ShardMetadata;
use crate::names::parse_shard_name;
use crate::rebuild::place_of;
use crate::shard::Shard;
use std::collections::{BTreeMap, HashSet};

/// Opens a shard, and checks that it is the listed one.
pub(super) fn open(folder: &Folder, listed: &ListedShard) -> Result<Shard> {
    let path = folder.path.join(&listed.info.file);
    let shard = Shard::open(&path)?;
    let is_listed = shard.info() == listed.info && shard.spec().name == listed.stream;
    if is_listed { Ok(shard) } else { Err(Error::ForeignShard { path }) }
}

/// Sorts shards as a rebuilt manifest lists their clips.
pub(super) fn sort(shards: &mut [ListedShard]) {
    shards.sort_by_cached_key(|shard| place_of(&shard.stream, &shard.info.file));
}

/// Groups sorted shards by number. A shard with an unusual name is a group of its own.
pub(super) fn groups(shards: &[ListedShard]) -> Vec<Vec<ListedShard>> {
    let number = |shard: &ListedShard| parse_shard_name(&shard.info.file).map(|(_, number)| number);
    let same = |a: &ListedShard, b: &ListedShard| number(a).is_some() && number(a) == number(b);
    shards.chunk_by(same).map(<[ListedShard]>::to_vec).collect()
}

/// Chooses the groups that are merged: runs of groups whose largest shard is at most half full, as
/// long as the merged shards are not larger than `shard_bytes`.
pub(super) fn bins(groups: Vec<Vec<ListedShard>>, shard_bytes: u64) -> Vec<Vec<ListedShard>> {
    let (mut bins, mut bin, mut merged) = (Vec::new(), Vec::new(), 0);
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    for group in groups {
        if group.iter().any(|shard| shard.info.bytes > shard_bytes / 2) {
            continue;
        }
        let size = |shard: &ListedShard| sizes.get(&shard.stream).map_or(0, |&bytes| bytes) + shard.info.bytes;
        if group.iter().any(|shard| size(shard) > shard_bytes) {
            bins.push((merged, std::mem::take(&mut bin)));
            (merged, sizes) = (0, BTreeMap::new());
        }
        for shard in &group {
            *sizes.entry(shard.stream.clone()).or_default() += shard.info.bytes;
        }
        merged += 1;
        bin.extend(group);
    }
    bins.push((merged, bin));
    bins.into_iter().filter(|(merged, _)| *merged > 1).map(|(_, bin)| bin).collect()
}

/// Copies shards into new shards of one number, without the clips in `removed`. Adds the new shards
/// to `made`; there are none if no clip remains.
pub(super) fn copy(
    folder: &Folder,
    dataset: &ShardMetadata,
    shards: &[ListedShard],
    removed: &HashSet<&str>,
    number: u64,
    made: &mut Vec<ListedShard>,
) -> Result<()> {
    let mut rotation = Rotation::new(number);
    for listed in shards {
        let shard = open(folder, listed)?;
        let metadata = shard.metadata()?;
        for (place, (id, clip)) in shard.clip_ids().zip(metadata.clips).enumerate() {
            if removed.contains(id) {
                continue;
            }
            let clip = Described { id: id.to_owned(), clip, group: metadata.groups.get(id).cloned() };
            let records = shard.clip(place)?;
            let copies = records.frames().flat_map(|frame| (0..records.planes()).map(move |plane| frame.record(plane)));
            let copies = copies.map(|record| Ok(EncodedRecord::from(record?))).collect::<Result<Vec<_>>>()?;
            rotation.add(folder, shard.spec(), &clip, &copies)?;
        }
    }
    rotation.finish(dataset, made)
}
