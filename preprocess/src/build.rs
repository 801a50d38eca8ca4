//! Packs a tree of frames, or videos: lists and source give a plan, threads read and encode clips, one writer fills the shards
//! in order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clipshard::{Codec, Disk, Storage};
use serde_json::{Value, json};

use crate::encode::{Check, StreamOptions};
use crate::error::{Error, Result, Skipped};
use crate::estimate::Estimate;
use crate::job::Job;
use crate::lists::Lists;
use crate::lock::OutputLock;
use crate::output::{self, Place};
use crate::partial;
use crate::plan::Part;
use crate::progress::Watch;
use crate::source::{Input, Layout, Location};
use crate::stream::StreamKind;
use crate::video::{Video, VideoOptions};

/// Everything that a build is told.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch that is typed or not, apart from the others")]
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
    /// What is made of videos, where there are such.
    pub video: VideoOptions,
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
    /// Clips that are read at the same time: 1 for a spinning disk.
    pub readers: usize,
    /// Make this part only.
    pub part: Option<Part>,
    /// Pack the whole clips of a tree that is not whole.
    pub keep_going: bool,
    /// Replace a data set that is there.
    pub overwrite: bool,
    /// Go on with a build that was cut off.
    pub resume: bool,
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
    pub(crate) fn read_lists(self, lists: Option<&Path>, source: &Input) -> Result<Lists> {
        match (self, lists) {
            (Self::Ucf101, Some(folder)) => Lists::read_ucf101(folder),
            (Self::Hmdb51, Some(folder)) => Lists::read_hmdb51(folder),
            (Self::Custom, Some(file)) => Lists::read_csv(file),
            (Self::Custom, None) => Lists::from_folders(&source.classed_folders()?, source.shown()),
            (Self::Ucf101 | Self::Hmdb51, None) => Err(lists_missing()),
        }
    }
}

pub(crate) fn lists_missing() -> Error {
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
    /// Bytes of all shards.
    pub bytes_out: u64,
    /// Of a dry run, what the build would take.
    pub estimate: Option<Estimate>,
    /// Time taken.
    pub seconds: f64,
    /// Clips left out, by id.
    pub skipped: Vec<Skipped>,
    /// Things worth a word that are no errors.
    pub notes: Vec<String>,
}

/// Packs a tree. Fails without touching what is at [`BuildOptions::out`]; finished shards are kept beside it for
/// [`BuildOptions::resume`].
pub fn build(options: &BuildOptions, watch: Watch<'_>) -> Result<BuildReport> {
    build_in(&(Arc::new(Disk) as Arc<dyn Storage>), options, watch)
}

/// The same in any storage.
pub fn build_in(storage: &Arc<dyn Storage>, options: &BuildOptions, watch: Watch<'_>) -> Result<BuildReport> {
    let started = Instant::now();
    let options = &BuildOptions { out: output::resolved(&options.out), ..options.clone() };
    let place = output::place(&options.out, options.overwrite || options.resume)?;
    if options.lists.is_none() && options.dataset != DatasetKind::Custom {
        return Err(lists_missing());
    }
    let source = Input::open(&options.location, options.layout, options.video)?;
    let mut lists = options.dataset.read_lists(options.lists.as_deref(), &source)?;
    if let Some(classes) = &options.classes {
        lists.keep_classes(classes)?;
    }
    let lock = if options.dry_run { None } else { Some(OutputLock::take(&options.out)?) };
    // Another program may have put something there until the lock was taken.
    let place = if lock.is_some() { output::place(&options.out, options.overwrite || options.resume)? } else { place };
    let scan = source.scan(&lists.clips, watch).map_err(|error| partial::with_finished(error, &options.out, place))?;
    let mut job = Job::new(options, &source, lists, scan)?;
    for folder in lock.iter().flat_map(|lock| output::remove_leftovers(&options.out, lock)) {
        job.report.notes.push(format!("removed {}, which a run that was cut off left", folder.display()));
    }
    if options.dry_run {
        job.estimate(watch)?;
        job.report.seconds = started.elapsed().as_secs_f64();
        return Ok(job.report);
    }
    let there = if options.resume && place == Place::Taken { Some(job.compare_made(watch)?) } else { None };
    match there {
        Some(None) => {
            partial::remove_leftover(&options.out, place);
            job.report.notes.push(format!("{} is whole already; nothing was left to do", options.out.display()));
        }
        Some(Some(difference)) if !options.overwrite => {
            return Err(Error::Usage(format!(
                "--resume: {} is there and is not what this command makes: {difference}; \
                 name another folder, or replace it with --overwrite",
                options.out.display()
            )));
        }
        _ => job.pack(storage, place, watch)?,
    }
    job.report.seconds = started.elapsed().as_secs_f64();
    Ok(job.report)
}

/// What decides the content of the shards, for the manifest: never paths, jobs or times.
pub(crate) fn content_options(
    options: &BuildOptions,
    source: &Input,
    streams: &[(StreamKind, StreamOptions)],
) -> BTreeMap<String, Value> {
    let check = match options.check {
        Check::Header => "header",
        Check::Decode => "decode",
    };
    let mut map = BTreeMap::from([
        ("packer".to_owned(), json!(concat!("ucfpack ", env!("CARGO_PKG_VERSION")))),
        ("layout".to_owned(), json!(source.layout())),
        ("check".to_owned(), json!(check)),
        ("shard_bytes".to_owned(), json!(options.shard_bytes)),
    ]);
    for (kind, stream) in streams {
        let described = source.video().map_or_else(|| stream.describe(), |video| video.describe(*kind, stream));
        map.insert(kind.name().into(), described);
    }
    if let Some(decoder) = source.video().map(Video::describe_decoder) {
        map.insert("video_decoder".into(), decoder);
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
            _ => {}
        }
        if self.codec != Codec::Raw {
            map["level"] = json!(self.level);
            map["filter"] = json!(self.filter.name());
        }
        map["jpeg_decoder"] = json!(format!(
            "clipshard (pixels of libjpeg), zune-jpeg {} for progressive files",
            crate::versions::ZUNE_JPEG
        ));
        if self.geometry != crate::encode::Geometry::Source {
            map["resize"] = json!("bilinear, antialiased, 22-bit weights, as Pillow");
        }
        map
    }
}
