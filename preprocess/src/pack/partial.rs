//! The folder in which a build grows, `.NAME.partial` beside its place. A build that was cut off leaves it, and goes on
//! from its finished shards.
//!
//! It holds `build.json`, what the build makes, and `set/`, the data set so far. Its user holds the lock of the output.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clipshard::{MANIFEST_FILE, Storage, write_whole};

use super::plan::{BuildPlan, MAX_PLAN_BYTES};
use crate::error::{Error, Problem, Result, Setting};
use crate::place::name;
use crate::place::staging::put;
use crate::place::target::{Place, parent};

const PLAN_FILE: &str = "build.json";
const SET_FOLDER: &str = "set";
/// A build under way.
pub(crate) struct PartialBuild {
    storage: Arc<dyn Storage>,
    root: PathBuf,
    out: PathBuf,
    place: Place,
}

/// What to do with what an earlier build left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leftover {
    /// Go on with it.
    Resume,
    /// Remove it.
    Discard,
    /// Ask, if it holds finished shards.
    Refuse,
}

/// The error of a build that ends before its folder is opened: an interruption also tells what an earlier build finished there.
pub(crate) fn with_finished(error: Error, out: &Path, place: Place) -> Error {
    let folder = folder(out, place);
    match (error, finished_shards(&folder)) {
        (cause @ Error::Interrupted, shards @ 1..) => Error::Kept { cause: Box::new(cause), shards, folder },
        (error, _) => error,
    }
}

/// Number of files with a shard's final name; none count where nobody knows what they are for.
fn finished_shards(root: &Path) -> usize {
    if !root.join(PLAN_FILE).is_file() {
        return 0;
    }
    let Ok(entries) = fs::read_dir(root.join(SET_FOLDER)) else { return 0 };
    entries.flatten().filter(|entry| is_shard(&entry.file_name().to_string_lossy())).count()
}

impl PartialBuild {
    /// Starts or continues the build of `plan` that will be `out`.
    pub fn open(
        storage: Arc<dyn Storage>,
        out: &Path,
        place: Place,
        leftover: Leftover,
        plan: &BuildPlan,
    ) -> Result<Self> {
        let root = folder(out, place);
        // A file has no finished shards to lose.
        if leftover != Leftover::Refuse && root.is_file() {
            fs::remove_file(&root).map_err(Error::io(&root, "cannot remove what an earlier build left"))?;
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
                            "{}: a build that was cut off left {finished} finished shards in {}; go on with ",
                            self.out.display(),
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

    /// Where the shards go.
    pub fn set(&self) -> PathBuf {
        self.root.join(SET_FOLDER)
    }

    /// Puts the finished data set into its place. What was there before stays until then and is removed after.
    pub fn commit(self) -> Result<()> {
        if let Err(error) = put(&*self.storage, &self.set(), &self.out, self.place) {
            return Err(self.abandon(error));
        }
        // From here on a failure to clean up is no failure of the build. Without the plan the rest is known as rubbish.
        let _ = fs::remove_file(self.root.join(PLAN_FILE));
        let _ = fs::remove_dir_all(&self.root);
        Ok(())
    }

    /// Ends a build that failed: finished shards are kept, and the error says so; without any, nothing is left.
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
            .map_err(Error::io(&path, "cannot read what the build that was cut off makes"))?;
        let earlier: BuildPlan = serde_json::from_slice(&text).map_err(|e| {
            Error::input(Problem::from(format!("{}: damaged: {e}; remove its folder", path.display())).with(again()))
        })?;
        match earlier.difference(plan) {
            None => Ok(()),
            Some(what) => Err(Error::input(
                Problem::from(format!("{}: cannot go on with the build that was cut off: ", self.out.display()))
                    .with(what)
                    .then("; give the same command and tree")
                    .with(again()),
            )),
        }
    }

    fn clear(&self) -> Result<()> {
        for entry in fs::read_dir(&self.root).map_err(Error::io(&self.root, "cannot list the folder"))?.flatten() {
            let path = entry.path();
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(Error::io(&path, "cannot remove what an earlier build left"))?;
        }
        Ok(())
    }

    /// Where files are moved into their place one by one, a build may be cut off between two. They come back here.
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
                    .map_err(Error::io(entry.path(), "cannot take back a finished shard"))?;
            }
        }
        Ok(())
    }
}

/// What is always left to do with an unfinished build.
fn again() -> Problem {
    Problem::from(", or start again with ").name(Setting::Overwrite)
}

fn is_shard(name: &str) -> bool {
    name.ends_with(".clipshard")
}

/// The folder of a build: beside its place, or inside where that is a disk of its own.
fn folder(out: &Path, place: Place) -> PathBuf {
    parent(out, place).join(name::partial(out))
}

/// Removes what a build that is whole left if it was cut off while it tidied up.
pub(crate) fn remove_leftover(out: &Path, place: Place) {
    let _ = fs::remove_dir_all(folder(out, place));
}
