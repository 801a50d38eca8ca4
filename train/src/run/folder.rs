//! The folder of a run: the paths of its files, and functions that write them. Except for the logs,
//! a file is replaced only when the new one is complete.

use crate::base::meters::Scored;
use crate::base::replace_file::{PARTIAL_PREFIX, replace_file};
use crate::base::usage::Usage;
use crate::run::lock::{LOCK_FILE, RunLock};
use crate::run::log;
use crate::run::state::{EpochResult, Evaluated, State};
use crate::run::tensorboard::{self, Event};
use crate::scores::{SCORES_FILE, VAL_SCORES_FILE};
use crate::settings::Settings;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::DirEntry;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Name of the report page in a run folder.
pub const REPORT_FILE: &str = "report.html";

/// Name of the file with all settings in a run folder.
pub const CONFIG_FILE: &str = "config.toml";
/// Name of the checkpoint in a run folder.
pub const CHECKPOINT_FILE: &str = "checkpoint.safetensors";
/// Largest size of a log that is read.
const MOST_LOG_BYTES: u64 = 1 << 30;

/// Files that overwriting a run removes, in addition to the networks of its epochs.
const RESULTS: [&str; 11] = [
    "algorithms.json",
    CHECKPOINT_FILE,
    "best.safetensors",
    SCORES_FILE,
    VAL_SCORES_FILE,
    "train.csv",
    "val.csv",
    "test.csv",
    "log.jsonl",
    tensorboard::FILE,
    REPORT_FILE,
];

/// A locked run folder: no other program trains in it while this value exists.
pub struct RunFolder {
    dir: PathBuf,
    _lock: RunLock,
}

/// The treatment of a folder that exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Reports an error, unless the folder is empty.
    Refuse,
    /// Continues the run in it.
    Resume,
    /// Replaces the run in it.
    Overwrite,
}

impl Existing {
    /// Checks whether the folder allows this treatment, and changes nothing.
    ///
    /// # Errors
    /// The folder is in use (`Refuse`), has no checkpoint (`Resume`) or has files but no run
    /// (`Overwrite`).
    pub fn check(self, dir: &Path) -> Result<()> {
        let is_used = || {
            let is_of_a_run = |entry: &std::io::Result<DirEntry>| {
                entry.as_ref().is_ok_and(|entry| entry.file_name() == LOCK_FILE || is_partial(&entry.file_name()))
            };
            dir.is_file() || dir.read_dir().is_ok_and(|mut entries| entries.any(|entry| !is_of_a_run(&entry)))
        };
        let (shown, has_config) = (dir.display(), dir.join(CONFIG_FILE).is_file());
        match self {
            Self::Refuse if is_used() => {
                bail!(Usage(format!(
                    "{shown}: the folder is not empty; add --resume to continue its run, or --overwrite to replace it"
                )))
            }
            Self::Resume if !dir.join(CHECKPOINT_FILE).is_file() => {
                let cure =
                    if has_config { "use --overwrite to start it again" } else { "remove --resume to start a run" };
                bail!("{shown}: cannot resume, because the folder has no {CHECKPOINT_FILE}; {cure}")
            }
            Self::Overwrite if is_used() && !has_config => {
                bail!(
                    "{shown}: not overwritten, because it has no {CONFIG_FILE} and may not be a run; \
                     name another folder"
                )
            }
            _ => Ok(()),
        }
    }
}

impl RunFolder {
    /// Opens the folder of a run, or creates it, and locks it. Then removes partial files of killed
    /// programs and, with `Existing::Overwrite`, the old run.
    ///
    /// # Errors
    /// `existing` does not allow the folder as it is, another program uses it, or it cannot be
    /// written.
    pub fn open(dir: &Path, existing: Existing) -> Result<Self> {
        // Checks before writing, because the folder may not belong to a run.
        existing.check(dir)?;
        std::fs::create_dir_all(dir).with_context(|| format!("{}: cannot create this folder", dir.display()))?;
        let folder = Self { dir: dir.to_owned(), _lock: RunLock::take(dir)? };
        // Checks again, because another program may have used the folder before this one got the
        // lock.
        existing.check(dir)?;
        for entry in folder.entries()? {
            if is_partial(&entry.file_name()) && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                remove(&entry.path())?;
            }
        }
        if existing == Existing::Overwrite {
            let networks = folder.kept_epochs()?.into_iter().map(|(_, file)| file);
            RESULTS.map(|name| dir.join(name)).into_iter().chain(networks).try_for_each(|file| remove(&file))?;
        }
        Ok(folder)
    }

    fn entries(&self) -> Result<Vec<DirEntry>> {
        let entries = self.dir.read_dir().and_then(Iterator::collect);
        entries.with_context(|| format!("{}: cannot read it", self.dir.display()))
    }

    /// Returns the path of the folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the path of the file with all settings.
    pub fn config(&self) -> PathBuf {
        self.dir.join(CONFIG_FILE)
    }

    /// Returns the path of the file with the algorithms that a GPU chose.
    pub fn algorithms(&self) -> PathBuf {
        self.dir.join("algorithms.json")
    }

    /// Returns the path of the checkpoint.
    pub fn checkpoint(&self) -> PathBuf {
        self.dir.join(CHECKPOINT_FILE)
    }

    /// Returns the path of the best epoch's network.
    pub fn best(&self) -> PathBuf {
        self.dir.join("best.safetensors")
    }

    /// Returns the path of an epoch's network.
    pub fn network_of(&self, epoch: usize) -> PathBuf {
        self.dir.join(format!("epoch-{epoch:04}.safetensors"))
    }

    /// Lists the epochs whose networks exist, with their files.
    fn kept_epochs(&self) -> Result<Vec<(usize, PathBuf)>> {
        let epoch_of = |path: PathBuf| {
            let epoch =
                path.file_name()?.to_str()?.strip_prefix("epoch-")?.strip_suffix(".safetensors")?.parse().ok()?;
            (path == self.network_of(epoch)).then_some((epoch, path))
        };
        Ok(self.entries()?.into_iter().filter_map(|entry| epoch_of(entry.path())).collect())
    }

    /// Removes the networks of the epochs before `first`.
    pub fn forget_epochs_before(&self, first: usize) -> Result<()> {
        for (_, file) in self.kept_epochs()?.into_iter().filter(|&(epoch, _)| epoch < first) {
            remove(&file)?;
        }
        Ok(())
    }

    /// Returns the path of the best epoch's scores on the test clips.
    pub fn scores(&self) -> PathBuf {
        self.dir.join(SCORES_FILE)
    }

    /// Removes the best epoch's scores on the test clips, if they exist.
    pub fn forget_scores(&self) -> Result<()> {
        remove(&self.scores())
    }

    /// Returns the path of the best epoch's scores on the clips that chose it.
    pub fn scores_of(&self, eval: &Evaluated) -> PathBuf {
        match eval {
            Evaluated::Val(_) => self.dir.join(VAL_SCORES_FILE),
            Evaluated::Test(_) => self.scores(),
        }
    }

    /// Writes the settings.
    pub fn write_config(&self, settings: &Settings) -> Result<()> {
        replace_file(&self.config(), settings.to_toml()?.as_bytes())
    }

    /// Writes `train.csv`, and `val.csv` or `test.csv`, with the columns and decimals of the
    /// reference run.
    pub fn write_csv(&self, history: &[EpochResult]) -> Result<()> {
        let mut train = String::from("Epoch,Batch Time,Data Time,Loss,Prec@1,Prec@5,lr\n");
        let mut eval = String::from("Epoch,Batch Time,Loss,Prec@1,Prec@5\n");
        for result in history {
            let EpochResult { epoch, lr, .. } = result;
            let (batch, data) = (result.train_seconds.batch.get(), result.train_seconds.data.get());
            let scored = result.train;
            let _ = writeln!(
                train,
                "{epoch},{batch:.3},{data:.3},{:.5},{:.4},{:.4},{lr:e}",
                scored.loss, scored.top1, scored.top5
            );
            let scored = result.eval.scored();
            let batch = result.test_seconds.batch.get();
            let _ = writeln!(eval, "{epoch},{batch:.3},{:.5},{:.3},{:.3}", scored.loss, scored.top1, scored.top5);
        }
        replace_file(&self.dir.join("train.csv"), train.as_bytes())?;
        let Some(first) = history.first() else { return Ok(()) };
        replace_file(&self.dir.join(format!("{}.csv", first.eval.subset())), eval.as_bytes())
    }

    /// Adds an epoch to the event file of `TensorBoard`.
    pub fn log_epoch(&self, result: &EpochResult) -> Result<()> {
        tensorboard::append(&self.dir.join(tensorboard::FILE), &Event::of_epoch(result))
    }

    /// Adds the test of the best epoch's network to the event file of `TensorBoard`.
    pub fn log_test(&self, epochs: usize, test: &Scored) -> Result<()> {
        tensorboard::append(&self.dir.join(tensorboard::FILE), &Event::of_test(epochs, test))
    }

    /// Rewrites the CSV files, `log.jsonl` and the event file from the history of the checkpoint. A
    /// killed program may have left an epoch in them that the checkpoint does not have, or an
    /// incomplete line.
    pub fn rebuild_logs(&self, state: &State) -> Result<()> {
        self.write_csv(&state.history)?;
        tensorboard::rebuild(&self.dir.join(tensorboard::FILE), state)?;
        let text = clipshard::read_regular(self.log_file(), MOST_LOG_BYTES).unwrap_or_default();
        replace_file(&self.log_file(), log::rebuilt(&String::from_utf8_lossy(&text), state).as_bytes())
    }

    fn log_file(&self) -> PathBuf {
        self.dir.join("log.jsonl")
    }

    /// Adds one event to `log.jsonl`.
    pub fn log(&self, event: &serde_json::Value) -> Result<()> {
        let path = self.log_file();
        let write = || {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path)?;
            file.write_all(format!("{event}\n").as_bytes())
        };
        write().with_context(|| format!("{}: cannot write it", path.display()))
    }
}

fn is_partial(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(PARTIAL_PREFIX.as_bytes())
}

/// Removes a file, if it exists.
fn remove(file: &Path) -> Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{}: cannot remove it", file.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            dir.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_with_only_leftovers_takes_a_new_run() {
        let temp = tempfile::tempdir().unwrap();
        let leave = || {
            for name in [".partial-3Xk2a0", ".partial-a.partial", LOCK_FILE] {
                std::fs::write(temp.path().join(name), "part").unwrap();
            }
        };
        for existing in [Existing::Refuse, Existing::Overwrite] {
            leave();
            drop(RunFolder::open(temp.path(), existing).unwrap());
            assert_eq!(names(temp.path()), [LOCK_FILE]);
        }
        leave();
        let error = RunFolder::open(temp.path(), Existing::Resume).err().unwrap().to_string();
        assert!(
            error.ends_with(
                "cannot resume, because the folder has no checkpoint.safetensors; remove --resume to start a run"
            ),
            "{error}"
        );
    }

    #[test]
    fn a_run_is_replaced_and_files_of_others_stay() {
        let temp = tempfile::tempdir().unwrap();
        let write = |name: &str| std::fs::write(temp.path().join(name), "x").unwrap();
        for name in RESULTS.into_iter().chain(["config.toml", "epoch-0003.safetensors", ".partial-1", "notes.txt"]) {
            write(name);
        }
        let error = RunFolder::open(temp.path(), Existing::Refuse).err().unwrap().to_string();
        assert!(error.ends_with("add --resume to continue its run, or --overwrite to replace it"), "{error}");
        assert_eq!(names(temp.path()).len(), RESULTS.len() + 4, "nothing was touched");
        drop(RunFolder::open(temp.path(), Existing::Overwrite).unwrap());
        assert_eq!(names(temp.path()), [LOCK_FILE, "config.toml", "notes.txt"]);
        let error = RunFolder::open(temp.path(), Existing::Resume).err().unwrap().to_string();
        assert!(
            error.ends_with("the folder has no checkpoint.safetensors; use --overwrite to start it again"),
            "{error}"
        );

        std::fs::remove_file(temp.path().join("config.toml")).unwrap();
        let error = RunFolder::open(temp.path(), Existing::Overwrite).err().unwrap().to_string();
        assert!(error.contains("may not be a run"), "{error}");
    }
}
