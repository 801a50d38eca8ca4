//! A data set: the manifest and the shards that it lists.

use crate::clip_records::ClipRecords;
use crate::contents::Access;
use crate::error::{Error, Result};
use crate::manifest::{Manifest, ShardInfo, StreamSpec, Subset};
use crate::shard::Shard;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// An open data set. Opening takes milliseconds whatever its size: no record is looked at.
pub struct Dataset {
    dir: PathBuf,
    manifest: Manifest,
    streams: Vec<OpenStream>,
}

struct OpenStream {
    shards: Vec<Shard>,
    /// For each clip of the manifest its shard and its place there.
    places: Vec<Option<(u32, u32)>>,
}

impl Dataset {
    /// Opens the data set in `dir`, all of its streams.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::open_with(dir, Access::Map)
    }

    /// Opens the data set in `dir` to be read in this way.
    pub fn open_with(dir: &Path, access: Access) -> Result<Self> {
        let manifest = Manifest::read(dir)?;
        let open = |info: &ShardInfo| Shard::open_with(&dir.join(&info.file), access);
        let shards = manifest.streams.iter().map(|stream| stream.shards.iter().map(open).collect());
        let shards = shards.collect::<Result<_>>()?;
        Self::assemble(dir, manifest, shards)
    }

    /// The shards that a manifest lists, those of each stream in its order, were opened: now they must be the listed ones.
    pub(crate) fn assemble(dir: &Path, manifest: Manifest, opened: Vec<Vec<Shard>>) -> Result<Self> {
        let numbers: HashMap<&str, usize> =
            manifest.clips.iter().enumerate().map(|(i, c)| (c.id.as_str(), i)).collect();
        let mut streams = Vec::with_capacity(manifest.streams.len());
        for (stream, shards) in manifest.streams.iter().zip(opened) {
            let mut places = vec![None; manifest.clips.len()];
            for (place_of_shard, (info, shard)) in stream.shards.iter().zip(&shards).enumerate() {
                if !info.is(shard, &stream.spec) {
                    let fault = format!("{} is not the shard that the manifest lists (another build?)", info.file);
                    return Err(Error::Manifest { path: dir.join(crate::MANIFEST_FILE), fault });
                }
                for clip in 0..shard.clips() {
                    let id = shard.clip_id(clip);
                    let listed = numbers
                        .get(id)
                        .filter(|&&n| manifest.clips[n].frames.get(&stream.spec.name) == Some(&shard.frames(clip)));
                    let Some(&number) = listed.filter(|&&n| places[n].is_none()) else {
                        let fault = format!("{}: clip {id} is not listed so, or there twice", info.file);
                        return Err(Error::Manifest { path: dir.join(crate::MANIFEST_FILE), fault });
                    };
                    places[number] = Some((place_of_shard as u32, clip as u32));
                }
            }
            let name = &stream.spec.name;
            let lost =
                manifest.clips.iter().zip(&places).find(|(c, place)| place.is_none() && c.frames.contains_key(name));
            if let Some((clip, _)) = lost {
                let fault = format!("clip {} is listed with {name} frames that no shard holds", clip.id);
                return Err(Error::Manifest { path: dir.join(crate::MANIFEST_FILE), fault });
            }
            streams.push(OpenStream { shards, places });
        }
        Ok(Self { dir: dir.to_owned(), manifest, streams })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the data set holds.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What the records of a stream are.
    pub fn stream(&self, name: &str) -> Result<&StreamSpec> {
        self.stream_number(name).map(|i| &self.manifest.streams[i].spec)
    }

    fn stream_number(&self, name: &str) -> Result<usize> {
        self.manifest.streams.iter().position(|s| s.spec.name == name).ok_or_else(|| {
            let names: Vec<_> = self.manifest.streams.iter().map(|s| s.spec.name.as_str()).collect();
            let what = format!("no stream {name:?} in this data set; it has {}", names.join(", "));
            Error::Absent { dir: self.dir.clone(), what }
        })
    }

    /// The shards of a stream; none where there is no such stream.
    pub fn shards(&self, stream: &str) -> &[Shard] {
        self.stream_number(stream).map_or(&[], |i| &self.streams[i].shards)
    }

    /// Number of the clip with this id.
    pub fn find_clip(&self, id: &str) -> Option<usize> {
        self.manifest.clips.iter().position(|clip| clip.id == id)
    }

    /// The records of a clip in a stream. `clip` is a place in the manifest's list.
    pub fn clip(&self, stream: &str, clip: usize) -> Result<ClipRecords<'_>> {
        let open = &self.streams[self.stream_number(stream)?];
        let place = open.places.get(clip).copied().flatten().ok_or_else(|| {
            let what = match self.manifest.clips.get(clip) {
                Some(listed) => format!("clip {} has no {stream} frames", listed.id),
                None => format!("clip number {clip} of {}", self.manifest.clips.len()),
            };
            Error::Absent { dir: self.dir.clone(), what }
        })?;
        open.shards[place.0 as usize].clip(place.1 as usize)
    }

    /// Numbers of the clips that are `subset` in the split of this name, in the manifest's order.
    pub fn clips_of(&self, split: &str, subset: Subset) -> Result<Vec<usize>> {
        let place = self.manifest.splits.iter().position(|name| name == split).ok_or_else(|| {
            let what = format!("no split {split:?} in this data set; it has {}", self.manifest.splits.join(", "));
            Error::Absent { dir: self.dir.clone(), what }
        })?;
        let clips = self.manifest.clips.iter().enumerate();
        Ok(clips.filter(|(_, clip)| clip.subsets[place] == subset).map(|(number, _)| number).collect())
    }

    /// Where a clip's records lie: shard and place in it, for reading in the order of the disk.
    pub fn place(&self, stream: &str, clip: usize) -> Option<(u32, u32)> {
        self.streams[self.stream_number(stream).ok()?].places.get(clip).copied().flatten()
    }
}

impl ShardInfo {
    /// Whether an opened shard is the one that the manifest lists.
    pub(crate) fn is(&self, shard: &Shard, spec: &StreamSpec) -> bool {
        shard.trailer_crc32() == self.trailer_crc32
            && shard.file_bytes() == self.bytes
            && shard.clips() == self.clips as usize
            && shard.records() == self.records
            && shard.spec() == spec
    }
}
