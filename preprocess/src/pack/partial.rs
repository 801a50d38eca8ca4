//! The folder of an unfinished build, `.NAME.partial` next to the output. An interrupted build
//! leaves it behind, so that the next run can continue from the finished shards.
//!
//! `build.json` holds the plan, and `set/` the dataset so far. Code that uses the folder holds the
//! lock of the output.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clipshard::{MANIFEST_FILE, Storage, write_whole};

use super::plan::{BuildPlan, MAX_PLAN_BYTES};
use crate::error::{Error, Problem, Result, Setting};
use crate::place::name;
use crate::place::staging::put;
use crate::place::target::{Place, parent};
use crate::quantity::counted;

const PLAN_FILE: &str = "build.json";
const SET_FOLDER: &str = "set";
/// A build in progress.
pub(crate) struct PartialBuild {
    storage: Arc<dyn Storage>,
    root: PathBuf,
    out: PathBuf,
    place: Place,
}

/// The action for the folder of an earlier build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leftover {
    /// Continue that build.
    Resume,
    /// Remove the folder.
    Discard,
    /// Fail if it holds finished shards.
    Refuse,
}

/// Adds the finished shards of an earlier build to an interruption that happens before this build
/// opens its folder. Returns other errors unchanged.
pub(crate) fn with_finished(error: Error, out: &Path, place: Place) -> Error {
    let folder = folder(out, place);
    match (error, finished_shards(&folder)) {
        (cause @ Error::Interrupted, shards @ 1..) => Error::Kept { cause: Box::new(cause), shards, folder },
        (error, _) => error,
    }
}

/// Returns the number of shard files in the folder, or 0 if their plan is missing.
fn finished_shards(root: &Path) -> usize {
    if !root.join(PLAN_FILE).is_file() {
        return 0;
    }
    let Ok(entries) = fs::read_dir(root.join(SET_FOLDER)) else { return 0 };
    entries.flatten().filter(|entry| is_shard(&entry.file_name().to_string_lossy())).count()
}

impl PartialBuild {
    /// Starts or continues the build of `plan`, which becomes `out`.
    pub fn open(
        storage: Arc<dyn Storage>,
        out: &Path,
        place: Place,
        leftover: Leftover,
        plan: &BuildPlan,
    ) -> Result<Self> {
        let root = folder(out, place);
        // If it is a file instead of a folder, it holds no finished shards.
        if leftover != Leftover::Refuse && root.is_file() {
            fs::remove_file(&root).map_err(Error::io(&root, "cannot remove the leftovers of an earlier build"))?;
        }
        fs::create_dir_all(&root).map_err(Error::io(&root, "cannot create the folder"))?;
        let build = Self { storage, root, out: out.to_owned(), place };
        match build.prepare(leftover, plan) {
            Ok(()) => Ok(build),
            Err(error @ (Error::Usage(_) | Error::Input(_))) => Err(error),
            Err(error) => Err(build.abandon(error)),
        }
    }

    fn prepare(&self, leftover: Leftover, plan: &BuildPlan) -> Result<()> {
        self.take_back()?;
        let finished = finished_shards(&self.root);
        if finished > 0 {
            match leftover {
                Leftover::Resume => self.compare(plan)?,
                Leftover::Discard => self.clear()?,
                Leftover::Refuse => {
                    return Err(Error::usage(
                        Problem::from(format!(
                            "{}: an interrupted build left {} in {}; continue it with ",
                            self.out.display(),
                            counted(finished as u64, "finished shard", "finished shards"),
                            self.root.display()
                        ))
                        .name(Setting::Resume)
                        .with(again()),
                    ));
                }
            }
        } else {
            self.clear()?;
        }
        let set = self.set();
        fs::create_dir_all(&set).map_err(Error::io(&set, "cannot create the folder"))?;
        let text = serde_json::to_vec(plan).map_err(|e| Error::input(format!("the plan cannot be written: {e}")))?;
        Ok(write_whole(&*self.storage, &self.root.join(PLAN_FILE), ".build-", &text)?)
    }

    /// Returns the folder for the shards.
    pub fn set(&self) -> PathBuf {
        self.root.join(SET_FOLDER)
    }

    /// Moves the finished dataset to the output. An existing dataset stays until that moment and is
    /// then removed.
    pub fn commit(self) -> Result<()> {
        if let Err(error) = put(&*self.storage, &self.set(), &self.out, self.place) {
            return Err(self.abandon(error));
        }
        // The dataset is complete now, so a failure to clean up is no error. Without the plan, the
        // next run recognises the rest as leftovers.
        let _ = fs::remove_file(self.root.join(PLAN_FILE));
        let _ = fs::remove_dir_all(&self.root);
        Ok(())
    }

    /// Ends a failed build. Keeps finished shards and mentions them in the error; removes the
    /// folder if there are none.
    pub fn abandon(self, error: Error) -> Error {
        match finished_shards(&self.root) {
            0 => {
                let _ = fs::remove_dir_all(&self.root);
                error
            }
            shards => Error::Kept { cause: Box::new(error), shards, folder: self.root },
        }
    }

    fn compare(&self, plan: &BuildPlan) -> Result<()> {
        let path = self.root.join(PLAN_FILE);
        let text = clipshard::read_regular(&path, MAX_PLAN_BYTES)
            .map_err(Error::io(&path, "cannot read the plan of the interrupted build"))?;
        let earlier: BuildPlan = serde_json::from_slice(&text).map_err(|e| {
            Error::input(Problem::from(format!("{} is damaged ({e}); remove its folder", path.display())).with(again()))
        })?;
        match earlier.difference(plan) {
            None => Ok(()),
            Some(what) => Err(Error::input(
                Problem::from(format!("cannot resume {}: ", self.out.display()))
                    .with(what)
                    .then("; use the same options and source")
                    .with(again()),
            )),
        }
    }

    fn clear(&self) -> Result<()> {
        for entry in fs::read_dir(&self.root).map_err(Error::io(&self.root, "cannot list the folder"))?.flatten() {
            let path = entry.path();
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(Error::io(&path, "cannot remove the leftovers of an earlier build"))?;
        }
        Ok(())
    }

    /// Moves shards from the output back into this folder. On a disk of its own, files are moved
    /// one by one, and the build may have been interrupted in between.
    fn take_back(&self) -> Result<()> {
        if self.place != Place::OtherDisk || self.out.join(MANIFEST_FILE).exists() {
            return Ok(());
        }
        let set = self.set();
        for entry in fs::read_dir(&self.out).map_err(Error::io(&self.out, "cannot list the folder"))?.flatten() {
            if is_shard(&entry.file_name().to_string_lossy()) {
                fs::create_dir_all(&set).map_err(Error::io(&set, "cannot create the folder"))?;
                self.storage
                    .rename(&entry.path(), &set.join(entry.file_name()))
                    .map_err(Error::io(entry.path(), "cannot move a finished shard"))?;
            }
        }
        Ok(())
    }
}

/// Returns the end of a message that offers to start again.
fn again() -> Problem {
    Problem::from(", or start again with ").name(Setting::Overwrite)
}

fn is_shard(name: &str) -> bool {
    name.ends_with(".clipshard")
}

/// Returns the folder of a build: next to the output, or inside if the output is a mount point.
fn folder(out: &Path, place: Place) -> PathBuf {
    parent(out, place).join(name::partial(out))
}

/// Removes the folder of a finished build that was interrupted during its own clean-up.
pub(crate) fn remove_leftover(out: &Path, place: Place) {
    let _ = fs::remove_dir_all(folder(out, place));
}
