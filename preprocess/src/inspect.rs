//! Describes the content of a packed dataset.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use clipshard::{Attributes, Codec, Dataset, Filter, RecordInfo, Shape, Subset};
use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::lists::clip_key;
use crate::quantity::show_count;

/// Statistics of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// Name of the dataset.
    pub dataset: String,
    /// Attributes of the dataset.
    pub attributes: Attributes,
    /// Number of clips.
    pub clips: usize,
    /// Number of clips without a label.
    pub unlabelled: usize,
    /// Classes in the order of their labels.
    pub classes: Vec<ClassSummary>,
    /// Splits.
    pub splits: Vec<SplitSummary>,
    /// Number of groups of clips.
    pub groups: usize,
    /// Streams.
    pub streams: Vec<StreamSummary>,
    /// Options and versions that decided the content.
    pub build: BTreeMap<String, Value>,
}

/// Statistics of a class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ClassSummary {
    /// Name of the class.
    pub name: String,
    /// Number of clips.
    pub clips: usize,
}

/// Statistics of a split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SplitSummary {
    /// Name of the split, such as `1`.
    pub name: String,
    /// Number of clips in each subset: train, test, and all that occur in some split.
    pub subsets: BTreeMap<Subset, usize>,
}

/// Statistics of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StreamSummary {
    /// Name of the stream.
    pub name: String,
    /// Number of clips with this stream.
    pub clips: usize,
    /// Statistics of all records.
    #[serde(flatten)]
    pub records: RecordSummary,
    /// Shards of the stream.
    pub shards: Vec<ShardSummary>,
}

/// Statistics of records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RecordSummary {
    /// Number of frames.
    pub frames: u64,
    /// Number of records: frames times planes.
    pub records: u64,
    /// Stored bytes, without indexes.
    pub bytes: u64,
    /// Stored bytes of the smallest record.
    pub smallest: u32,
    /// Stored bytes of the largest record.
    pub largest: u32,
    /// Number of records per codec, with its filter: `jpeg`, `zstd+up`.
    pub codecs: BTreeMap<String, u64>,
    /// Number of records per image size, `WIDTHxHEIGHTxCHANNELS`.
    pub sizes: BTreeMap<String, u64>,
}

/// Statistics of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ShardSummary {
    /// Name of the file.
    pub file: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Number of clips.
    pub clips: u32,
    /// Number of records.
    pub records: u64,
}

/// Statistics of a clip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ClipSummary {
    /// Id of the clip.
    pub clip: String,
    /// Label of the class, if the clip has one.
    pub label: Option<u32>,
    /// Name of the class.
    pub class: Option<String>,
    /// Subset in each split, by the name of the split.
    pub subsets: BTreeMap<String, Subset>,
    /// Group of the clip, if it has one.
    pub group: Option<String>,
    /// Attributes of the clip.
    pub attributes: Attributes,
    /// Streams of the clip.
    pub streams: Vec<ClipStream>,
}

/// Statistics of one stream of a clip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClipStream {
    /// Name of the stream.
    pub name: String,
    /// Name of the shard that holds it.
    pub shard: String,
    /// Statistics of the records.
    #[serde(flatten)]
    pub records: RecordSummary,
}

/// Returns the statistics of a dataset. Reads indexes, but no images.
///
/// # Errors
/// Returns [`Error::Format`] if an index is damaged.
pub fn summarise(data: &Dataset) -> Result<Summary> {
    let manifest = data.manifest();
    let mut classes: Vec<ClassSummary> =
        manifest.classes.iter().map(|name| ClassSummary { name: name.clone(), clips: 0 }).collect();
    for label in manifest.clips.iter().filter_map(|clip| clip.label) {
        classes[label as usize].clips += 1;
    }
    let none: BTreeMap<Subset, usize> = manifest
        .clips
        .iter()
        .flat_map(|clip| clip.subsets.iter().cloned())
        .chain([Subset::Train, Subset::Test])
        .map(|subset| (subset, 0))
        .collect();
    let splits = manifest.splits.iter().enumerate().map(|(split, name)| {
        let mut subsets = none.clone();
        for subset in manifest.clips.iter().filter_map(|clip| clip.subsets.get(split)) {
            subsets.entry(subset.clone()).and_modify(|clips| *clips += 1);
        }
        SplitSummary { name: name.clone(), subsets }
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
        attributes: manifest.attributes.clone(),
        clips: manifest.clips.len(),
        unlabelled: manifest.clips.iter().filter(|clip| clip.label.is_none()).count(),
        classes,
        splits: splits.collect(),
        groups: manifest.groups.values().collect::<BTreeSet<_>>().len(),
        streams,
        build: manifest.build.clone(),
    })
}

/// Returns the number of a clip. Case, a class folder before the id and `.avi` after it do not matter.
///
/// # Errors
/// Returns [`Error::Usage`] with the id of a similar clip if there is no such clip.
pub fn find_clip(data: &Dataset, id: &str) -> Result<usize> {
    let name = id.rsplit('/').next().unwrap_or(id);
    let key = clip_key(name.strip_suffix(".avi").unwrap_or(name));
    let clips = &data.manifest().clips;
    data.find_clip(id).or_else(|| clips.iter().position(|clip| clip_key(&clip.id) == key)).ok_or_else(|| {
        let near = clips
            .iter()
            .find(|clip| clip_key(&clip.id).starts_with(key.trim_end_matches(|c: char| c.is_ascii_digit())));
        let example = near.or(clips.first()).map_or("", |clip| &clip.id);
        Error::usage(match clips.len() {
            1 => format!("there is no clip {id}; the only clip is {example}"),
            count => {
                format!("there is no clip {id} among the {} clips; one of them is {example}", show_count(count as u64))
            }
        })
    })
}

/// Returns the statistics of the clip with this number.
///
/// # Errors
/// Returns [`Error::Format`] if an index is damaged.
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
        class: clip.label.map(|label| manifest.classes[label as usize].clone()),
        group: manifest.groups.get(&clip.id).cloned(),
        attributes: clip.attributes.clone(),
        subsets: manifest.splits.iter().cloned().zip(clip.subsets.iter().cloned()).collect(),
        streams,
    })
}

impl RecordSummary {
    fn add(&mut self, clip: &clipshard::ClipRecords<'_>) -> Result<()> {
        self.frames += clip.frame_count() as u64;
        let mut sizes: HashMap<Shape, u64> = HashMap::new();
        for frame in 0..clip.frame_count() {
            for plane in 0..clip.planes() {
                let RecordInfo { stored_bytes: bytes, codec, filter, shape, .. } = clip.info(frame, plane)?;
                *sizes.entry(shape).or_default() += 1;
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

    /// Returns the mean number of stored bytes per record.
    pub fn mean_bytes(&self) -> u64 {
        self.bytes / self.records.max(1)
    }
}

fn stored_as(codec: Codec, filter: Filter) -> &'static str {
    match (codec, filter) {
        (Codec::Zstd, Filter::Up) => "zstd+up",
        (Codec::Lz4, Filter::Up) => "lz4+up",
        (Codec::Zstd, Filter::Shuffle) => "zstd+shuffle",
        (Codec::Lz4, Filter::Shuffle) => "lz4+shuffle",
        (Codec::Zstd, Filter::UpShuffle) => "zstd+up-shuffle",
        (Codec::Lz4, Filter::UpShuffle) => "lz4+up-shuffle",
        (codec, _) => codec.name(),
    }
}
