//! A whole build: find, list, plan, pack.

use std::sync::Arc;
use std::time::Instant;

use clipshard::{Disk, Storage};

use super::job::Job;
use super::options::{BuildOptions, DatasetKind, lists_missing};
use super::partial;
use super::report::BuildReport;
use crate::error::{Error, Problem, Result, Setting};
use crate::place::lock::OutputLock;
use crate::place::staging::remove_leftovers;
use crate::place::target::{self, Place, resolved};
use crate::progress::Watch;
use crate::source::Input;

/// Packs a tree. Fails without touching what is at [`BuildOptions::out`]; finished shards are kept beside it for
/// [`BuildOptions::resume`].
pub fn build(options: &BuildOptions, watch: Watch<'_>) -> Result<BuildReport> {
    build_in(&(Arc::new(Disk) as Arc<dyn Storage>), options, watch)
}

/// The same in any storage.
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
    // Another program may have put something there until the lock was taken.
    let place = if lock.is_some() { target::place(&options.out, options.overwrite || options.resume)? } else { place };
    let scan = source.scan(&lists.clips, watch).map_err(|error| partial::with_finished(error, &options.out, place))?;
    let (job, mut report) = Job::new(options, &source, lists, scan)?;
    for folder in lock.iter().flat_map(|lock| remove_leftovers(&options.out, lock)) {
        report.notes.push(format!("removed {}, which a run that was cut off left", folder.display()));
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
            report.notes.push(format!("{} is whole already; nothing was left to do", options.out.display()));
        }
        Some(Some(difference)) if !options.overwrite => {
            return Err(Error::usage(
                Problem::from(format!("{} is there and is not what this command makes: ", options.out.display()))
                    .with(difference)
                    .then("; name another folder, or replace it with ")
                    .name(Setting::Overwrite),
            ));
        }
        _ => job.pack(storage, place, &mut report, watch)?,
    }
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}
