//! Packs more clips into an existing dataset.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use clipshard::{Dataset, Disk, Manifest, ShardMetadata, Storage};
use serde_json::json;

use super::adopt::{adopt, remove_leftovers, staging};
use super::base::Base;
use super::folder_lock::FolderLock;
use super::joined::{Joined, join};
use super::part::refuse_part;
use super::subset::description;
use crate::error::{Error, Problem, Result, Setting, Skipped};
use crate::lists::Lists;
use crate::pack::job::Job;
use crate::pack::options::content_options;
use crate::pack::{BuildOptions, BuildReport, DatasetKind, lists_missing};
use crate::place::lock::OutputLock;
use crate::place::target::resolved;
use crate::progress::Watch;
use crate::quantity::counted;
use crate::source::{Input, Layout, Location};
use crate::stream::StreamKind;

/// The file of a writer that has not finished.
const JOURNAL_FILE: &str = ".writing.json";
/// The attribute of a clip with the versions that differ from those of its dataset.
const VERSIONS: &str = "build";

/// Options of [`add()`]. All others are those of the dataset.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each is an independent switch")]
pub struct AddOptions {
    /// The kind of the split lists. `None` recognises it. Without lists, it is that of the dataset
    /// if its name is a kind, and otherwise custom.
    pub dataset: Option<DatasetKind>,
    /// Split lists of the new clips, as in [`BuildOptions::lists`].
    pub lists: Option<PathBuf>,
    /// The place of the frame tree or videos with the new clips.
    pub location: Location,
    /// The layout of the frame tree. `None` recognises it.
    pub layout: Option<Layout>,
    /// Classes of the lists to add; `None` adds all.
    pub classes: Option<Vec<String>>,
    /// Number of the GPU that computes TV-L1 flow. `None` uses the CPU.
    pub gpu: Option<usize>,
    /// Number of encoding threads.
    pub jobs: usize,
    /// Number of clips that are read at the same time. Use 1 for a spinning disk.
    pub readers: usize,
    /// Whether to add the remaining clips if some are missing or damaged.
    pub keep_going: bool,
    /// Whether to skip clips that the dataset has already.
    pub skip_existing: bool,
    /// Whether to accept another layout, and other versions of encoders and decoders. The attribute
    /// `build` of each new clip then has those that differ.
    pub other_versions: bool,
}

/// The result of [`add()`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct AddReport {
    /// The new clips and shards.
    pub added: BuildReport,
    /// Number of listed clips that the dataset had already.
    pub existing: u64,
    /// Classes that the dataset lacked, in the order of their labels.
    pub new_classes: Vec<String>,
    /// Number of clips that the dataset has now.
    pub clips: u64,
}

/// Packs more clips into the dataset in `dir`, with the options of the dataset.
///
/// The new clips come after those of the dataset, and so do new classes. New shards are made first;
/// then the manifest is replaced in one step. Programs that read the dataset meanwhile are not
/// disturbed. If this fails or is interrupted, the dataset stays as it was.
///
/// # Errors
/// Returns [`Error::Usage`] if another process writes the dataset or a class is unknown. Returns
/// [`Error::Input`] if the dataset does not allow additions, has some of the clips already, or was
/// packed with other options. Returns [`Error::NotWhole`] if clips are missing or damaged, unless
/// [`AddOptions::keep_going`] is set.
///
/// # Examples
///
/// ```no_run
/// use std::path::Path;
/// use std::sync::atomic::AtomicBool;
///
/// use ucfpack::edit::{AddOptions, add};
/// use ucfpack::progress::{Progress, Watch};
/// use ucfpack::source::Location;
///
/// let options = AddOptions {
///     dataset: None,
///     lists: Some("more.csv".into()),
///     location: Location::Videos("more".into()),
///     layout: None,
///     classes: None,
///     gpu: None,
///     jobs: 8,
///     readers: 8,
///     keep_going: false,
///     skip_existing: false,
///     other_versions: false,
/// };
/// let watch = Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(false) };
/// let report = add(Path::new("own.shards"), &options, watch)?;
/// println!("added {} clips", report.added.clips);
/// # Ok::<(), ucfpack::Error>(())
/// ```
pub fn add(dir: &Path, options: &AddOptions, watch: Watch<'_>) -> Result<AddReport> {
    add_in(&(Arc::new(Disk) as Arc<dyn Storage>), dir, options, watch)
}

/// Packs more clips like [`add()`], but writes the shards and the manifest through `storage`.
///
/// # Errors
/// As [`add()`].
pub fn add_in(storage: &Arc<dyn Storage>, dir: &Path, options: &AddOptions, watch: Watch<'_>) -> Result<AddReport> {
    let started = Instant::now();
    let dir = &resolved(dir);
    // A folder that is no dataset is not locked.
    Manifest::read(dir)?;
    let lock = OutputLock::take(dir)?;
    let _folder = FolderLock::take(dir)?;
    let data = Dataset::open(dir)?;
    let old = data.manifest();
    check_finished(dir)?;
    refuse_part(dir, "add clips to the result")?;
    let mut report = AddReport::default();
    for folder in remove_leftovers(dir, old, &lock)? {
        report.added.notes.push(format!("removed {}, which an interrupted run left", folder.display()));
    }
    let base = Base::read(dir, old)?;
    let source = Input::open(&base.located(&options.location)?, options.layout, base.video(options.gpu)?)?;
    base.check_source(&source)?;
    let mut build = build_options(dir, &base, options)?;
    build.attributes = old.attributes.clone();
    let others = base.compare(content_options(&build, &source, &base.streams), options.other_versions)?;
    let mut lists = read_lists(old, options, &source)?;
    let joined = join(&mut lists, dir, old, options.skip_existing)?;
    for clip in lists.clips.iter_mut().filter(|_| !others.is_empty()) {
        let others = json!(others);
        if clip.attributes.get(VERSIONS).is_some_and(|own| own != others) {
            return Err(Error::Input(Problem::from(Setting::OtherVersions).then(format!(
                " keeps the versions in the attribute `{VERSIONS}`, but clip {} has its own attribute of this \
                     name; rename that in the lists",
                clip.id
            ))));
        }
        clip.attributes.set(VERSIONS, others);
    }
    let mut metadata = description(old);
    metadata.classes.clone_from(&lists.classes);
    let new = Addition { storage, dir, build: &build, source: &source, metadata, joined };
    new.pack(lists, old, &mut report, watch)?;
    report.added.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Checks that no other program continues the dataset.
fn check_finished(dir: &Path) -> Result<()> {
    if dir.join(JOURNAL_FILE).exists() {
        return Err(Error::input(format!(
            "{}: another program has not finished writing ({JOURNAL_FILE} is there); finish that first",
            dir.display()
        )));
    }
    Ok(())
}

/// Returns options that pack clips as the dataset does.
fn build_options(dir: &Path, base: &Base<'_>, options: &AddOptions) -> Result<BuildOptions> {
    Ok(BuildOptions {
        out: dir.to_owned(),
        dataset: DatasetKind::Custom,
        lists: options.lists.clone(),
        location: options.location.clone(),
        layout: options.layout,
        video: base.video(options.gpu)?,
        attributes: clipshard::Attributes::new(),
        classes: options.classes.clone(),
        rgb: base.stored(StreamKind::Rgb),
        flow: base.stored(StreamKind::Flow),
        check: base.check,
        shard_bytes: base.shard_bytes,
        jobs: options.jobs,
        readers: options.readers,
        part: None,
        keep_going: options.keep_going,
        overwrite: false,
        resume: false,
        dry_run: false,
    })
}

/// Reads the lists of the new clips.
fn read_lists(old: &Manifest, options: &AddOptions, source: &Input) -> Result<Lists> {
    let own = DatasetKind::of_name(&old.dataset).unwrap_or(DatasetKind::Custom);
    let kind = options.dataset.unwrap_or(if options.lists.is_some() { DatasetKind::Auto } else { own });
    if options.lists.is_none() && kind != DatasetKind::Custom {
        return Err(lists_missing());
    }
    let mut lists = kind.read_lists(options.lists.as_deref(), source)?;
    if let Some(classes) = &options.classes {
        lists.keep_classes(classes)?;
    }
    Ok(lists)
}

/// Clips that become a part of a dataset.
struct Addition<'a> {
    storage: &'a Arc<dyn Storage>,
    dir: &'a Path,
    build: &'a BuildOptions,
    source: &'a Input,
    /// The description of the dataset with the new classes.
    metadata: ShardMetadata,
    joined: Joined,
}

impl Addition<'_> {
    /// Packs the clips into new shards, and moves these into the dataset.
    fn pack(self, lists: Lists, old: &Manifest, report: &mut AddReport, watch: Watch<'_>) -> Result<()> {
        let Joined { existing, new_classes } = self.joined;
        report.existing = existing.len() as u64;
        report.clips = old.clips.len() as u64;
        if report.existing > 0 {
            let are = counted(report.existing, "clip is", "clips are");
            report.added.notes.push(format!("skipped what {} has already: {are} not new", self.dir.display()));
        }
        if lists.clips.is_empty() {
            report.added.notes.extend(lists.notes);
            return Ok(());
        }
        let mut scan = match self.source.scan(&lists.clips, watch) {
            Ok(scan) => scan,
            // The source is the right one, but has no new clips.
            Err(Error::Input(_))
                if self.build.keep_going && !existing.is_empty() && self.source.scan(&existing, watch).is_ok() =>
            {
                let reason = format!("it is not in {}", self.source.shown());
                let skipped = lists.clips.into_iter().map(|clip| Skipped { clip: clip.id, reason: reason.clone() });
                report.added.skipped.extend(skipped);
                report.added.notes.extend(lists.notes);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        // The source usually has the clips that the dataset has, too.
        scan.unlisted = scan.unlisted.saturating_sub(existing.len());
        let (mut job, planned) = Job::new(self.build, self.source, lists, scan)?;
        job.join(self.metadata);
        let notes = std::mem::take(&mut report.added.notes);
        report.added = planned;
        report.added.notes.splice(0..0, notes);
        let staging = staging(self.dir)?;
        let new = job.pack_into(self.storage, staging.path(), &mut report.added, watch)?;
        if watch.cancel.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        let joined = adopt(&**self.storage, self.dir, staging.path(), old, new)?;
        report.clips = joined.clips.len() as u64;
        report.new_classes = new_classes;
        Ok(())
    }
}
