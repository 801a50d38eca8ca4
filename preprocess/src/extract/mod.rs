//! Extracts videos into a frame tree in the Feichtenhofer layout, for programs that need image
//! files.
//!
//! [`extract`] takes [`ExtractOptions`] and returns an [`ExtractReport`]. Each clip is written to a
//! temporary folder and moved into place when it is complete, its RGB frames last (`clip`). A
//! record of the settings stays in the tree, so that a later run continues it only with the same
//! settings (`record`). A list keeps the labels, splits and attributes (`list`).

mod clip;
mod list;
mod options;
mod record;

use std::collections::BTreeMap;
use std::fs;
use std::mem;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use clipshard::Attributes;
use rayon::prelude::*;

use self::clip::{PARTIAL, extract_clip, is_whole};
use self::list::{Journal, read_earlier, write_list};
use self::record::{DEVICE, ExtractRecord, FLOW_METHOD, QUALITY, SHORT_SIDE, SourceVideo};
use crate::clip::Absence;
use crate::error::{ClipError, Error, NotWhole, Problem, Result, Setting, Skipped};
use crate::export::check_name;
use crate::lists::{ListedClip, Lists};
use crate::pack::described::{Contradictions, Described, describe, only_measured};
use crate::pack::{DatasetKind, lists_missing};
use crate::place::lock::OutputLock;
use crate::place::name::{self, EXTRACT_FILE, is_fragment};
use crate::progress::{Watch, Work};
use crate::source::{FoundClip, Input, Location, Scan, ScannedClip};
use crate::stream::StreamKind;
use crate::versions;
use crate::video::{FlowMethod, VideoDecoder, VideoEncoder, VideoFile, VideoOptions, frames_of};

pub use self::options::{ExtractOptions, ExtractReport};

/// Writes a frame tree from videos. An interruption leaves complete clips, and
/// [`ExtractOptions::resume`] continues from them.
///
/// # Errors
/// Returns [`Error::Usage`] if the output is not empty or was made with other settings. Returns
/// [`Error::NotWhole`] if videos are missing or damaged, unless [`ExtractOptions::keep_going`] is
/// set. Returns [`Error::InterruptedTree`] if `watch` cancels it after some clips are complete.
pub fn extract(options: &ExtractOptions, watch: Watch<'_>) -> Result<ExtractReport> {
    if options.lists.is_none() && options.dataset != DatasetKind::Custom {
        return Err(lists_missing());
    }
    let out = &options.out;
    let _lock = OutputLock::take(out)?;
    if is_taken(out) && !options.resume {
        let taken = format!("{} exists and is not empty; choose another folder, or continue it with ", out.display());
        return Err(Error::usage(Problem::from(taken).name(Setting::Resume)));
    }
    let input = Input::open(&Location::Videos(options.videos.clone()), None, options.video)?;
    let mut lists = options.dataset.read_lists(options.lists.as_deref(), &input)?;
    if let Some(classes) = &options.classes {
        lists.keep_classes(classes)?;
    }
    for clip in &lists.clips {
        check_name(&clip.id, "cannot extract", || "rename its video, also in the lists".into())?;
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
    let is_missing = |clip: &ScannedClip| clip.files.as_ref().is_err_and(Absence::is_missing);
    report.some_classes = lists.present_classes(scan.clips.iter().map(is_missing));
    let some_classes = report.some_classes.clone();
    let not_whole = |faults| Err(Error::NotWhole(NotWhole::new(faults, asked, input.shown(), some_classes.clone())));
    let mut found = Found::default();
    let (tasks, mut faults) = tasks(&lists, scan, options, (&mut report, &mut found));
    faults.extend(strangers);
    if !faults.is_empty() && !options.keep_going {
        return not_whole(faults);
    }
    report.skipped.append(&mut faults);
    fs::create_dir_all(out).map_err(Error::io(out, "cannot create the folder"))?;
    let _ = fs::remove_dir_all(out.join(PARTIAL));
    record.write(out)?;
    let journal = Journal::open(out)?;
    let outcome = run(&tasks, video, (options, &journal), (&mut report, &mut found), watch);
    let _ = fs::remove_dir_all(out.join(PARTIAL));
    let clips = report.clips + report.kept;
    if clips > 0 {
        write_list(out, &lists, &found.attributes)?;
    }
    journal.remove();
    if clips == 0 {
        remove_empty(out);
    }
    report.notes.extend(found.contradictions());
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
    // Threads finish in any order.
    report.skipped.sort_by(|a, b| a.clip.cmp(&b.clip));
    report.notes.sort();
    Ok(report)
}

/// The knowledge about the clips of the tree.
#[derive(Default)]
struct Found {
    /// The attributes of complete clips, by id.
    attributes: BTreeMap<String, Attributes>,
    /// The contradictions between lists and videos, by id: threads find them in any order.
    contradictions: BTreeMap<String, String>,
}

impl Found {
    /// Adds a clip whose images are complete.
    fn add(&mut self, listed: &ListedClip, measured: &Attributes) {
        let Described { attributes, contradiction } = describe(&listed.attributes, measured);
        self.contradictions.extend(contradiction.map(|what| (listed.id.clone(), what)));
        self.attributes.insert(listed.id.clone(), attributes);
    }

    /// Returns a note about all contradictions, with that of the smallest id.
    fn contradictions(self) -> Option<String> {
        let mut all = Contradictions::default();
        for (id, what) in self.contradictions {
            all.add(&id, Some(what));
        }
        all.note()
    }
}

/// Returns the record of everything that decides the images of the tree.
fn record(video: &VideoDecoder, lists: &Lists, scan: &Scan) -> ExtractRecord {
    let mut record = ExtractRecord { decided_by: decided_by(video), ..ExtractRecord::default() };
    for (listed, scanned) in lists.clips.iter().zip(&scan.clips) {
        if let Ok(FoundClip::Video(file)) = &scanned.files {
            record.videos.insert(listed.id.clone(), SourceVideo { bytes: file.bytes, frames: file.frames });
        }
    }
    record
}

/// Checks that the tree was made with the same settings and videos.
fn check_continues(record: &ExtractRecord, out: &Path) -> Result<()> {
    let Some(earlier) = ExtractRecord::read(out)? else {
        return Err(Error::usage(Problem::from(format!(
            "cannot resume: {} has no {EXTRACT_FILE}, so it is not an extracted frame tree; choose another folder",
            out.display()
        ))));
    };
    record.check_continues(&earlier, out)
}

/// Returns the clips to extract with their videos, and the clips that are missing or damaged.
/// Counts complete clips and skipped short ones in the report.
fn tasks<'a>(
    lists: &'a Lists,
    scan: Scan,
    options: &ExtractOptions,
    (report, found): (&mut ExtractReport, &mut Found),
) -> (Vec<(&'a ListedClip, VideoFile)>, Vec<Skipped>) {
    let (mut tasks, mut faults) = (Vec::new(), Vec::new());
    let earlier = read_earlier(&options.out);
    for (listed, scanned) in lists.clips.iter().zip(scan.clips) {
        match scanned.files {
            Ok(FoundClip::Video(file)) => {
                if is_whole(&options.out, &listed.id, file.frames, options.video.flow.is_some()) {
                    report.kept += 1;
                    // Only the run that decoded the video knows its size.
                    let measured = earlier.get(&listed.id).map(only_measured);
                    found.add(listed, &measured.unwrap_or_else(|| file.attributes(file.frames, None)));
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

/// Adds a clip that cannot be extracted to the short ones or to the faulty ones.
fn sort_out(listed: &ListedClip, absence: &Absence, short: &mut Vec<Skipped>, faults: &mut Vec<Skipped>) {
    let skipped = Skipped { clip: listed.id.clone(), reason: absence.to_string() };
    if matches!(absence, Absence::Short(_)) { short } else { faults }.push(skipped);
}

/// Extracts clips in parallel and adds them to the report. Returns the clips with damaged videos.
fn run(
    tasks: &[(&ListedClip, VideoFile)],
    video: &VideoDecoder,
    (options, journal): (&ExtractOptions, &Journal),
    (report, found): (&mut ExtractReport, &mut Found),
    watch: Watch<'_>,
) -> Result<Vec<Skipped>> {
    let flow_planes = if options.video.flow.is_some() { u64::from(StreamKind::Flow.planes()) } else { 0 };
    let images_of =
        |file: &VideoFile| u64::from(file.frames) + flow_planes * u64::from(frames_of(StreamKind::Flow, file.frames));
    let images = tasks.iter().map(|(_, file)| images_of(file)).sum();
    watch.progress.begin("extracting", Work { clips: tasks.len() as u64, images, bytes: 0 });
    // If every thread has a clip, threads must not help each other with flow: a thread that waits
    // for help would start another clip.
    let threads = if tasks.len() < rayon::current_num_threads() { rayon::current_num_threads() } else { 1 };
    let totals = Mutex::new((report, found, Vec::new()));
    let outcome = tasks.par_iter().try_for_each_init(
        || VideoEncoder::new(video.clone(), false, threads),
        |encoder, (listed, file)| {
            let made = extract_clip(encoder, listed, file, (options, journal), watch);
            let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
            let (report, found, damaged) = &mut *totals;
            match made {
                Ok(made) => {
                    watch.progress.add(Work { clips: 1, images: images_of(file), bytes: file.bytes });
                    found.add(listed, &made.measured);
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
    Ok(totals.into_inner().unwrap_or_else(PoisonError::into_inner).2)
}

/// Returns whether a folder has content, other than the lock and partly written files.
fn is_taken(out: &Path) -> bool {
    let lock = name::lock(out);
    let is_content = |entry: fs::DirEntry| !is_fragment(&entry.path()) && *entry.file_name() != *lock;
    fs::read_dir(out).is_ok_and(|entries| entries.flatten().any(is_content))
}

/// Removes a tree that holds only its record.
fn remove_empty(out: &Path) {
    let entries = fs::read_dir(out).into_iter().flatten().flatten();
    if entries.into_iter().all(|entry| entry.file_name() == EXTRACT_FILE) {
        let _ = fs::remove_file(out.join(EXTRACT_FILE));
        let _ = fs::remove_dir(out);
    }
}

/// Returns the options and versions that decide the images.
fn decided_by(video: &VideoDecoder) -> BTreeMap<String, String> {
    let VideoOptions { short_side, quality, flow, gpu } = video.options;
    let values = [
        (SHORT_SIDE, short_side.to_string()),
        (QUALITY, quality.to_string()),
        (FLOW_METHOD, flow.map_or("none", FlowMethod::name).into()),
        (DEVICE, if gpu.is_some() { "cuda" } else { "cpu" }.into()),
        ("the version of ffmpeg", video.ffmpeg.version.clone()),
        ("the version of ucfpack", env!("CARGO_PKG_VERSION").into()),
        ("the version of clip-flow", versions::CLIP_FLOW.to_string()),
        ("the version of jpeg-encoder", versions::JPEG_ENCODER.to_string()),
    ];
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_on_contradictions_names_the_smallest_id_in_any_order() {
        let of = |text: &str| Attributes::from_json(text).unwrap();
        let mut found = Found::default();
        for id in ["c", "a", "b"] {
            let listed = ListedClip {
                id: id.to_owned(),
                folder: id.to_owned(),
                class_folder: None,
                label: None,
                subsets: Vec::new(),
                group: None,
                row: None,
                attributes: of(r#"{"width":1}"#),
            };
            found.add(&listed, &of(r#"{"width":96}"#));
        }
        let note = found.contradictions().unwrap();
        assert!(note.ends_with("such as a: width is 1 in the lists, but 96 in the video"), "{note}");
    }
}
