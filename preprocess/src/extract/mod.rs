//! A frame tree in the feichtenhofer layout from videos, for programs that want files.
//!
//! Each clip is made in a folder of its own and moved into its place when it is whole, its RGB frames last: a clip whose RGB
//! folder is there needs not be made again.

mod clip;
mod options;
mod record;

use std::collections::BTreeMap;
use std::fs;
use std::mem;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use self::clip::{PARTIAL, extract_clip, is_whole};
use self::record::{DEVICE, ExtractRecord, FLOW_METHOD, QUALITY, SHORT_SIDE, SourceVideo};
use crate::clip::Absence;
use crate::error::{ClipError, Error, NotWhole, Problem, Result, Setting, Skipped};
use crate::export::check_name;
use crate::lists::{ListedClip, Lists};
use crate::pack::{DatasetKind, lists_missing};
use crate::place::lock::OutputLock;
use crate::place::name::{self, EXTRACT_FILE, is_fragment};
use crate::progress::{Watch, Work};
use crate::source::{FoundClip, Input, Location, Scan};
use crate::versions;
use crate::video::{FlowMethod, VideoDecoder, VideoEncoder, VideoFile, VideoOptions};

pub use self::options::{ExtractOptions, ExtractReport};

/// Writes the tree. Interrupted, it leaves whole clips, from which [`ExtractOptions::resume`] goes on.
pub fn extract(options: &ExtractOptions, watch: Watch<'_>) -> Result<ExtractReport> {
    if options.lists.is_none() && options.dataset != DatasetKind::Custom {
        return Err(lists_missing());
    }
    let out = &options.out;
    let _lock = OutputLock::take(out)?;
    if is_taken(out) && !options.resume {
        let taken = format!("{} exists and is not empty; name another folder, or go on with it with ", out.display());
        return Err(Error::usage(Problem::from(taken).name(Setting::Resume)));
    }
    let input = Input::open(&Location::Videos(options.videos.clone()), None, options.video)?;
    let mut lists = options.dataset.read_lists(options.lists.as_deref(), &input)?;
    if let Some(classes) = &options.classes {
        lists.keep_classes(classes)?;
    }
    for clip in &lists.clips {
        check_name(&clip.id)?;
    }
    let mut scan = input.scan(&lists.clips, watch)?;
    let strangers = scan.faults_of_strangers(options.lists.is_some());
    let Some(video) = input.video() else { return Ok(ExtractReport::default()) };
    let record = record(video, &lists, &scan);
    if is_taken(out) {
        check_continues(&record, out)?;
    }
    let mut report = ExtractReport::default();
    report.notes.extend(input.found().into_iter().chain(mem::take(&mut scan.notes)));
    let asked = lists.clips.len() + strangers.len();
    let not_whole = |faults| Err(Error::NotWhole(NotWhole::new(faults, asked, input.shown())));
    let (tasks, mut faults) = tasks(&lists, scan, options, &mut report);
    faults.extend(strangers);
    if !faults.is_empty() && !options.keep_going {
        return not_whole(faults);
    }
    report.skipped.append(&mut faults);
    fs::create_dir_all(out).map_err(Error::io(out, "cannot create the folder"))?;
    let _ = fs::remove_dir_all(out.join(PARTIAL));
    record.write(out)?;
    let outcome = run(&tasks, video, options, &mut report, watch);
    let _ = fs::remove_dir_all(out.join(PARTIAL));
    let clips = report.clips + report.kept;
    if clips == 0 {
        remove_empty(out);
    }
    let mut damaged = match outcome {
        Err(Error::Interrupted) if clips > 0 => {
            return Err(Error::InterruptedTree { clips, folder: out.clone() });
        }
        other => other?,
    };
    if !damaged.is_empty() && !options.keep_going {
        damaged.sort_by(|a, b| a.clip.cmp(&b.clip));
        return not_whole(damaged);
    }
    report.skipped.append(&mut damaged);
    // Threads end in any order.
    report.skipped.sort_by(|a, b| a.clip.cmp(&b.clip));
    report.notes.sort();
    Ok(report)
}

/// What decides the images of the tree.
fn record(video: &VideoDecoder, lists: &Lists, scan: &Scan) -> ExtractRecord {
    let mut record = ExtractRecord { decided_by: decided_by(video), ..ExtractRecord::default() };
    for (listed, scanned) in lists.clips.iter().zip(&scan.clips) {
        if let Ok(FoundClip::Video(file)) = &scanned.files {
            record.videos.insert(listed.id.clone(), SourceVideo { bytes: file.bytes, frames: file.frames });
        }
    }
    record
}

/// Refuses to go on with a tree that something else decided.
fn check_continues(record: &ExtractRecord, out: &Path) -> Result<()> {
    let Some(earlier) = ExtractRecord::read(out)? else {
        return Err(Error::usage(Problem::from(Setting::Resume).then(format!(
            ": {} has no {EXTRACT_FILE}, which says how it was extracted; name another folder",
            out.display()
        ))));
    };
    record.check_continues(&earlier, out)
}

/// The clips that are to be made, with their videos, and those that are missing or damaged. The report gets the others.
fn tasks<'a>(
    lists: &'a Lists,
    scan: Scan,
    options: &ExtractOptions,
    report: &mut ExtractReport,
) -> (Vec<(&'a ListedClip, VideoFile)>, Vec<Skipped>) {
    let (mut tasks, mut faults) = (Vec::new(), Vec::new());
    for (listed, scanned) in lists.clips.iter().zip(scan.clips) {
        match scanned.files {
            Ok(FoundClip::Video(file)) => {
                if is_whole(&options.out, &listed.id, file.frames, options.video.flow.is_some()) {
                    report.kept += 1;
                } else {
                    tasks.push((listed, file));
                }
            }
            Ok(FoundClip::Images(_)) => {}
            Err(absence) => sort_out(listed, &absence, &mut report.skipped, &mut faults),
        }
    }
    (tasks, faults)
}

/// Adds a clip that cannot be extracted to those that are too short, or to those at fault.
fn sort_out(listed: &ListedClip, absence: &Absence, short: &mut Vec<Skipped>, faults: &mut Vec<Skipped>) {
    let skipped = Skipped { clip: listed.id.clone(), reason: absence.to_string() };
    if matches!(absence, Absence::Short(_)) { short } else { faults }.push(skipped);
}

/// Makes clips in threads, and reports them; returns those whose videos are damaged.
fn run(
    tasks: &[(&ListedClip, VideoFile)],
    video: &VideoDecoder,
    options: &ExtractOptions,
    report: &mut ExtractReport,
    watch: Watch<'_>,
) -> Result<Vec<Skipped>> {
    let frames = tasks.iter().map(|(_, file)| u64::from(file.frames)).sum();
    watch.progress.begin_counting("extracting", Work { clips: tasks.len() as u64, images: frames, bytes: 0 }, "frames");
    // With a clip for every thread, one that waited for help with its flow would begin another clip.
    let threads = if tasks.len() < rayon::current_num_threads() { rayon::current_num_threads() } else { 1 };
    let totals = Mutex::new((report, Vec::new()));
    let outcome = tasks.par_iter().try_for_each_init(
        || VideoEncoder::new(video.clone(), false, threads),
        |encoder, (listed, file)| {
            let made = extract_clip(encoder, listed, file, options, watch);
            let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
            let (report, damaged) = &mut *totals;
            match made {
                Ok(made) => {
                    watch.progress.add(Work { clips: 1, images: made.frames, bytes: file.bytes });
                    report.clips += 1;
                    report.images += made.images;
                    report.bytes += made.bytes;
                    report.notes.extend(made.notes.iter().map(|note| format!("{}: {note}", listed.id)));
                }
                Err(ClipError::Clip(absence)) => sort_out(listed, &absence, &mut report.skipped, damaged),
                Err(ClipError::Work(error)) => return Err(error),
            }
            Ok(())
        },
    );
    watch.progress.end();
    outcome?;
    Ok(totals.into_inner().unwrap_or_else(PoisonError::into_inner).1)
}

/// Whether a folder holds anything but what a program was writing when it was killed.
fn is_taken(out: &Path) -> bool {
    let is_content = |name: &str| !is_fragment(name) && name != name::lock(out);
    fs::read_dir(out).is_ok_and(|entries| entries.flatten().any(|e| is_content(&e.file_name().to_string_lossy())))
}

/// Removes a tree that holds nothing but its record.
fn remove_empty(out: &Path) {
    let entries = fs::read_dir(out).into_iter().flatten().flatten();
    if entries.into_iter().all(|entry| entry.file_name() == EXTRACT_FILE) {
        let _ = fs::remove_file(out.join(EXTRACT_FILE));
        let _ = fs::remove_dir(out);
    }
}

/// The options and versions that decide the images.
fn decided_by(video: &VideoDecoder) -> BTreeMap<String, String> {
    let VideoOptions { short_side, quality, flow, card } = video.options;
    let values = [
        (SHORT_SIDE, short_side.to_string()),
        (QUALITY, quality.to_string()),
        (FLOW_METHOD, flow.map_or("none", FlowMethod::name).into()),
        (DEVICE, if card.is_some() { "cuda" } else { "cpu" }.into()),
        ("the version of ffmpeg", video.ffmpeg.version.clone()),
        ("the version of ucfpack", env!("CARGO_PKG_VERSION").into()),
        ("the version of clip-flow", versions::CLIP_FLOW.to_string()),
        ("the version of jpeg-encoder", versions::JPEG_ENCODER.to_string()),
    ];
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
