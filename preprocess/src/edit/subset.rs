//! A dataset of some classes, clips or streams of another one.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clipshard::{Access, Dataset, Manifest, ShardClip, ShardMetadata};

use super::copy::Copy;
use super::part::refuse_part;
use super::select::Selection;
use crate::error::{Error, Problem, Result, Setting};
use crate::lists::renumber_labels;
use crate::pack::BuildReport;
use crate::place::staging::Staging;
use crate::place::target::Contents;
use crate::progress::{Watch, Work};
use crate::quantity::counted;

/// Options of [`subset()`]. A clip must meet all of them.
#[derive(Debug, Clone, Default)]
pub struct SubsetOptions {
    /// The dataset to make.
    pub out: PathBuf,
    /// Classes to keep; `None` keeps all. Case does not matter.
    pub classes: Option<Vec<String>>,
    /// Whether the class list and the labels stay as they are. Otherwise, [`SubsetOptions::classes`]
    /// become the class list, in the order of the old one, and labels start at 0. The attribute
    /// `labels` of clips with several classes is renumbered, too.
    pub keep_labels: bool,
    /// Ids of clips to keep. An empty list keeps all.
    pub clips: Vec<String>,
    /// A text file with ids of clips to keep, one per line.
    pub clip_list: Option<PathBuf>,
    /// Streams to keep; `None` keeps all.
    pub streams: Option<Vec<String>>,
    /// The split of [`SubsetOptions::subsets`] and of [`SubsetOptions::limit`]; `None` is the first one.
    pub split: Option<String>,
    /// Subsets to keep, such as `train`. An empty list keeps all.
    pub subsets: Vec<String>,
    /// Largest number of clips per class. Each subset of the split keeps its share of them, and at
    /// least one clip if the number allows it; the larger subsets come first, and unused clips last.
    /// The clips are evenly spread over those of the subset.
    pub limit: Option<u64>,
    /// Whether to replace an existing dataset.
    pub overwrite: bool,
}

/// Copies a part of the dataset in `dir` into a new dataset.
///
/// Records are copied as they are, and their checksums are checked. A shard whose clips are all
/// kept with their labels is linked if the file system allows it. Splits, subsets, groups and
/// attributes stay as they are.
///
/// # Errors
/// Returns [`Error::Usage`] if a class, clip, stream or split is unknown, no clip is selected, or the
/// output must not be replaced. Returns [`Error::Input`] if a list names unknown clips or the dataset
/// is only a part of a build, and
/// [`Error::Format`] if a record is damaged. Nothing is written then.
///
/// # Examples
///
/// ```no_run
/// use std::path::Path;
/// use std::sync::atomic::AtomicBool;
///
/// use ucfpack::edit::{SubsetOptions, subset};
/// use ucfpack::progress::{Progress, Watch};
///
/// let options = SubsetOptions {
///     out: "two.shards".into(),
///     classes: Some(vec!["Archery".into(), "Rowing".into()]),
///     ..SubsetOptions::default()
/// };
/// let watch = Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(false) };
/// let report = subset(Path::new("ucf101.shards"), &options, watch)?;
/// println!("copied {} clips", report.clips);
/// # Ok::<(), ucfpack::Error>(())
/// ```
pub fn subset(dir: &Path, options: &SubsetOptions, watch: Watch<'_>) -> Result<BuildReport> {
    let started = Instant::now();
    refuse_part(dir, "take a part of the result")?;
    let data = open(dir, options.streams.as_deref())?;
    let names = data.manifest().streams.iter().map(|stream| stream.spec.name.clone());
    let streams: Vec<String> = names.filter(|name| data.is_open(name)).collect();
    let (selection, classes) = select(&data, options)?;
    let mut report = BuildReport::default();
    let clips = described(&data, &selection, classes.as_deref(), &streams, &mut report)?;
    let staging = Staging::new(&options.out, options.overwrite, Contents::Dataset)?;
    let mut metadata = description(data.manifest());
    if let Some(classes) = &classes {
        metadata.classes = classes.iter().map(|&number| data.manifest().classes[number as usize].clone()).collect();
    }
    let copy = Copy { data: &data, metadata, clips };
    let plan = copy.plan(&streams)?;
    watch.progress.begin("copying", Work { bytes: plan.bytes(), ..Work::default() });
    let written = copy.write(&plan, staging.path(), watch);
    watch.progress.end();
    written?;
    finish(staging, &mut report)?;
    report.bytes_in = plan.bytes();
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Returns an error of usage if there is no stream of a name that the user chose.
pub(super) fn unknown_name(error: clipshard::Error, setting: Setting) -> Error {
    match error {
        clipshard::Error::NoStream { .. } => Error::usage(Problem::from(setting).then(format!(": {error}"))),
        other => other.into(),
    }
}

/// Opens the streams to keep. The shards of other streams may be missing.
fn open(dir: &Path, streams: Option<&[String]>) -> Result<Dataset> {
    let Some(streams) = streams else { return Ok(Dataset::open(dir)?) };
    let names: Vec<&str> = streams.iter().map(String::as_str).collect();
    Dataset::open_streams(dir, &names, Access::Map).map_err(|error| unknown_name(error, Setting::Streams))
}

/// Selects clips. Returns the classes of the new dataset by their old numbers, or `None` if the
/// class list stays.
fn select<'a>(data: &'a Dataset, options: &SubsetOptions) -> Result<(Selection<'a>, Option<Vec<u32>>)> {
    let mut selection = Selection::all(data);
    let mut classes = None;
    if let Some(names) = &options.classes {
        classes = Some(selection.keep_classes(names)?).filter(|_| !options.keep_labels);
    }
    if !options.clips.is_empty() {
        selection.keep_ids(&options.clips)?;
    }
    if let Some(path) = &options.clip_list {
        selection.keep_listed(path)?;
    }
    let split = selection.find_split(options.split.as_deref())?;
    if !options.subsets.is_empty() {
        selection.keep_subsets(split, &options.subsets)?;
    }
    if let Some(limit) = options.limit {
        selection.limit(limit, split);
    }
    if selection.count() == 0 {
        let all = counted(data.manifest().clips.len() as u64, "clip", "clips");
        return Err(Error::usage(format!(
            "{}: none of the {all} meets all conditions; relax one of them",
            data.dir().display()
        )));
    }
    Ok((selection, classes))
}

/// Returns the descriptions of the selected clips. Omits clips that have none of the streams, with a
/// note.
fn described(
    data: &Dataset,
    selection: &Selection<'_>,
    classes: Option<&[u32]>,
    streams: &[String],
    report: &mut BuildReport,
) -> Result<Vec<Option<ShardClip>>> {
    let (mut clips, mut empty) = (Vec::new(), 0);
    for (clip, &kept) in data.manifest().clips.iter().zip(&selection.kept) {
        let has_frames = streams.iter().any(|stream| clip.frames.contains_key(stream));
        empty += u64::from(kept && !has_frames);
        clips.push((kept && has_frames).then(|| {
            let mut described = ShardClip::from(clip);
            if let Some(classes) = classes {
                let new_label = |label: u32| classes.binary_search(&label).ok().map(|label| label as u32);
                described.label = clip.label.and_then(new_label);
                renumber_labels(&mut described.attributes, new_label);
            }
            described
        }));
    }
    if clips.iter().all(Option::is_none) {
        return Err(Error::usage(format!(
            "{}: no selected clip has the stream {}",
            data.dir().display(),
            streams.join(" or ")
        )));
    }
    if empty > 0 {
        let (clips, streams) = (counted(empty, "clip that has", "clips that have"), streams.join(" or "));
        report.notes.push(format!("skipped {clips} no {streams} frames"));
    }
    Ok(clips)
}

/// Returns the description of a dataset, without clips and groups.
pub(super) fn description(manifest: &Manifest) -> ShardMetadata {
    let (dataset, classes, splits) = (manifest.dataset.clone(), manifest.classes.clone(), manifest.splits.clone());
    let mut metadata = ShardMetadata::new(dataset, classes, splits);
    metadata.build.clone_from(&manifest.build);
    metadata.attributes = manifest.attributes.clone();
    metadata
}

/// Writes the manifest of the finished shards, moves the dataset to its place, and counts its
/// content.
pub(super) fn finish(staging: Staging, report: &mut BuildReport) -> Result<()> {
    // The manifest is the one that a rebuild makes.
    let manifest = Manifest::rebuild(staging.path())?;
    manifest.write(staging.path())?;
    staging.commit()?;
    report.count(&manifest);
    Ok(())
}
