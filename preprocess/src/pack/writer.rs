//! Writes encoded clips into the planned shards, and collects the entries of the manifest.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use clipshard::{
    Attributes, Clip, EncodedRecord, Manifest, ShardClip, ShardInfo, ShardMetadata, ShardWriter, Storage, Stream,
};

use super::difference::attributes_difference;
use super::plan::{StreamPlan, shard_file};
use crate::error::{Error, Problem, Result, Setting};
use crate::lists::ListedClip;
use crate::stream::StreamKind;

/// Writes clips into the planned shards.
pub(crate) struct Writer<'a> {
    storage: Arc<dyn Storage>,
    dir: &'a Path,
    metadata: &'a ShardMetadata,
    plans: &'a [StreamPlan],
    streams: Vec<StreamWriter>,
    clips: BTreeMap<usize, Clip>,
    groups: BTreeMap<String, String>,
}

struct StreamWriter {
    kind: StreamKind,
    open: Option<(u32, ShardWriter, ShardMetadata)>,
    done: BTreeMap<u32, ShardInfo>,
}

impl<'a> Writer<'a> {
    /// Creates a writer of shards in `dir`. `metadata` has no clips and groups; each shard gets its
    /// own.
    pub fn new(
        storage: Arc<dyn Storage>,
        dir: &'a Path,
        streams: impl IntoIterator<Item = StreamKind>,
        plans: &'a [StreamPlan],
        metadata: &'a ShardMetadata,
    ) -> Self {
        let stream = |kind| StreamWriter { kind, open: None, done: BTreeMap::new() };
        Self {
            storage,
            dir,
            metadata,
            plans,
            streams: streams.into_iter().map(stream).collect(),
            clips: BTreeMap::new(),
            groups: BTreeMap::new(),
        }
    }

    /// Adds a shard that was finished earlier: number `shard` of stream number `stream`.
    pub fn keep_shard(&mut self, stream: usize, shard: u32, info: ShardInfo) {
        self.streams[stream].done.insert(shard, info);
    }

    /// Adds the frames of a clip in a shard that was finished earlier.
    pub fn keep_clip(
        &mut self,
        clip: usize,
        listed: &ListedClip,
        attributes: &Attributes,
        stream: usize,
        frames: u32,
    ) -> Result<()> {
        let name = self.streams[stream].kind.name();
        self.clip(clip, listed, attributes)?.frames.insert(name.to_owned(), frames);
        Ok(())
    }

    /// Returns the entry of a clip. Returns an error if a finished shard gives it other attributes,
    /// because its video was replaced since.
    fn clip(&mut self, clip: usize, listed: &ListedClip, attributes: &Attributes) -> Result<&mut Clip> {
        let clip = self.clips.entry(clip).or_insert_with(|| {
            self.groups.extend(listed.id_and_group());
            let mut clip = Clip::new(listed.id.clone(), listed.label, listed.subsets.clone());
            clip.attributes = attributes.clone();
            clip
        });
        match attributes_difference(&clip.attributes, attributes) {
            None => Ok(clip),
            Some(difference) => {
                let what = format!("the video of {} changed: {difference}; start again with ", listed.id);
                Err(Error::Input(Problem::from(what).name(Setting::Overwrite)))
            }
        }
    }

    /// Adds a clip to the streams that it has records for. `clip` is its number in the plan; calls
    /// must have ascending numbers. `attributes` replace those of the lists.
    pub fn add(
        &mut self,
        clip: usize,
        listed: &ListedClip,
        attributes: &Attributes,
        records: &[Option<Vec<EncodedRecord>>],
    ) -> Result<()> {
        for (stream, records) in records.iter().enumerate() {
            let Some(records) = records else { continue };
            let shard = self.plans[stream].shard_of[clip];
            let out = &mut self.streams[stream];
            if out.open.as_ref().is_some_and(|(open, ..)| *open != shard) {
                out.close()?;
            }
            let (_, writer, shard_metadata) = match &mut out.open {
                Some(open) => open,
                none => {
                    let path = self.dir.join(shard_file(out.kind, shard));
                    let writer = ShardWriter::create_in(Arc::clone(&self.storage), &path, &out.kind.spec())?;
                    none.insert((shard, writer, self.metadata.clone()))
                }
            };
            writer.add_clip(&listed.id, records)?;
            shard_metadata.groups.extend(listed.id_and_group());
            let mut described = ShardClip::new(listed.label, listed.subsets.clone());
            described.attributes = attributes.clone();
            shard_metadata.clips.push(described);
            let (name, frames) = (out.kind.name(), records.len() as u32 / u32::from(out.kind.planes()));
            self.clip(clip, listed, attributes)?.frames.insert(name.to_owned(), frames);
        }
        Ok(())
    }

    /// Closes the last shards and returns the manifest, which is not written yet.
    pub fn finish(mut self) -> Result<Manifest> {
        for stream in &mut self.streams {
            stream.close()?;
        }
        let stream = |s: StreamWriter| Stream::new(s.kind.spec(), s.done.into_values().collect());
        let ShardMetadata { dataset, classes, splits, build, attributes, .. } = self.metadata.clone();
        let mut manifest = Manifest::new(dataset, classes, splits);
        (manifest.build, manifest.attributes) = (build, attributes);
        manifest.streams = self.streams.into_iter().map(stream).collect();
        manifest.clips = self.clips.into_values().collect();
        manifest.groups = self.groups;
        Ok(manifest)
    }
}

impl StreamWriter {
    fn close(&mut self) -> Result<()> {
        if let Some((shard, writer, shard_metadata)) = self.open.take() {
            self.done.insert(shard, writer.finish(&shard_metadata)?);
        }
        Ok(())
    }
}
