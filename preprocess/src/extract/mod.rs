//! A frame tree in the feichtenhofer layout from videos, for programs that want files.
//!
//! Each clip is made in a folder of its own and moved into its place when it is whole, its RGB frames last: a clip whose RGB
//! folder is there needs not be made again.

mod record;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use clipshard::ImageSize;
use rayon::prelude::*;

use self::record::{DEVICE, ExtractRecord, FLOW_METHOD, QUALITY, SHORT_SIDE, SourceVideo};
use crate::clip::Absence;
use crate::error::{ClipError, Error, NotWhole, Problem, Result, Setting, Skipped};
use crate::export::check_name;
use crate::jpeg::encode_jpeg;
use crate::lists::ListedClip;
use crate::pack::{DatasetKind, lists_missing};
use crate::place::lock::OutputLock;
use crate::place::name::{self, EXTRACT_FILE, is_fragment};
use crate::progress::{Watch, Work};
use crate::source::{FoundClip, Input, Location};
use crate::versions;
use crate::video::{FlowMethod, StreamImage, VideoDecoder, VideoEncoder, VideoFile, VideoOptions, Wanted};

/// What to extract.
#[derive(Debug, Clone)]
pub struct ExtractOptions {
    /// Folder of the videos.
    pub videos: PathBuf,
    /// The tree to make.
    pub out: PathBuf,
    /// Whose lists these are.
    pub dataset: DatasetKind,
    /// Folder of the lists, or a CSV file.
    pub lists: Option<PathBuf>,
    /// These classes only.
    pub classes: Option<Vec<String>>,
    /// Size, quality and flow.
    pub video: VideoOptions,
    /// Extract the rest of videos that are not all whole.
    pub keep_going: bool,
    /// Go on with a tree that is there.
    pub resume: bool,
}

/// What was extracted.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ExtractReport {
    /// Clips that were made.
    pub clips: u64,
    /// Clips that were there.
    pub kept: u64,
    /// Files that were written.
    pub images: u64,
    /// Their size.
    pub bytes: u64,
    /// Clips left out, by id.
    pub skipped: Vec<Skipped>,
    /// Things worth a word that are no errors.
    pub notes: Vec<String>,
}

/// Folders of the layout, of RGB and of flow in x and y. RGB comes last: it says that a clip is whole.
const FOLDERS: [&str; 3] = ["tvl1_flow/u", "tvl1_flow/v", "jpegs_256"];
/// Clips under way, in the tree.
const PARTIAL: &str = ".partial";

/// Writes the tree. Interrupted, it leaves whole clips, from which [`ExtractOptions::resume`] goes on.
pub fn extract(options: &ExtractOptions, watch: Watch<'_>) -> Result<ExtractReport> {
    if options.lists.is_none() && options.dataset != DatasetKind::Custom {
        return Err(lists_missing());
    }
    let out = &options.out;
    let _lock = OutputLock::take(out)?;
    if is_taken(out) && !options.resume {
        return Err(Error::usage(
            Problem::from(format!(
                "{} exists and is not empty; name another folder, or go on with it with ",
                out.display()
            ))
            .name(Setting::Resume),
        ));
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
    let mut record = ExtractRecord { decided_by: decided_by(video), ..ExtractRecord::default() };
    for (listed, scanned) in lists.clips.iter().zip(&scan.clips) {
        if let Ok(FoundClip::Video(file)) = &scanned.files {
            record.videos.insert(listed.id.clone(), SourceVideo { bytes: file.bytes, frames: file.frames });
        }
    }
    if is_taken(out) {
        let Some(earlier) = ExtractRecord::read(out)? else {
            return Err(Error::usage(Problem::from(Setting::Resume).then(format!(
                ": {} has no {EXTRACT_FILE}, which says how it was extracted; name another folder",
                out.display()
            ))));
        };
        record.check_continues(&earlier, out)?;
    }
    let mut report = ExtractReport::default();
    report.notes.extend(input.found().into_iter().chain(scan.notes));
    let (mut tasks, mut faults) = (Vec::new(), Vec::new());
    for (listed, scanned) in lists.clips.iter().zip(scan.clips) {
        let skipped = |absence: &Absence| Skipped { clip: listed.id.clone(), reason: absence.to_string() };
        match scanned.files {
            Ok(FoundClip::Video(file)) if is_whole(out, &listed.id, file.frames, options.video.flow.is_some()) => {
                report.kept += 1;
            }
            Ok(FoundClip::Video(file)) => tasks.push((listed, file)),
            Ok(FoundClip::Images(_)) => {}
            Err(absence @ Absence::Short(_)) => report.skipped.push(skipped(&absence)),
            Err(absence @ Absence::Fault(_)) => faults.push(skipped(&absence)),
        }
    }
    let asked = lists.clips.len() + strangers.len();
    faults.extend(strangers);
    let not_whole = |faults| Err(Error::NotWhole(NotWhole::new(faults, asked, input.shown())));
    if !faults.is_empty() && !options.keep_going {
        return not_whole(faults);
    }
    report.skipped.append(&mut faults);
    let partial = out.join(PARTIAL);
    fs::create_dir_all(out).map_err(Error::io(out, "cannot create the folder"))?;
    let _ = fs::remove_dir_all(&partial);
    record.write(out)?;
    let frames = tasks.iter().map(|(_, file)| u64::from(file.frames)).sum();
    watch.progress.begin_counting("extracting", Work { clips: tasks.len() as u64, images: frames, bytes: 0 }, "frames");
    // With a clip for every thread, one that waited for help with its flow would begin another clip.
    let threads = if tasks.len() < rayon::current_num_threads() { rayon::current_num_threads() } else { 1 };
    let (totals, damaged) = (Mutex::new(&mut report), Mutex::new(Vec::new()));
    let outcome = tasks.par_iter().try_for_each_init(
        || VideoEncoder::new(video.clone(), false, threads),
        |encoder, (listed, file)| {
            let made = match extract_clip(encoder, listed, file, options, watch) {
                Err(ClipError::Work(error)) => return Err(error),
                Err(ClipError::Clip(absence)) => Err(absence),
                Ok(made) => Ok(made),
            };
            let mut report = totals.lock().unwrap_or_else(PoisonError::into_inner);
            let skipped = |absence: &Absence| Skipped { clip: listed.id.clone(), reason: absence.to_string() };
            match made {
                Ok(made) => {
                    watch.progress.add(Work { clips: 1, images: made.frames, bytes: file.bytes });
                    report.clips += 1;
                    report.images += made.images;
                    report.bytes += made.bytes;
                    report.notes.extend(made.notes.iter().map(|note| format!("{}: {note}", listed.id)));
                }
                Err(absence @ Absence::Short(_)) => report.skipped.push(skipped(&absence)),
                Err(absence @ Absence::Fault(_)) => {
                    damaged.lock().unwrap_or_else(PoisonError::into_inner).push(skipped(&absence));
                }
            }
            Ok(())
        },
    );
    watch.progress.end();
    let _ = fs::remove_dir_all(&partial);
    if report.clips + report.kept == 0 {
        remove_empty(out);
    }
    match outcome {
        Err(Error::Interrupted) if report.clips + report.kept > 0 => {
            return Err(Error::InterruptedTree { clips: report.clips + report.kept, folder: out.clone() });
        }
        other => other?,
    }
    let mut damaged = damaged.into_inner().unwrap_or_else(PoisonError::into_inner);
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

/// Whether all images of a clip are there and hold something: as many of RGB as its video has frames, and one less of flow in x
/// and in y. A clip of another number is made again.
fn is_whole(out: &Path, id: &str, frames: u32, flow: bool) -> bool {
    let images = |kind: usize| {
        let entries = fs::read_dir(out.join(FOLDERS[kind]).join(id)).into_iter().flatten().flatten();
        entries.filter(|entry| entry.metadata().is_ok_and(|metadata| metadata.len() > 0)).count()
    };
    let frames = frames as usize;
    images(2) == frames && (!flow || (images(0), images(1)) == (frames - 1, frames - 1))
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

/// What was made of a clip.
#[derive(Default)]
struct Made {
    frames: u64,
    images: u64,
    bytes: u64,
    notes: Vec<String>,
}

/// Makes one clip.
fn extract_clip(
    encoder: &mut VideoEncoder,
    listed: &ListedClip,
    file: &VideoFile,
    options: &ExtractOptions,
    watch: Watch<'_>,
) -> Result<Made, ClipError> {
    let place = options.out.join(PARTIAL).join(&listed.id);
    let folder = |kind: usize| place.join(["u", "v", "rgb"][kind]);
    let kinds = if options.video.flow.is_some() { 0..3 } else { 2..3 };
    for kind in kinds.clone() {
        fs::create_dir_all(folder(kind)).map_err(Error::io(folder(kind), "cannot create the folder"))?;
    }
    let mut made = Made::default();
    let mut numbers = [0_u32; 3];
    let mut write = |kind: usize, pixels: &[u8], size: ImageSize| {
        numbers[kind] += 1;
        let path = folder(kind).join(format!("frame{:06}.jpg", numbers[kind]));
        let bytes = encode_jpeg(pixels, size, options.video.quality)?;
        made.images += 1;
        made.bytes += bytes.len() as u64;
        fs::write(&path, bytes).map_err(Error::io(path, "cannot write the image"))
    };
    let wanted = Wanted { rgb: true, flow: options.video.flow.is_some(), frames: 0..file.frames };
    let seen = encoder.run(file, &wanted, watch.cancel, |image| match image {
        StreamImage::Rgb { width, height, pixels } => write(2, pixels, ImageSize { width, height, channels: 3 }),
        StreamImage::Flow { width, height, planes } => {
            let size = ImageSize { width, height, channels: 1 };
            write(0, planes[0], size)?;
            write(1, planes[1], size)
        }
    });
    let seen = seen.inspect_err(|error| {
        if matches!(error, ClipError::Clip(_)) {
            let _ = fs::remove_dir_all(&place);
        }
    })?;
    (made.frames, made.notes) = (seen.decoded.into(), seen.notes);
    for kind in kinds {
        put(&folder(kind), &options.out.join(FOLDERS[kind]).join(&listed.id))?;
    }
    let _ = fs::remove_dir_all(&place);
    Ok(made)
}

/// Moves a finished folder into its place. Flow without RGB, which an interruption left there, is replaced.
fn put(from: &Path, to: &Path) -> Result<()> {
    let parent = to.parent().unwrap_or(to);
    fs::create_dir_all(parent).map_err(Error::io(parent, "cannot create the folder"))?;
    let _ = fs::remove_dir_all(to);
    fs::rename(from, to).map_err(Error::io(to, "cannot put the finished clip there"))
}
