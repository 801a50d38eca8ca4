//! The shards of one number: one per stream, all with the same clips.

use super::clip::Described;
use super::folder::Folder;
use super::journal::ListedShard;
use crate::codec::EncodedRecord;
use crate::error::Result;
use crate::manifest::StreamSpec;
use crate::metadata::{ShardClip, ShardMetadata};
use crate::names::shard_name;
use crate::writer::ShardWriter;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// Size of the descriptions of clips from which a shard is full. The format allows 4 GiB.
const MAX_DESCRIBED: u64 = 1 << 30;

/// Unfinished shards with the same number. Dropping it removes their temporary files.
pub(super) struct Rotation {
    pub(super) number: u64,
    parts: BTreeMap<String, Part>,
}

struct Part {
    writer: ShardWriter,
    clips: Vec<ShardClip>,
    groups: BTreeMap<String, String>,
    /// Size of the descriptions of the clips.
    described: u64,
}

impl Rotation {
    pub(super) fn new(number: u64) -> Self {
        Self { number, parts: BTreeMap::new() }
    }

    /// Adds the records of a clip in one stream.
    pub(super) fn add(
        &mut self,
        folder: &Folder,
        spec: &StreamSpec,
        clip: &Described,
        records: &[EncodedRecord],
    ) -> Result<()> {
        let part = match self.parts.entry(spec.name.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let path = folder.path.join(shard_name(&spec.name, self.number));
                let writer = ShardWriter::create_in(Arc::clone(&folder.storage), &path, spec)?;
                entry.insert(Part { writer, clips: Vec::new(), groups: BTreeMap::new(), described: 0 })
            }
        };
        part.writer.add_clip(&clip.id, records)?;
        part.clips.push(clip.clip.clone());
        part.groups.extend(clip.group.iter().map(|group| (clip.id.clone(), group.clone())));
        part.described += clip.bytes();
        Ok(())
    }

    /// Returns whether the largest shard has at least `shard_bytes` bytes.
    pub(super) fn is_full(&self, shard_bytes: u64) -> bool {
        self.parts.values().any(|part| {
            part.described >= MAX_DESCRIBED || part.writer.file_bytes().saturating_add(part.described) >= shard_bytes
        })
    }

    /// Finishes the shards and adds them to `made`, which also has the finished ones if a later one
    /// fails.
    pub(super) fn finish(self, dataset: &ShardMetadata, made: &mut Vec<ListedShard>) -> Result<()> {
        for (stream, part) in self.parts {
            let mut metadata = dataset.clone().with_clips(part.clips);
            metadata.groups = part.groups;
            made.push(ListedShard { stream, info: part.writer.finish(&metadata)? });
        }
        Ok(())
    }
}
