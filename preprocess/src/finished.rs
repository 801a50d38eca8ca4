//! Shards that an earlier run of the same build finished.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use clipshard::{Shard, ShardInfo, ShardMetadata};

use crate::error::{Error, Result};
use crate::lists::ListedClip;
use crate::plan::{StreamPlan, shard_file};
use crate::stream::StreamKind;

/// A finished shard: what the manifest says of it, and which planned clips it holds with how many frames.
pub(crate) struct FinishedShard {
    pub info: ShardInfo,
    pub frames: HashMap<usize, u32>,
}

/// Finished shards of one stream by number.
pub(crate) type FinishedShards = HashMap<u32, FinishedShard>;

/// The finished shards of a stream in `set`. Anything else in its place is removed, and made again.
pub(crate) fn find_finished(
    set: &Path,
    kind: StreamKind,
    plan: &StreamPlan,
    clips: &[ListedClip],
    metadata: &ShardMetadata,
) -> Result<FinishedShards> {
    let numbers: HashMap<&str, usize> = clips.iter().enumerate().map(|(i, clip)| (clip.id.as_str(), i)).collect();
    let mut found = FinishedShards::new();
    for number in 0..plan.shards() {
        let path = set.join(shard_file(kind, number));
        if !path.exists() {
            continue;
        }
        match judge(&path, kind, number, plan, &numbers, metadata) {
            Some(shard) => {
                found.insert(number, shard);
            }
            None => fs::remove_file(&path).map_err(Error::io(&path, "cannot remove what is no finished shard"))?,
        }
    }
    Ok(found)
}

fn judge(
    path: &Path,
    kind: StreamKind,
    number: u32,
    plan: &StreamPlan,
    numbers: &HashMap<&str, usize>,
    metadata: &ShardMetadata,
) -> Option<FinishedShard> {
    let shard = Shard::open(path).ok()?;
    let told = shard.metadata().ok()?;
    let of_all = ShardMetadata { clips: Vec::new(), groups: BTreeMap::new(), ..told };
    if *shard.spec() != kind.spec() || of_all != *metadata {
        return None;
    }
    let mut frames = HashMap::new();
    for place in 0..shard.clips() {
        shard.clip(place).ok()?;
        let clip = *numbers.get(shard.clip_id(place))?;
        if plan.shard_of[clip] != number {
            return None;
        }
        frames.insert(clip, shard.frames(place));
    }
    Some(FinishedShard { info: shard.info(), frames })
}
