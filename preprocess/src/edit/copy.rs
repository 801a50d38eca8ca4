//! Copies clips of a dataset into new shards. Records are not decoded.

use std::path::Path;
use std::sync::atomic::Ordering;

use clipshard::{ClipRecords, Dataset, Shard, ShardClip, ShardMetadata, ShardWriter, VerifyDepth, check_shards};

use super::shard_file::shard_file;
use crate::error::{Error, Result};
use crate::pack::carry::{Carried, copied_records, link_or_copy};
use crate::progress::{Watch, Work};

/// Size of shards in bytes, if the dataset does not state one.
pub(super) const SHARD_BYTES: u64 = 1 << 30;

/// A dataset that consists of clips of another one.
pub(super) struct Copy<'a> {
    pub data: &'a Dataset,
    /// The description of the new dataset, without clips and groups.
    pub metadata: ShardMetadata,
    /// The description of each clip of `data` in the new dataset; `None` for a clip that it lacks.
    pub clips: Vec<Option<ShardClip>>,
}

/// The planned shards of a copy, by stream.
pub(super) struct Plan<'a> {
    streams: Vec<(String, Vec<NewShard<'a>>)>,
}

/// A shard of the new dataset.
#[derive(Default)]
struct NewShard<'a> {
    /// The clips: the shard that holds each one, and its number there.
    clips: Vec<(&'a Shard, usize)>,
    /// Bytes of the records, or of the file if the clips are those of an existing shard.
    bytes: u64,
    /// The existing shard that holds the same clips with the same metadata.
    same: Option<Same<'a>>,
}

/// An existing shard that is used unchanged.
struct Same<'a> {
    shard: &'a Shard,
    /// Whether its class list is that of the new dataset, not only the start of it.
    has_all_classes: bool,
}

impl<'a> Copy<'a> {
    /// Plans the shards of some streams. Clips keep their order.
    pub fn plan(&self, streams: &[String]) -> Result<Plan<'a>> {
        let mut plan = Plan { streams: Vec::new() };
        for stream in streams {
            let shards = self.new_shards(stream)?;
            if !shards.is_empty() {
                plan.streams.push((stream.clone(), shards));
            }
        }
        // A manifest that is rebuilt has the longest class list of all shards.
        let mut shards = plan.streams.iter().flat_map(|(_, shards)| shards);
        if !shards.any(|shard| shard.same.as_ref().is_none_or(|same| same.has_all_classes))
            && let Some(first) = plan.streams.first_mut().and_then(|(_, shards)| shards.first_mut())
        {
            first.same = None;
        }
        Ok(plan)
    }

    /// Plans the shards of one stream. A shard that keeps all of its clips stays whole. Clips of
    /// other shards are put together until a shard has its usual size.
    fn new_shards(&self, stream: &str) -> Result<Vec<NewShard<'a>>> {
        let shards = self.data.shards(stream)?;
        let limit = shard_bytes(&self.metadata).max(shards.iter().map(Shard::file_bytes).max().unwrap_or(0));
        let (mut planned, mut open) = (Vec::new(), NewShard::default());
        for shard in shards {
            let kept: Vec<usize> = (0..shard.clip_count()).filter(|&place| self.clip(shard, place).is_some()).collect();
            if kept.len() == shard.clip_count() {
                if !open.clips.is_empty() {
                    planned.push(std::mem::take(&mut open));
                }
                let clips = kept.into_iter().map(|place| (shard, place)).collect();
                planned.push(NewShard { clips, bytes: shard.file_bytes(), same: self.same(shard)? });
                continue;
            }
            for place in kept {
                let bytes = stored_bytes(&shard.clip(place)?);
                if !open.clips.is_empty() && open.bytes.saturating_add(bytes) > limit {
                    planned.push(std::mem::take(&mut open));
                }
                open.clips.push((shard, place));
                open.bytes += bytes;
            }
        }
        if !open.clips.is_empty() {
            planned.push(open);
        }
        Ok(planned)
    }

    /// Returns the shard if its metadata are those of the new dataset.
    fn same(&self, shard: &'a Shard) -> Result<Option<Same<'a>>> {
        let clips: Vec<_> = (0..shard.clip_count()).map(|place| (shard, place)).collect();
        let (wanted, mut there) = (self.described(&clips), shard.metadata()?);
        let has_all_classes = there.classes == wanted.classes;
        if wanted.classes.starts_with(&there.classes) {
            there.classes.clone_from(&wanted.classes);
        }
        Ok((there == wanted).then_some(Same { shard, has_all_classes }))
    }

    /// Returns the metadata of a new shard.
    fn described(&self, clips: &[(&Shard, usize)]) -> ShardMetadata {
        let mut metadata = self.metadata.clone();
        for &(shard, place) in clips {
            let id = shard.clip_id(place).unwrap_or_default();
            let group = self.data.manifest().groups.get(id);
            metadata.groups.extend(group.map(|group| (id.to_owned(), group.clone())));
            metadata.clips.extend(self.clip(shard, place).cloned());
        }
        metadata
    }

    /// Returns the description of a clip of a shard, or `None` if the new dataset lacks the clip.
    fn clip(&self, shard: &Shard, place: usize) -> Option<&ShardClip> {
        let number = self.data.find_clip(shard.clip_id(place)?)?;
        self.clips.get(number)?.as_ref()
    }

    /// Writes the planned shards to the folder `to`. Checks the checksum of each copied record.
    /// Shards that stay the same are linked if the file system allows it.
    ///
    /// # Errors
    /// Returns [`Error::Format`] if a record is damaged.
    pub fn write(&self, plan: &Plan<'_>, to: &Path, watch: Watch<'_>) -> Result<()> {
        for (stream, shards) in &plan.streams {
            for (number, shard) in (0_u64..).zip(shards) {
                let path = to.join(shard_file(stream, number));
                match &shard.same {
                    Some(same) => take_unchanged(same.shard, &path, watch)?,
                    None => self.write_shard(&shard.clips, &path, watch)?,
                }
            }
        }
        Ok(())
    }

    fn write_shard(&self, clips: &[(&Shard, usize)], path: &Path, watch: Watch<'_>) -> Result<()> {
        let Some((first, _)) = clips.first() else { return Ok(()) };
        let mut writer = ShardWriter::create(path, first.spec())?;
        for &(shard, place) in clips {
            if watch.cancel.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let records = shard.clip(place)?;
            writer.add_clip(records.id(), &copied_records(&records)?)?;
            watch.progress.add(Work { bytes: stored_bytes(&records), ..Work::default() });
        }
        writer.finish(&self.described(clips))?;
        Ok(())
    }
}

impl Plan<'_> {
    /// Returns the number of bytes to copy or to link.
    pub fn bytes(&self) -> u64 {
        self.streams.iter().flat_map(|(_, shards)| shards).map(|shard| shard.bytes).sum()
    }
}

/// Links a shard. If that is impossible, copies it and checks the copy.
fn take_unchanged(shard: &Shard, path: &Path, watch: Watch<'_>) -> Result<()> {
    if watch.cancel.load(Ordering::Relaxed) {
        return Err(Error::Interrupted);
    }
    if link_or_copy(shard.path(), path)? == Carried::Copied {
        let copy = Shard::open(path)?;
        let damage = check_shards(&[&copy], VerifyDepth::Checksums, &|_| ()).damage;
        if let Some(error) = damage.into_iter().flatten().next() {
            return Err(error.into());
        }
    }
    watch.progress.add(Work { bytes: shard.file_bytes(), ..Work::default() });
    Ok(())
}

/// Returns the size of shards that the description of a dataset states.
pub(super) fn shard_bytes(metadata: &ShardMetadata) -> u64 {
    metadata.build.get("shard_bytes").and_then(serde_json::Value::as_u64).unwrap_or(SHARD_BYTES)
}

/// Returns the stored bytes of a clip.
pub(super) fn stored_bytes(clip: &ClipRecords<'_>) -> u64 {
    let range = clip.byte_range();
    range.end - range.start
}
