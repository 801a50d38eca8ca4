//! A whole build: read lists, scan the source, plan, pack.

use std::sync::Arc;
use std::time::Instant;

use clipshard::{Disk, Storage};

use super::job::Job;
use super::options::{BuildOptions, lists_missing};
use super::partial;
use super::report::BuildReport;
use crate::error::{Error, Problem, Result, Setting};
use crate::lists::DatasetKind;
use crate::place::lock::OutputLock;
use crate::place::staging::remove_leftovers;
use crate::place::target::{self, Place, resolved};
use crate::progress::Watch;
use crate::source::Input;

/// Packs a frame tree or videos into a dataset.
///
/// If this fails, an existing dataset at [`BuildOptions::out`] stays unchanged. Finished shards are
/// kept next to it, and [`BuildOptions::resume`] continues from them.
///
/// # Errors
/// Returns [`Error::Usage`] if the options contradict each other or the output must not be replaced,
/// [`Error::Input`] or [`Error::List`] if the source or the lists are invalid, and
/// [`Error::NotWhole`] if clips are missing or damaged, unless [`BuildOptions::keep_going`] is set.
/// [`Error::Kept`] wraps an error after which finished shards remain.
///
/// # Examples
///
/// ```no_run
/// use std::sync::atomic::AtomicBool;
///
/// use clipshard::{Attributes, Codec, Filter};
/// use ucfpack::pack::{BuildOptions, DatasetKind, build};
/// use ucfpack::progress::{Progress, Watch};
/// use ucfpack::source::Location;
/// use ucfpack::stored::{Check, Geometry, StreamOptions};
/// use ucfpack::video::VideoOptions;
///
/// let options = BuildOptions {
///     out: "ucf101.shards".into(),
///     dataset: DatasetKind::Ucf101,
///     lists: Some("ucfTrainTestlist".into()),
///     location: Location::Videos("UCF-101".into()),
///     layout: None,
///     video: VideoOptions::default(),
///     attributes: Attributes::new(),
///     classes: None,
///     rgb: StreamOptions {
///         codec: Codec::Jpeg,
///         filter: Filter::None,
///         level: 0,
///         geometry: Geometry::Source,
///     },
///     flow: StreamOptions {
///         codec: Codec::Zstd,
///         filter: Filter::Up,
///         level: 9,
///         geometry: Geometry::Square(224),
///     },
///     check: Check::Header,
///     shard_bytes: 1 << 30,
///     jobs: 8,
///     readers: 2,
///     part: None,
///     keep_going: false,
///     overwrite: false,
///     resume: false,
///     dry_run: false,
/// };
/// let watch = Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(false) };
/// let report = build(&options, watch)?;
/// println!("packed {} clips", report.clips);
/// # Ok::<(), ucfpack::Error>(())
/// ```
pub fn build(options: &BuildOptions, watch: Watch<'_>) -> Result<BuildReport> {
    build_in(&(Arc::new(Disk) as Arc<dyn Storage>), options, watch)
}

/// Packs a dataset like [`build()`], but writes the shards and manifest through `storage`.
///
/// # Errors
/// As [`build()`].
pub fn build_in(storage: &Arc<dyn Storage>, options: &BuildOptions, watch: Watch<'_>) -> Result<BuildReport> {
    let started = Instant::now();
    let options = &BuildOptions { out: resolved(&options.out), ..options.clone() };
    let place = target::place(&options.out, options.overwrite || options.resume)?;
    if options.lists.is_none() && options.dataset != DatasetKind::Custom {
        return Err(lists_missing());
    }
    let source = Input::open(&options.location, options.layout, options.video)?;
    let mut lists = options.dataset.read_lists(options.lists.as_deref(), &source)?;
    if let Some(classes) = &options.classes {
        lists.keep_classes(classes)?;
    }
    let lock = if options.dry_run { None } else { Some(OutputLock::take(&options.out)?) };
    // Another program may have created the output before this one took the lock.
    let place = if lock.is_some() { target::place(&options.out, options.overwrite || options.resume)? } else { place };
    let scan = source.scan(&lists.clips, watch).map_err(|error| partial::with_finished(error, &options.out, place))?;
    let (job, mut report) = Job::new(options, &source, lists, scan)?;
    for folder in lock.iter().flat_map(|lock| remove_leftovers(&options.out, lock)) {
        report.notes.push(format!("removed {}, which an interrupted run left", folder.display()));
    }
    if options.dry_run {
        job.estimate(&mut report, watch)?;
        report.seconds = started.elapsed().as_secs_f64();
        return Ok(report);
    }
    let there =
        if options.resume && place == Place::Taken { Some(job.compare_made(&mut report, watch)?) } else { None };
    match there {
        Some(None) => {
            partial::remove_leftover(&options.out, place);
            report.notes.push(format!("{} is already complete; nothing to do", options.out.display()));
        }
        Some(Some(difference)) if !options.overwrite => {
            return Err(Error::usage(
                Problem::from(format!("{} exists, but was packed differently: ", options.out.display()))
                    .with(difference)
                    .then("; choose another folder, or replace it with ")
                    .name(Setting::Overwrite),
            ));
        }
        _ => job.pack(storage, place, &mut report, watch)?,
    }
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}
