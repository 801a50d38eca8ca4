//! Writes a whole dataset: shards of all streams, their rotation, and the manifest.

mod clip;
mod edit;
mod finish;
mod folder;
mod journal;
mod open;
mod options;
mod rewrite;
mod rotation;
mod state;
mod workers;

pub use clip::{Images, NewClip};
pub use options::{DatasetInfo, WriteOptions};

use crate::codec::{EncodeOptions, EncodedRecord};
use crate::error::{Error, Result};
use crate::manifest::StreamSpec;
use crate::writer::check_records;
use clip::Described;
use folder::Folder;
use journal::{Journal, JournalStream, ListedShard};
use rotation::Rotation;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use workers::{Encoders, Workers};

/// A writer of a dataset: it writes the shards and the manifest, and refuses what a reader would
/// refuse.
///
/// The shards of all streams rotate together: shard 3 of `rgb` and shard 3 of `flow` have the same
/// clips. The manifest is the one that [`Manifest::rebuild`](crate::Manifest::rebuild) returns.
///
/// # When writing is interrupted
///
/// A dataset appears, or changes, only when [`DatasetWriter::finish`] writes the manifest. Until
/// then the folder has finished shards and the file `.writing.json`, which says what is complete.
/// [`DatasetWriter::resume`] continues from there, after a crash or if a writer was dropped. Clips
/// of unfinished shards are lost, so ask [`DatasetWriter::contains`] which clips are there:
///
/// ```
/// use clipshard::{DatasetInfo, DatasetWriter, EncodeOptions, ImageSize, Images, NewClip, StreamSpec, Subset};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let dir = folder.path();
/// let mut writer = if DatasetWriter::is_interrupted(dir) {
///     DatasetWriter::resume(dir)?
/// } else {
///     DatasetWriter::create(dir, DatasetInfo::new("waves", ["Wave"], ["1"]))?
/// };
/// writer.add_stream(StreamSpec::rgb(), EncodeOptions::zstd(3))?;
/// let size = ImageSize { width: 32, height: 24, channels: 3 };
/// for id in ["v_Wave_g01_c01", "v_Wave_g01_c02"] {
///     if !writer.contains(id) {
///         let frames = vec![vec![9; size.bytes()]; 16];
///         writer.add_images(&NewClip::new(id, 0, vec![Subset::Train]), &[("rgb", Images::new(size, &frames))])?;
///     }
/// }
/// assert_eq!(writer.finish()?.clips.len(), 2);
/// # Ok::<(), clipshard::Error>(())
/// ```
///
/// # Changing a dataset
///
/// [`DatasetWriter::append`] opens a dataset to add clips, classes and streams, to remove clips and
/// to merge small shards. Programs that have the dataset open keep what they opened. The numbers of
/// clips stay the same if clips are only added.
///
/// ```
/// # use clipshard::{Dataset, DatasetInfo, DatasetWriter, EncodeOptions, ImageSize, Images, NewClip, StreamSpec};
/// # let folder = tempfile::tempdir().unwrap();
/// # let dir = folder.path();
/// # let mut writer = DatasetWriter::create(dir, DatasetInfo::new("waves", ["Wave"], [""; 0]))?;
/// # writer.add_stream(StreamSpec::flow(), EncodeOptions::zstd(3))?;
/// # let size = ImageSize { width: 32, height: 24, channels: 1 };
/// # let (x, y) = (vec![1; size.bytes()], vec![2; size.bytes()]);
/// # for id in ["v_Wave_g01_c01", "v_Wave_g01_c02"] {
/// #     writer.add_images(&NewClip::new(id, 0, vec![]), &[("flow", Images::new(size, [&x, &y]))])?;
/// # }
/// # writer.finish()?;
/// let mut writer = DatasetWriter::append(dir)?;
/// writer.remove_clips(["v_Wave_g01_c01"])?;
/// writer.compact()?;
/// writer.finish()?;
/// assert_eq!(Dataset::open(dir)?.find_clip("v_Wave_g01_c02"), Some(0));
/// # Ok::<(), clipshard::Error>(())
/// ```
pub struct DatasetWriter {
    folder: Folder,
    /// The state that survives a crash, except for [`Self::kept`].
    journal: Journal,
    /// Whether the file of the journal exists.
    has_journal: bool,
    /// Whether the file of the journal lacks a change that new shards depend on.
    is_stale: bool,
    /// The shards of the dataset to which this writer appends, without the obsolete ones.
    kept: Vec<ListedShard>,
    streams: BTreeMap<String, OpenStream>,
    /// Ids of all clips of the new dataset.
    ids: HashSet<String>,
    rotation: Option<Rotation>,
    /// Number of the next shards.
    next: u64,
    workers: Workers,
    /// A write has failed. The state of the folder is then unknown.
    has_failed: bool,
}

/// A stream to which clips can be added.
struct OpenStream {
    spec: StreamSpec,
    encoders: Option<Encoders>,
}

impl fmt::Debug for DatasetWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatasetWriter")
            .field("dir", &self.folder.path)
            .field("streams", &self.streams.keys())
            .field("clips", &self.ids.len())
            .finish_non_exhaustive()
    }
}

impl DatasetWriter {
    /// Returns whether the dataset will have a clip with this id.
    ///
    /// After [`DatasetWriter::resume`], these are the clips whose records are all on the disk.
    pub fn contains(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// Returns the number of clips that the dataset will have.
    pub fn clip_count(&self) -> usize {
        self.ids.len()
    }

    /// Returns the names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.journal.dataset.classes
    }

    /// Adds a stream, or sets how [`DatasetWriter::add_images`] encodes a stream that the dataset
    /// has already.
    ///
    /// A stream that gets only encoded records needs no options: pass `None`. The manifest lists
    /// streams that have records.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Usage`] if the format does not allow the stream, if the dataset has a
    /// stream with this name and other records, or if [`Encoder::new`](crate::Encoder::new) refuses
    /// the options.
    pub fn add_stream(&mut self, spec: StreamSpec, encode: impl Into<Option<EncodeOptions>>) -> Result<()> {
        self.open_stream(spec, encode.into())
    }

    fn open_stream(&mut self, spec: StreamSpec, encode: Option<EncodeOptions>) -> Result<()> {
        spec.check().map_err(Error::Usage)?;
        if let Some(known) = self.streams.get(&spec.name).filter(|known| known.spec != spec) {
            let (name, known) = (&spec.name, &known.spec);
            return Err(self.folder.usage(&format!("stream {name} exists as {known}; it cannot also be {spec}")));
        }
        if let Some(options) = encode.filter(|options| !options.filter.fits(options.codec, spec.samples)) {
            let EncodeOptions { codec, filter, .. } = options;
            let what = format!("stream {}: codec {codec} with filter {filter} does not fit its samples", spec.name);
            return Err(self.folder.usage(&format!("{what}; use EncodeOptions::for_samples")));
        }
        let encoders = encode.map(Encoders::new).transpose()?;
        self.journal.streams.retain(|stream| stream.spec.name != spec.name);
        self.journal.streams.push(JournalStream::new(spec.clone(), encode));
        self.is_stale = true;
        self.streams.insert(spec.name.clone(), OpenStream { spec, encoders });
        Ok(())
    }

    /// Adds a clip with its encoded records. `records` has, for one or more streams, the name of the
    /// stream and its records: frame after frame and plane after plane.
    ///
    /// Records of other encoders, from [`EncodedRecord::from_stored`] and
    /// [`EncodedRecord::from_jpeg`], are decoded once on all cores. Records of this crate's encoder
    /// and records that were copied from a shard are not.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Usage`] if the dataset has a clip with this id, or if the description breaks
    /// a rule of the format. Returns it also if a stream was not added, or if a record does not fit
    /// its stream or is not what it says. The dataset then stays as it was. After another error,
    /// drop the writer and resume.
    ///
    /// # Example
    ///
    /// ```
    /// use clipshard::{DatasetInfo, DatasetWriter, EncodedRecord, NewClip, StreamSpec, Subset};
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let dir = folder.path();
    /// let mut writer = DatasetWriter::create(dir, DatasetInfo::new("waves", ["Wave"], ["1"]))?;
    /// writer.add_stream(StreamSpec::rgb(), None)?;
    /// let file = std::fs::read("tests/golden/wave.jpg").unwrap();
    /// let frames = [EncodedRecord::from_jpeg(file).unwrap()];
    /// writer.add_clip(&NewClip::new("v_Wave_g01_c01", 0, vec![Subset::Train]), &[("rgb", &frames)])?;
    /// writer.finish()?;
    /// # Ok::<(), clipshard::Error>(())
    /// ```
    pub fn add_clip(&mut self, clip: &NewClip, records: &[(&str, &[EncodedRecord])]) -> Result<()> {
        let described = self.check_clip(clip, records.iter().map(|(stream, _)| *stream))?;
        for (stream, records) in records {
            let OpenStream { spec, .. } = self.stream(clip, stream)?;
            let usage = |fault: String| Error::Usage(format!("clip {}: {fault}", clip.id));
            check_records(spec, records).map_err(usage)?;
            self.workers
                .check(records)
                .map_err(|(number, fault)| usage(format!("{} is not what it says: {fault}", place_of(spec, number))))?;
        }
        self.write(described, records)
    }

    /// Encodes the frames of a clip on all cores, and adds the clip. `images` has the name of the
    /// stream and its frames for one or more streams.
    ///
    /// The stored bytes do not depend on the number of threads.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`DatasetWriter::add_clip`] and [`DatasetWriter::encode`].
    pub fn add_images(&mut self, clip: &NewClip, images: &[(&str, Images<'_>)]) -> Result<()> {
        // A clip that will be refused is not encoded first.
        self.check_clip(clip, images.iter().map(|(stream, _)| *stream))?;
        let encoded = images.iter().map(|(stream, images)| self.encode(clip, stream, images));
        let encoded = encoded.collect::<Result<Vec<_>>>()?;
        let records: Vec<(&str, &[EncodedRecord])> =
            images.iter().zip(&encoded).map(|((stream, _), records)| (*stream, records.as_slice())).collect();
        self.add_clip(clip, &records)
    }

    /// Encodes the frames of a clip in one stream on all cores, without adding them.
    ///
    /// [`DatasetWriter::add_clip`] takes the result. This is useful if the clip has encoded records
    /// in another stream. `clip` is only named in errors.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Usage`] if the stream was not added with [`EncodeOptions`], or if an image
    /// cannot be encoded for it.
    pub fn encode(&self, clip: &NewClip, stream: &str, images: &Images<'_>) -> Result<Vec<EncodedRecord>> {
        let OpenStream { spec, encoders } = self.stream(clip, stream)?;
        let id = &clip.id;
        let Some(encoders) = encoders else {
            let what = "was added without EncodeOptions; add it with options, or add encoded records";
            return Err(Error::Usage(format!("clip {id}: stream {stream} {what}")));
        };
        let other = images.records.iter().position(|(shape, _)| !spec.accepts(shape));
        if let Some(number) = other {
            let (place, (shape, _)) = (place_of(spec, number), &images.records[number]);
            return Err(Error::Usage(format!("clip {id}: {place}: {shape} does not fit the stream ({spec})")));
        }
        self.workers.encode(encoders, images).map_err(|(number, error)| match *error {
            Error::Usage(fault) => Error::Usage(format!("clip {id}: {}: {fault}", place_of(spec, number))),
            other => other,
        })
    }

    fn stream(&self, clip: &NewClip, name: &str) -> Result<&OpenStream> {
        self.streams.get(name).ok_or_else(|| {
            let known = self.streams.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { "none" } else { &known };
            Error::Usage(format!("clip {}: stream {name} was not added with add_stream; added: {known}", clip.id))
        })
    }

    /// Checks everything about a new clip except for its records.
    fn check_clip<'a>(&self, clip: &NewClip, streams: impl Iterator<Item = &'a str>) -> Result<Described> {
        self.check_usable()?;
        let described = clip.describe(&self.journal.dataset)?;
        let usage = |what: String| Err(Error::Usage(format!("clip {}: {what}", clip.id)));
        if self.ids.contains(&clip.id) {
            return usage("the dataset has a clip with this id already".into());
        }
        let mut seen = HashSet::new();
        for stream in streams {
            self.stream(clip, stream)?;
            if !seen.insert(stream) {
                return usage(format!("stream {stream} is given twice"));
            }
        }
        if seen.is_empty() {
            return usage("it has no records; give the records of at least one stream".into());
        }
        Ok(described)
    }

    /// Writes a checked clip, and finishes the shards if they are full.
    fn write(&mut self, clip: Described, records: &[(&str, &[EncodedRecord])]) -> Result<()> {
        self.save_journal()?;
        let rotation = self.rotation.get_or_insert_with(|| Rotation::new(self.next));
        self.has_failed = true;
        for (stream, records) in records {
            if let Some(OpenStream { spec, .. }) = self.streams.get(*stream) {
                rotation.add(&self.folder, spec, &clip, records)?;
            }
        }
        self.has_failed = false;
        let is_full = rotation.is_full(self.journal.shard_bytes);
        self.ids.insert(clip.id);
        if is_full { self.close_rotation() } else { Ok(()) }
    }

    /// Finishes the current shards.
    fn close_rotation(&mut self) -> Result<()> {
        let Some(rotation) = self.rotation.take() else { return Ok(()) };
        self.has_failed = true;
        let mut made = Vec::new();
        self.next = rotation.number + 1;
        rotation.finish(&self.journal.dataset, &mut made)?;
        self.journal.shards.append(&mut made);
        self.is_stale = true;
        self.has_failed = false;
        self.save_journal()
    }

    /// Writes the journal if its file lacks a change.
    fn save_journal(&mut self) -> Result<()> {
        if !self.is_stale {
            return Ok(());
        }
        self.has_failed = true;
        self.journal.write(&self.folder)?;
        (self.has_journal, self.is_stale, self.has_failed) = (true, false, false);
        Ok(())
    }

    fn check_usable(&self) -> Result<()> {
        if self.has_failed {
            let what = "an earlier write failed; drop this writer and continue with DatasetWriter::resume";
            return Err(self.folder.usage(what));
        }
        Ok(())
    }
}

/// Names a record of a clip by its number among the records of a stream.
fn place_of(spec: &StreamSpec, number: usize) -> String {
    let planes = usize::from(spec.planes.max(1));
    format!("stream {}, frame {}, plane {}", spec.name, number / planes, number % planes)
}
