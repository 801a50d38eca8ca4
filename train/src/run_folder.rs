//! The folder of a run: what is in it, and writing each file whole or not at all.

use crate::checkpoint::EpochResult;
use crate::settings::Settings;
use crate::tensorboard;
use crate::usage::Usage;
use crate::whole_file::write_whole;
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Name of the page that shows a run, in its folder.
pub const REPORT_FILE: &str = "report.html";

/// A run's folder.
pub struct RunFolder {
    dir: PathBuf,
}

/// What to do with a folder that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It must not be there.
    Refuse,
    /// Go on with the run in it.
    Resume,
    /// Replace the run in it.
    Overwrite,
}

impl RunFolder {
    /// A folder for a run: made, or found.
    pub fn open(dir: &Path, existing: Existing) -> Result<Self> {
        let folder = Self { dir: dir.to_owned() };
        let is_used = dir.is_file() || dir.read_dir().is_ok_and(|mut entries| entries.next().is_some());
        match existing {
            Existing::Refuse if is_used => {
                bail!(Usage(format!("{} exists; --resume goes on with it, --overwrite replaces it", dir.display())))
            }
            Existing::Resume if !folder.checkpoint().is_file() => {
                bail!("{}: no run to go on with (it has no checkpoint.safetensors); leave out --resume", dir.display())
            }
            Existing::Overwrite if is_used => {
                if !folder.config().is_file() {
                    bail!("{} is not a run folder (it has no config.toml); it is not overwritten", dir.display());
                }
                let results = [
                    "algorithms.json",
                    "checkpoint.safetensors",
                    "best.safetensors",
                    "scores.npz",
                    "validation_scores.npz",
                    "train.csv",
                    "test.csv",
                    "log.jsonl",
                    tensorboard::FILE,
                    REPORT_FILE,
                ];
                let networks = folder.kept_epochs()?.into_iter().map(|(_, file)| file);
                for file in results.map(|name| dir.join(name)).into_iter().chain(networks) {
                    match std::fs::remove_file(&file) {
                        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                            return Err(e).with_context(|| format!("{}: cannot remove it", file.display()));
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        std::fs::create_dir_all(dir).with_context(|| format!("{}: cannot make this folder", dir.display()))?;
        Ok(folder)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// All settings.
    pub fn config(&self) -> PathBuf {
        self.dir.join("config.toml")
    }

    /// What a card chose to compute with.
    pub fn algorithms(&self) -> PathBuf {
        self.dir.join("algorithms.json")
    }

    /// Latest state.
    pub fn checkpoint(&self) -> PathBuf {
        self.dir.join("checkpoint.safetensors")
    }

    /// Network of the best epoch.
    pub fn best(&self) -> PathBuf {
        self.dir.join("best.safetensors")
    }

    /// Network of an epoch.
    pub fn network_of(&self, epoch: usize) -> PathBuf {
        self.dir.join(format!("epoch-{epoch:04}.safetensors"))
    }

    /// The epochs whose networks are there, and their files.
    fn kept_epochs(&self) -> Result<Vec<(usize, PathBuf)>> {
        let entries = self.dir.read_dir().with_context(|| format!("{}: cannot read it", self.dir.display()))?;
        let epoch_of = |path: PathBuf| {
            let epoch =
                path.file_name()?.to_str()?.strip_prefix("epoch-")?.strip_suffix(".safetensors")?.parse().ok()?;
            (path == self.network_of(epoch)).then_some((epoch, path))
        };
        Ok(entries.flatten().filter_map(|entry| epoch_of(entry.path())).collect())
    }

    /// Removes the networks of epochs before `first`.
    pub fn forget_epochs_before(&self, first: usize) -> Result<()> {
        for (_, file) in self.kept_epochs()?.into_iter().filter(|&(epoch, _)| epoch < first) {
            std::fs::remove_file(&file).with_context(|| format!("{}: cannot remove it", file.display()))?;
        }
        Ok(())
    }

    /// Scores of the best epoch on the clips that chose it, where those are not the test clips.
    pub fn validation_scores(&self) -> PathBuf {
        self.dir.join("validation_scores.npz")
    }

    /// Scores of the best epoch on the test clips.
    pub fn scores(&self) -> PathBuf {
        self.dir.join("scores.npz")
    }

    /// Writes the settings.
    pub fn write_config(&self, settings: &Settings) -> Result<()> {
        write(&self.config(), settings.to_toml()?.as_bytes())
    }

    /// Writes `train.csv` and `test.csv` with the seed's columns and decimals.
    pub fn write_csv(&self, history: &[EpochResult]) -> Result<()> {
        let mut train = String::from("Epoch,Batch Time,Data Time,Loss,Prec@1,Prec@5,lr\n");
        let mut test = String::from("Epoch,Batch Time,Loss,Prec@1,Prec@5\n");
        for result in history {
            let EpochResult { epoch, lr, .. } = result;
            let (batch, data) = (result.train_seconds.batch.get(), result.train_seconds.data.get());
            let scored = result.train;
            let _ = writeln!(
                train,
                "{epoch},{batch:.3},{data:.3},{:.5},{:.4},{:.4},{lr:e}",
                scored.loss, scored.top1, scored.top5
            );
            let scored = result.test;
            let batch = result.test_seconds.batch.get();
            let _ = writeln!(test, "{epoch},{batch:.3},{:.5},{:.3},{:.3}", scored.loss, scored.top1, scored.top5);
        }
        write(&self.dir.join("train.csv"), train.as_bytes())?;
        write(&self.dir.join("test.csv"), test.as_bytes())
    }

    /// Adds an epoch to the event file of `TensorBoard`.
    pub fn log_epoch(&self, result: &EpochResult) -> Result<()> {
        tensorboard::append(&self.dir.join(tensorboard::FILE), result)
    }

    /// Adds one event to `log.jsonl`.
    pub fn log(&self, event: &serde_json::Value) -> Result<()> {
        let path = self.dir.join("log.jsonl");
        let write = || {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path)?;
            file.write_all(format!("{event}\n").as_bytes())
        };
        write().with_context(|| format!("{}: cannot write it", path.display()))
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_whole(path, bytes).with_context(|| format!("{}: cannot write it", path.display()))
}
