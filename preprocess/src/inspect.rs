//! What is inside a packed data set.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use clipshard::{Codec, Dataset, Filter, ImageSize, RecordInfo, Subset};
use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::lists::clip_key;

/// A data set in numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// Its name.
    pub dataset: String,
    /// Clips.
    pub clips: usize,
    /// Classes in the order of their labels.
    pub classes: Vec<ClassSummary>,
    /// Splits.
    pub splits: Vec<SplitSummary>,
    /// Different groups of clips.
    pub groups: usize,
    /// Streams.
    pub streams: Vec<StreamSummary>,
    /// What decided the content.
    pub build: BTreeMap<String, Value>,
}

/// A class and its clips.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ClassSummary {
    /// Its name.
    pub name: String,
    /// Clips.
    pub clips: usize,
}

/// A split and its clips.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SplitSummary {
    /// Its name, e.g. `1`.
    pub name: String,
    /// Clips to learn from.
    pub train: usize,
    /// Clips to test on.
    pub test: usize,
    /// Neither.
    pub unused: usize,
}

/// A stream and its records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StreamSummary {
    /// Its name.
    pub name: String,
    /// Clips that have it.
    pub clips: usize,
    /// Records of all its shards.
    #[serde(flatten)]
    pub records: RecordSummary,
    /// Its shards.
    pub shards: Vec<ShardSummary>,
}

/// Records in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RecordSummary {
    /// Frames.
    pub frames: u64,
    /// Records: frames times planes.
    pub records: u64,
    /// Stored bytes, without indexes.
    pub bytes: u64,
    /// Stored bytes of the smallest record.
    pub smallest: u32,
    /// Stored bytes of the largest record.
    pub largest: u32,
    /// Records by codec, with the filter where there is one: `jpeg`, `zstd+up`.
    pub codecs: BTreeMap<String, u64>,
    /// Records by size, `WIDTHxHEIGHTxCHANNELS`.
    pub sizes: BTreeMap<String, u64>,
}

/// A shard file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ShardSummary {
    /// Its name.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// Clips.
    pub clips: u32,
    /// Records.
    pub records: u64,
}

/// One clip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ClipSummary {
    /// Its id.
    pub clip: String,
    /// Its label.
    pub label: u32,
    /// Its class.
    pub class: String,
    /// Its part in each split.
    pub subsets: BTreeMap<String, Subset>,
    /// Its group, if it is in one.
    pub group: Option<String>,
    /// Its streams.
    pub streams: Vec<ClipStream>,
}

/// One stream of one clip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClipStream {
    /// Its name.
    pub name: String,
    /// The file that holds it.
    pub shard: String,
    /// Its records.
    #[serde(flatten)]
    pub records: RecordSummary,
}

/// Counts everything in a data set. Reads indexes, no images.
pub fn summarise(data: &Dataset) -> Result<Summary> {
    let manifest = data.manifest();
    let mut classes: Vec<ClassSummary> =
        manifest.classes.iter().map(|name| ClassSummary { name: name.clone(), clips: 0 }).collect();
    for clip in &manifest.clips {
        classes[clip.label as usize].clips += 1;
    }
    let splits = manifest.splits.iter().enumerate().map(|(split, name)| {
        let count = |subset| manifest.clips.iter().filter(|clip| clip.subsets[split] == subset).count();
        let (train, test, unused) = (count(Subset::Train), count(Subset::Test), count(Subset::Unused));
        SplitSummary { name: name.clone(), train, test, unused }
    });
    let mut streams = Vec::new();
    for stream in &manifest.streams {
        let name = &stream.spec.name;
        let mut summary = StreamSummary {
            name: name.clone(),
            clips: 0,
            records: RecordSummary::default(),
            shards: stream
                .shards
                .iter()
                .map(|s| ShardSummary { file: s.file.clone(), bytes: s.bytes, clips: s.clips, records: s.records })
                .collect(),
        };
        for (number, _) in manifest.clips.iter().enumerate().filter(|(_, clip)| clip.frames.contains_key(name)) {
            summary.clips += 1;
            summary.records.add(&data.clip(name, number)?)?;
        }
        streams.push(summary);
    }
    Ok(Summary {
        dataset: manifest.dataset.clone(),
        clips: manifest.clips.len(),
        classes,
        splits: splits.collect(),
        groups: manifest.groups.values().collect::<BTreeSet<_>>().len(),
        streams,
        build: manifest.build.clone(),
    })
}

/// Finds a clip; upper and lower case, a class directory and `.avi` do not matter.
pub fn find_clip(data: &Dataset, id: &str) -> Result<usize> {
    let name = id.rsplit('/').next().unwrap_or(id);
    let key = clip_key(name.strip_suffix(".avi").unwrap_or(name));
    let clips = &data.manifest().clips;
    data.find_clip(id).or_else(|| clips.iter().position(|clip| clip_key(&clip.id) == key)).ok_or_else(|| {
        let near = clips
            .iter()
            .find(|clip| clip_key(&clip.id).starts_with(key.trim_end_matches(|c: char| c.is_ascii_digit())));
        let example = near.or(clips.first()).map_or("", |clip| &clip.id);
        Error::usage(format!("{id}: no such clip among {}; there is e.g. {example}", clips.len()))
    })
}

/// Counts everything in one clip.
pub fn summarise_clip(data: &Dataset, number: usize) -> Result<ClipSummary> {
    let manifest = data.manifest();
    let clip = &manifest.clips[number];
    let mut streams = Vec::new();
    for stream in manifest.streams.iter().filter(|stream| clip.frames.contains_key(&stream.spec.name)) {
        let name = &stream.spec.name;
        let mut records = RecordSummary::default();
        records.add(&data.clip(name, number)?)?;
        let shard = data.place(name, number).map_or("", |place| &stream.shards[place.shard as usize].file);
        streams.push(ClipStream { name: name.clone(), shard: shard.into(), records });
    }
    Ok(ClipSummary {
        clip: clip.id.clone(),
        label: clip.label,
        class: manifest.classes[clip.label as usize].clone(),
        group: manifest.groups.get(&clip.id).cloned(),
        subsets: manifest.splits.iter().cloned().zip(clip.subsets.iter().copied()).collect(),
        streams,
    })
}

impl RecordSummary {
    fn add(&mut self, clip: &clipshard::ClipRecords<'_>) -> Result<()> {
        self.frames += clip.frame_count() as u64;
        let mut sizes: HashMap<ImageSize, u64> = HashMap::new();
        for frame in 0..clip.frame_count() {
            for plane in 0..clip.planes() {
                let RecordInfo { stored_bytes: bytes, codec, filter, size, .. } = clip.info(frame, plane)?;
                *sizes.entry(size).or_default() += 1;
                self.smallest = if self.records == 0 { bytes } else { self.smallest.min(bytes) };
                self.largest = self.largest.max(bytes);
                self.records += 1;
                self.bytes += u64::from(bytes);
                match self.codecs.get_mut(stored_as(codec, filter)) {
                    Some(records) => *records += 1,
                    None => *self.codecs.entry(stored_as(codec, filter).to_owned()).or_default() = 1,
                }
            }
        }
        for (size, records) in sizes {
            *self.sizes.entry(size.to_string()).or_default() += records;
        }
        Ok(())
    }

    /// Stored bytes of a record on average.
    pub fn mean_bytes(&self) -> u64 {
        self.bytes / self.records.max(1)
    }
}

fn stored_as(codec: Codec, filter: Filter) -> &'static str {
    match (codec, filter) {
        (Codec::Zstd, Filter::Up) => "zstd+up",
        (Codec::Lz4, Filter::Up) => "lz4+up",
        (codec, _) => codec.name(),
    }
}
