//! The files of a run folder. Missing and unreadable ones become faults that the page lists.

use super::epochs::{Csv, Epoch, EpochSeconds, Log, Start};
use crate::base::best_by::BestBy;
use crate::base::meters::Scored;
use crate::formats::network::Network;
use crate::formats::safetensors_file::read_metadata;
use crate::run::rank_work::JointWork;
use crate::run::state::State;
use crate::schedule::Schedule;
use crate::scores::accuracy::accuracy;
use crate::scores::{SCORES_FILE, Scores, VAL_SCORES_FILE};
use crate::settings::Given;
use crate::stream::Stream;
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use std::path::{Path, PathBuf};

/// The content of a run folder.
pub struct Run {
    /// Name of the folder; its path if several runs have one name.
    pub name: String,
    /// Path of the folder.
    pub dir: PathBuf,
    /// Text of `config.toml`.
    pub config: Option<String>,
    /// Settings in `config.toml`.
    pub settings: Option<Given>,
    /// Description of the network.
    pub network: Option<Network>,
    /// State of the checkpoint.
    pub state: Option<State>,
    /// Starts of the program.
    pub starts: Vec<Start>,
    /// Epochs in order.
    pub epochs: Vec<Epoch>,
    /// Work of the ranks in the last epoch that had several.
    pub work: Option<JointWork>,
    /// Scores of the best epoch on the clips of `subset`.
    pub scores: Option<Scores>,
    /// Subset of the result: `val` if val clips choose the best epoch and its network has no test on
    /// test clips, otherwise `test`.
    pub subset: &'static str,
    /// Subset of the clips that choose the best epoch.
    pub judges: &'static str,
    /// Problems with the files, one sentence each.
    pub faults: Vec<String>,
}

/// Files of a run that a report reads.
const FILES: [&str; 9] = [
    "config.toml",
    "log.jsonl",
    "train.csv",
    "val.csv",
    "test.csv",
    VAL_SCORES_FILE,
    SCORES_FILE,
    "best.safetensors",
    "checkpoint.safetensors",
];

/// Largest size of a text file that is read.
const MOST_BYTES: u64 = 1 << 30;

impl Run {
    /// Reads a run's folder.
    ///
    /// # Errors
    /// The folder does not exist or contains no file of a run.
    pub fn read(dir: &Path) -> Result<Self> {
        if !dir.is_dir() {
            bail!("{}: the folder does not exist", dir.display());
        }
        if !FILES.iter().any(|name| dir.join(name).is_file()) {
            bail!("{}: not a run folder; it has none of {}", dir.display(), FILES.join(", "));
        }
        let mut parts = Parts { dir, missing: Vec::new(), broken: Vec::new() };
        let text = |path: &Path| {
            let bytes = clipshard::read_regular(path, MOST_BYTES)
                .with_context(|| format!("{}: cannot read it", path.display()))?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let config = parts.read("config.toml", text);
        let settings = config.as_ref().and_then(|text| {
            let settings = Given::from_toml(text).map_err(|e| parts.is_broken("config.toml", e.message()));
            settings.ok()
        });
        let log = parts.read("log.jsonl", text).map(|text| Log::parse(&text)).unwrap_or_default();
        parts.has_unreadable("log.jsonl", log.unreadable);
        let judges = log.judges.unwrap_or(if dir.join("val.csv").is_file() { "val" } else { "test" });
        let eval = if judges == "val" { "val.csv" } else { "test.csv" };
        let mut epochs = log.epochs;
        for (name, csv) in [("train.csv", Csv::Train), (eval, Csv::Eval)] {
            let unreadable = parts.read(name, text).map_or(0, |text| csv.fill(&text, &mut epochs));
            parts.has_unreadable(name, unreadable);
        }
        let state: Option<State> = parts.read("checkpoint.safetensors", read_metadata);
        let is_tested = state.as_ref().map_or(dir.join(SCORES_FILE).is_file(), |state| state.test().is_some());
        let subset = if judges == "val" && !is_tested { "val" } else { "test" };
        let scores = parts.read(if subset == "val" { VAL_SCORES_FILE } else { SCORES_FILE }, Scores::load);
        let network: Option<Network> = parts.read("best.safetensors", read_metadata);
        let network = network.or_else(|| state.as_ref().map(|state| state.network.clone()));
        let mut run = Self {
            name: folder_name(dir),
            dir: dir.to_owned(),
            config,
            settings,
            network,
            state,
            starts: log.starts,
            epochs: epochs.into_values().collect(),
            work: log.work,
            scores,
            subset,
            judges,
            faults: parts.faults(),
        };
        run.compare_scores();
        Ok(run)
    }

    /// Returns loss and accuracy of the best epoch's network on the clips of `subset`, if they are
    /// known.
    pub fn result(&self) -> Option<Scored> {
        if self.subset == self.judges { self.best()?.eval } else { self.state.as_ref()?.test() }
    }

    /// Returns the path of the file with the scores.
    pub fn scores_file(&self) -> PathBuf {
        self.dir.join(if self.subset == "val" { VAL_SCORES_FILE } else { SCORES_FILE })
    }

    /// Returns whether the split has no test clips; false if the log does not say so.
    pub fn lacks_test_clips(&self) -> bool {
        self.starts.last().and_then(|start| start.clips.get("test")) == Some(&0)
    }

    /// Adds a fault if the scores are not those of the result.
    fn compare_scores(&mut self) {
        let (Some(best), Some(scores)) = (self.result(), &self.scores) else { return };
        let file = if self.subset == "val" { VAL_SCORES_FILE } else { SCORES_FILE };
        let Some(labels) = &scores.labels else {
            self.faults.push(format!("{file} has no labels, so accuracy cannot be computed from it."));
            return;
        };
        let top1 = accuracy(&scores.logits, scores.classes, labels).top1;
        // The CSV files have three decimals.
        if (top1 - best.top1).abs() > 1e-3 {
            self.faults.push(format!(
                "{file} has an accuracy of {top1:.3} %, but the best epoch has {:.3} %: \
                 the scores are of another epoch.",
                best.top1
            ));
        }
    }

    /// Returns the best epoch by the rule of the run, on the clips that choose it.
    pub fn best(&self) -> Option<&Epoch> {
        let by = self.settings.as_ref().and_then(|settings| settings.best_by).unwrap_or_default();
        let evaluated = self.epochs.iter().filter_map(|epoch| Some((epoch, epoch.eval?)));
        let best = evaluated.reduce(|best, other| if by.prefers(other.1, best.1) { other } else { best });
        best.map(|(epoch, _)| epoch)
    }

    /// Returns the subset of the clips that choose the best epoch. Returns `none` if the last epoch
    /// counts, unless the test clips set the learning rate.
    pub fn epoch_chosen_on(&self) -> &'static str {
        let is_last = self.settings.as_ref().is_some_and(|settings| {
            settings.best_by == Some(BestBy::Last) && settings.schedule != Some(Schedule::Plateau)
        });
        if is_last { "none" } else { self.judges }
    }

    /// Returns the sum of the times of its epochs, and the number of epochs that have times.
    pub fn seconds(&self) -> Option<(EpochSeconds, usize)> {
        EpochSeconds::sum(&self.epochs)
    }

    /// Returns the stream that its network reads.
    pub fn stream(&self) -> Option<Stream> {
        self.network.as_ref().map(|network| network.stream).or_else(|| self.settings.as_ref()?.stream)
    }

    /// Returns the architecture: resnet18 to resnet152.
    pub fn arch(&self) -> Option<&str> {
        let settings = || self.settings.as_ref()?.arch.as_deref();
        self.network.as_ref().map(|network| network.arch.as_str()).or_else(settings)
    }

    /// Returns the split that it learns from.
    pub fn split(&self) -> Option<&str> {
        let settings = || self.settings.as_ref()?.split.as_deref();
        self.network.as_ref().map(|network| network.split.as_str()).or_else(settings)
    }

    /// Returns the name of the recipe.
    pub fn recipe(&self) -> Option<String> {
        let recipe = self.settings.as_ref()?.recipe?;
        recipe.to_possible_value().map(|value| value.get_name().to_owned())
    }

    /// Returns the number of complete epochs and, if known, of planned ones: `3 of 5`.
    pub fn progress(&self) -> String {
        let planned = self.settings.as_ref().and_then(|settings| settings.epochs);
        planned.map_or_else(|| self.epochs.len().to_string(), |planned| format!("{} of {planned}", self.epochs.len()))
    }
}

/// Renames runs that share a name to their paths.
pub fn name_apart(runs: &mut [Run]) {
    let names: Vec<String> = runs.iter().map(|run| run.name.clone()).collect();
    for run in runs {
        if names.iter().filter(|name| **name == run.name).count() > 1 {
            run.name = run.dir.display().to_string();
        }
    }
}

/// Returns the folder's name, also if its path is `.`.
fn folder_name(dir: &Path) -> String {
    let named = if dir.file_name().is_some() { dir.to_owned() } else { dir.canonicalize().unwrap_or(dir.to_owned()) };
    named.file_name().map_or_else(|| dir.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// A reader of the files of a folder that collects problems.
struct Parts<'a> {
    dir: &'a Path,
    missing: Vec<&'static str>,
    broken: Vec<String>,
}

impl Parts<'_> {
    fn read<T>(&mut self, name: &'static str, read: impl FnOnce(&Path) -> Result<T>) -> Option<T> {
        let path = self.dir.join(name);
        if !path.is_file() {
            self.missing.push(name);
            return None;
        }
        match read(&path) {
            Ok(part) => Some(part),
            Err(error) => {
                // The error already names the file.
                self.broken.push(format!("{error:#}."));
                None
            }
        }
    }

    fn is_broken(&mut self, name: &str, fault: &str) {
        self.broken.push(format!("{name}: {fault}."));
    }

    fn has_unreadable(&mut self, name: &str, lines: usize) {
        if lines > 0 {
            self.broken.push(format!("{name}: cannot read {lines} of its lines."));
        }
    }

    fn faults(self) -> Vec<String> {
        let missing = (!self.missing.is_empty()).then(|| format!("Missing: {}.", self.missing.join(", ")));
        missing.into_iter().chain(self.broken).collect()
    }
}
