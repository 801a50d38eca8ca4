//! Packs a tree of frames: lists and tree give a plan, threads encode clips, one writer fills the shards in order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clipshard::{Clip, Codec, EncodedRecord, Manifest, ShardClip, ShardInfo, ShardMetadata, ShardWriter, Stream};
use serde_json::{Value, json};

use crate::encode::{Check, ClipEncoder, EncodedClip, StreamOptions};
use crate::error::{Error, NotWhole, Result, Skipped};
use crate::lists::{ListedClip, Lists};
use crate::output::{self, Contents, Staging};
use crate::pipeline::run_ordered;
use crate::plan::{StreamPlan, assign, nominal_clip_bytes, shard_file};
use crate::progress::{Watch, Work};
use crate::source::{Absence, ClipFiles, Layout, Location, Scan, Tree};
use crate::stream::StreamKind;

/// Everything that a build is told.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// The data set to make.
    pub out: PathBuf,
    /// Whose lists these are.
    pub dataset: DatasetKind,
    /// Folder of the lists, or the CSV file of custom data; without one the classes of custom data are folders.
    pub lists: Option<PathBuf>,
    /// Where the images are.
    pub location: Location,
    /// `None`: recognise it.
    pub layout: Option<Layout>,
    /// These classes only, in classInd's order.
    pub classes: Option<Vec<String>>,
    /// How RGB is stored.
    pub rgb: StreamOptions,
    /// How flow is stored.
    pub flow: StreamOptions,
    /// How much is checked of JPEGs that are stored as they are.
    pub check: Check,
    /// Shards are closed before they grow larger than this, by nominal sizes.
    pub shard_bytes: u64,
    /// Encoding threads.
    pub jobs: usize,
    /// Pack the whole clips of a tree that is not whole.
    pub keep_going: bool,
    /// Replace a data set that is there.
    pub overwrite: bool,
    /// Plan only; `out` is not written.
    pub dry_run: bool,
}

/// Whose lists say what the clips are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatasetKind {
    /// classInd.txt, trainlist0N.txt, testlist0N.txt.
    Ucf101,
    /// `<class>_test_splitN.txt`.
    Hmdb51,
    /// A CSV file `path,label,split[,group]`, or a class a folder.
    Custom,
}

impl DatasetKind {
    fn read_lists(self, lists: Option<&Path>, tree: &Tree) -> Result<Lists> {
        match (self, lists) {
            (Self::Ucf101, Some(folder)) => Lists::read_ucf101(folder),
            (Self::Hmdb51, Some(folder)) => Lists::read_hmdb51(folder),
            (Self::Custom, Some(file)) => Lists::read_csv(file),
            (Self::Custom, None) => Lists::from_folders(&tree.classed_folders()?, tree.shown()),
            (Self::Ucf101 | Self::Hmdb51, None) => Err(lists_missing()),
        }
    }
}

fn lists_missing() -> Error {
    Error::Usage("--lists DIR is missing: the folder of the official lists; only --dataset custom goes without".into())
}

/// What a build did.
#[derive(Debug, Clone, Default)]
pub struct BuildReport {
    /// Clips packed.
    pub clips: u64,
    /// Records by stream.
    pub records: BTreeMap<String, u64>,
    /// Shards by stream.
    pub shards: BTreeMap<String, u64>,
    /// Bytes of the source images.
    pub bytes_in: u64,
    /// Bytes of all shards; of a dry run their nominal size.
    pub bytes_out: u64,
    /// Time taken.
    pub seconds: f64,
    /// Clips left out, by id.
    pub skipped: Vec<Skipped>,
    /// Things worth a word that are no errors.
    pub notes: Vec<String>,
}

/// Packs a tree. On any error nothing is left at [`BuildOptions::out`], or what was there before.
pub fn build(options: &BuildOptions, watch: Watch<'_>) -> Result<BuildReport> {
    let started = Instant::now();
    output::check(&options.out, options.overwrite)?;
    if options.lists.is_none() && options.dataset != DatasetKind::Custom {
        return Err(lists_missing());
    }
    let source = Tree::open(&options.location, options.layout)?;
    let mut lists = options.dataset.read_lists(options.lists.as_deref(), &source)?;
    if let Some(classes) = &options.classes {
        lists.keep_classes(classes)?;
    }
    let scan = source.scan(&lists.clips, watch)?;
    let mut job = Job::new(options, &source, lists, scan)?;
    for folder in output::leftovers(&options.out) {
        let folder = folder.display();
        job.report
            .notes
            .push(format!("{folder} is of a build that was cut off, or still runs; remove it if none does"));
    }
    if !options.dry_run {
        job.pack(watch)?;
    }
    job.report.seconds = started.elapsed().as_secs_f64();
    Ok(job.report)
}

/// A build under way.
struct Job<'a> {
    options: &'a BuildOptions,
    shown: &'a str,
    streams: Vec<(StreamKind, StreamOptions)>,
    plans: Vec<StreamPlan>,
    lists: Lists,
    /// One for each listed clip; `None` is left out.
    files: Vec<Option<ClipFiles>>,
    weights: Vec<u64>,
    metadata: ShardMetadata,
    report: BuildReport,
}

impl<'a> Job<'a> {
    /// Plans a build from what was listed and found.
    fn new(options: &'a BuildOptions, source: &'a Tree, lists: Lists, scan: Scan) -> Result<Self> {
        let streams: Vec<(StreamKind, StreamOptions)> = source
            .streams()
            .into_iter()
            .map(|kind| (kind, if kind == StreamKind::Rgb { options.rgb } else { options.flow }))
            .collect();
        let nominal = |stream: usize, clip: usize| {
            let (kind, options) = &streams[stream];
            nominal_clip_bytes(*kind, options, scan.clips[clip].nominal_frames[stream])
        };
        let clips = 0..scan.clips.len();
        let plans: Vec<StreamPlan> = (0..streams.len())
            .map(|stream| assign(clips.clone().map(|clip| nominal(stream, clip)), options.shard_bytes))
            .collect();
        let weights = clips.map(|clip| (0..streams.len()).map(|stream| nominal(stream, clip)).sum()).collect();
        let mut report = BuildReport::default();
        report.notes.extend(source.found().iter().chain(&scan.notes).chain(&lists.notes).cloned());
        if scan.unlisted > 0 && options.classes.is_none() {
            report.notes.push(format!(
                "{} clip folders of {} are in no list; they are left out",
                scan.unlisted,
                source.shown()
            ));
        }
        let (mut files, mut faults) = (Vec::new(), Vec::new());
        for (listed, scanned) in lists.clips.iter().zip(scan.clips) {
            let skipped = |reason| Skipped { clip: listed.id.clone(), reason };
            match scanned.files {
                Ok(found) => {
                    files.push(Some(found));
                    continue;
                }
                Err(Absence::Short(reason)) => report.skipped.push(skipped(reason)),
                Err(Absence::Fault(reason)) => faults.push(skipped(reason)),
            }
            files.push(None);
        }
        let metadata = ShardMetadata {
            dataset: lists.dataset.into(),
            classes: lists.classes.clone(),
            splits: lists.splits.clone(),
            build: content_options(options, &source.layout(), &streams),
            clips: Vec::new(),
        };
        let mut job = Self { options, shown: source.shown(), streams, plans, lists, files, weights, metadata, report };
        job.leave_out(faults)?;
        job.count();
        Ok(job)
    }

    /// Clips that are not whole end the build, unless it is to keep going.
    fn leave_out(&mut self, faults: Vec<Skipped>) -> Result<()> {
        if !faults.is_empty() && !self.options.keep_going {
            let asked = self.lists.clips.len();
            return Err(Error::NotWhole(NotWhole { faults, asked, tree: self.shown.into() }));
        }
        self.report.skipped.extend(faults);
        self.report.skipped.sort_by(|a, b| a.clip.cmp(&b.clip));
        if self.report.skipped.len() == self.lists.clips.len() {
            return Err(Error::Input(format!(
                "{}: none of the {} clips can be packed; the first: {}: {}",
                self.shown,
                self.lists.clips.len(),
                self.report.skipped[0].clip,
                self.report.skipped[0].reason
            )));
        }
        Ok(())
    }

    /// Counts what the plan holds, for dry runs and the progress bar.
    fn count(&mut self) {
        self.report.clips = self.files.iter().flatten().count() as u64;
        for (stream, (kind, _)) in self.streams.iter().enumerate() {
            let frames = self.files.iter().flatten().map(|clip| u64::from(clip.streams[stream].frames));
            self.report.records.insert(kind.name().into(), frames.sum::<u64>() * u64::from(kind.planes()));
            let plan = &self.plans[stream];
            self.report.shards.insert(kind.name().into(), plan.shard_of.last().map_or(0, |&last| u64::from(last) + 1));
            self.report.bytes_out += plan.nominal_bytes;
        }
    }

    fn pack(&mut self, watch: Watch<'_>) -> Result<()> {
        let staging = Staging::new(&self.options.out, self.options.overwrite, Contents::DataSet)?;
        let mut writer = Writer::new(staging.path(), &self.streams, &self.plans, &self.metadata);
        let mut faults = Vec::new();
        let mut totals = EncodedClip::default();
        let mut odd_clips = 0;
        let total = Work { clips: self.report.clips, images: self.report.records.values().sum(), bytes: 0 };
        watch.progress.begin("packing", total);
        // Once the build cannot succeed, the remaining clips are only checked, so that the error names all of them.
        let storing = AtomicBool::new(true);
        let outcome = run_ordered(
            &self.weights,
            self.options.jobs,
            watch.cancel,
            || ClipEncoder::new(&self.streams, self.options.check, watch.cancel),
            |encoder, clip| match &self.files[clip] {
                Some(files) => encoder.encode(files, storing.load(Ordering::Relaxed)).map(Some),
                None => Ok(None),
            },
            |clip, encoded| {
                let Some(encoded) = encoded else { return Ok(()) };
                let listed = &self.lists.clips[clip];
                match encoded {
                    Ok(encoded) => {
                        totals.bytes_in += encoded.bytes_in;
                        odd_clips += u64::from(encoded.odd_channels);
                        watch.progress.add(Work { clips: 1, images: encoded.images, bytes: encoded.bytes_in });
                        if storing.load(Ordering::Relaxed) {
                            writer.add(clip, listed, &encoded.streams)?;
                        }
                    }
                    Err(reason) => {
                        storing.store(self.options.keep_going, Ordering::Relaxed);
                        faults.push(Skipped { clip: listed.id.clone(), reason });
                    }
                }
                Ok(())
            },
        );
        watch.progress.end();
        outcome?;
        let manifest = if storing.into_inner() { Some(writer.finish()?) } else { None };
        self.leave_out(faults)?;
        if let Some(manifest) = manifest {
            manifest.write(staging.path())?;
            if watch.cancel.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            staging.commit()?;
            self.summarise(&manifest, totals.bytes_in, odd_clips);
        }
        Ok(())
    }

    fn summarise(&mut self, manifest: &Manifest, bytes_in: u64, odd_clips: u64) {
        let shards = || manifest.streams.iter().flat_map(|stream| &stream.shards);
        self.report.clips = manifest.clips.len() as u64;
        self.report.bytes_in = bytes_in;
        self.report.bytes_out = shards().map(|shard| shard.bytes).sum();
        for stream in &manifest.streams {
            let name = &stream.spec.name;
            self.report.records.insert(name.clone(), stream.shards.iter().map(|shard| shard.records).sum());
            self.report.shards.insert(name.clone(), stream.shards.len() as u64);
        }
        if odd_clips > 0 {
            self.report.notes.push(format!(
                "{odd_clips} clips have colour flow or grey RGB images; they are read as luma, or as grey RGB"
            ));
        }
    }
}

/// Writes clips into the planned shards.
pub(crate) struct Writer<'a> {
    dir: &'a Path,
    metadata: &'a ShardMetadata,
    plans: &'a [StreamPlan],
    streams: Vec<StreamWriter>,
    clips: Vec<Clip>,
}

struct StreamWriter {
    kind: StreamKind,
    open: Option<(u32, ShardWriter, Vec<ShardClip>)>,
    done: Vec<ShardInfo>,
}

impl<'a> Writer<'a> {
    /// A writer of shards in `dir`. The clips of `metadata` stay empty; each shard gets its own.
    pub fn new(
        dir: &'a Path,
        streams: &[(StreamKind, StreamOptions)],
        plans: &'a [StreamPlan],
        metadata: &'a ShardMetadata,
    ) -> Self {
        let streams = streams.iter().map(|&(kind, _)| StreamWriter { kind, open: None, done: Vec::new() }).collect();
        Self { dir, metadata, plans, streams, clips: Vec::new() }
    }

    /// Adds a clip, which is number `clip` of the plan; numbers rise.
    pub fn add(&mut self, clip: usize, listed: &ListedClip, records: &[Vec<EncodedRecord>]) -> Result<()> {
        let mut frames = BTreeMap::new();
        for ((stream, plan), records) in self.streams.iter_mut().zip(self.plans).zip(records) {
            let shard = plan.shard_of[clip];
            if stream.open.as_ref().is_some_and(|(open, ..)| *open != shard) {
                stream.close(self.metadata)?;
            }
            let (_, writer, clips) = match &mut stream.open {
                Some(open) => open,
                none => {
                    let path = self.dir.join(shard_file(stream.kind, shard));
                    none.insert((shard, ShardWriter::create(&path, &stream.kind.spec())?, Vec::new()))
                }
            };
            writer.add_clip(&listed.id, records)?;
            clips.push(ShardClip { label: listed.label, subsets: listed.subsets.clone() });
            frames.insert(stream.kind.name().to_owned(), records.len() as u32 / u32::from(stream.kind.planes()));
        }
        self.clips.push(Clip { id: listed.id.clone(), label: listed.label, subsets: listed.subsets.clone(), frames });
        Ok(())
    }

    /// Closes the last shards and says what the data set holds. The manifest is not yet written.
    pub fn finish(mut self) -> Result<Manifest> {
        for stream in &mut self.streams {
            stream.close(self.metadata)?;
        }
        Ok(Manifest {
            dataset: self.metadata.dataset.clone(),
            classes: self.metadata.classes.clone(),
            splits: self.metadata.splits.clone(),
            build: self.metadata.build.clone(),
            streams: self.streams.into_iter().map(|s| Stream { spec: s.kind.spec(), shards: s.done }).collect(),
            clips: self.clips,
        })
    }
}

impl StreamWriter {
    fn close(&mut self, metadata: &ShardMetadata) -> Result<()> {
        if let Some((_, writer, clips)) = self.open.take() {
            self.done.push(writer.finish(&ShardMetadata { clips, ..metadata.clone() })?);
        }
        Ok(())
    }
}

/// What decides the content of the shards, for the manifest: never paths, jobs or times.
fn content_options(
    options: &BuildOptions,
    layout: &str,
    streams: &[(StreamKind, StreamOptions)],
) -> BTreeMap<String, Value> {
    let check = match options.check {
        Check::Header => "header",
        Check::Decode => "decode",
    };
    let mut map = BTreeMap::from([
        ("packer".to_owned(), json!(concat!("ucfpack ", env!("CARGO_PKG_VERSION")))),
        ("layout".to_owned(), json!(layout)),
        ("check".to_owned(), json!(check)),
        ("shard_bytes".to_owned(), json!(options.shard_bytes)),
    ]);
    for (kind, stream) in streams {
        map.insert(kind.name().into(), stream.describe());
    }
    map
}

impl StreamOptions {
    /// The options and versions that decide the bytes of a stream, for the manifest.
    pub fn describe(&self) -> Value {
        let mut map = json!({ "codec": self.codec.name(), "size": self.geometry.describe() });
        match self.codec {
            Codec::Jpeg => return map,
            Codec::Zstd => map["encoder"] = json!(format!("zstd {}", crate::versions::ZSTD)),
            Codec::Lz4 => map["encoder"] = json!(format!("lz4 {}", crate::versions::LZ4)),
            Codec::Raw => {}
        }
        if self.codec != Codec::Raw {
            map["level"] = json!(self.level);
            map["filter"] = json!(self.filter.name());
        }
        map["jpeg_decoder"] = json!(format!("zune-jpeg {}", crate::versions::ZUNE_JPEG));
        if self.geometry != crate::encode::Geometry::Source {
            map["resize"] = json!("bilinear, antialiased, 22-bit weights, as Pillow");
        }
        map
    }
}
