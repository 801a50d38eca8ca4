//! A storage that fails: it stops like after a power cut, runs out of space, or writes little at a
//! time. The tests of `clipshard` and of `ucfpack` share it.
#![allow(dead_code, reason = "not every test uses everything")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use clipshard::{Disk, PartialFile, Storage};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The n-th step is half done or not done, and all later steps fail. The state of the disk at
    /// that moment is copied.
    PowerCut,
    /// The n-th step and all later writes run out of space.
    NoSpace,
    /// Only the n-th step fails.
    Once,
    /// Each write stores only a few bytes. Nothing fails.
    ShortWrites,
}

/// Counts every create, write, sync, rename, exchange and remove, and fails at one of them.
#[derive(Clone)]
pub struct Faulty(Arc<Mutex<State>>);

struct State {
    fault: Fault,
    at: u64,
    steps: u64,
    /// The folder whose state after the power cut is copied to `aside`.
    watched: PathBuf,
    aside: PathBuf,
    cut: bool,
    /// Whether all written bytes of a file are on the disk.
    synced: BTreeMap<PathBuf, bool>,
    files: u64,
}

enum Step {
    Go,
    Fail,
    /// Only half of a write is done.
    Half,
}

impl Faulty {
    /// Creates a storage that fails at step `at`, counted from 1. A power cut copies the state of
    /// `watched` to `aside`.
    pub fn new(fault: Fault, at: u64, watched: &Path, aside: &Path) -> Self {
        Self(Arc::new(Mutex::new(State {
            fault,
            at,
            steps: 0,
            watched: watched.into(),
            aside: aside.into(),
            cut: false,
            synced: BTreeMap::new(),
            files: 0,
        })))
    }

    /// Returns the number of steps so far.
    pub fn steps(&self) -> u64 {
        self.0.lock().unwrap().steps
    }

    pub fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(self.clone())
    }

    fn step(&self, writing: bool) -> Step {
        let mut state = self.0.lock().unwrap();
        state.steps += 1;
        let now = state.steps == state.at;
        match state.fault {
            Fault::Once if now => Step::Fail,
            Fault::NoSpace if now || writing && state.steps > state.at => Step::Fail,
            Fault::PowerCut if now && writing => Step::Half,
            Fault::PowerCut if now => {
                state.cut_power();
                Step::Fail
            }
            Fault::PowerCut if state.steps > state.at => Step::Fail,
            _ => Step::Go,
        }
    }

    fn go(&self) -> io::Result<()> {
        match self.step(false) {
            Step::Go => Ok(()),
            _ => Err(failed()),
        }
    }

    fn short(&self) -> bool {
        self.0.lock().unwrap().fault == Fault::ShortWrites
    }
}

impl State {
    fn cut_power(&mut self) {
        if self.cut {
            return;
        }
        self.cut = true;
        copy_tree(&self.watched, &self.aside);
        // Bytes that were not synced may be lost.
        for (path, _) in self.synced.iter().filter(|(_, synced)| !**synced) {
            let path = self.aside.join(path.strip_prefix(&self.watched).unwrap());
            if let Ok(file) = fs::OpenOptions::new().write(true).open(path) {
                file.set_len(file.metadata().unwrap().len() / 2).unwrap();
            }
        }
    }
}

fn failed() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

impl Storage for Faulty {
    fn create(&self, folder: &Path, prefix: &str) -> io::Result<Box<dyn PartialFile>> {
        self.go()?;
        let path = {
            let mut state = self.0.lock().unwrap();
            state.files += 1;
            let path = folder.join(format!("{prefix}{}.partial", state.files));
            state.synced.insert(path.clone(), false);
            path
        };
        let file = fs::File::create(&path)?;
        Ok(Box::new(FaultyFile { storage: self.clone(), path, file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.go()?;
        Disk.rename(from, to)
    }

    fn exchange(&self, a: &Path, b: &Path) -> io::Result<()> {
        self.go()?;
        Disk.exchange(a, b)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.go()?;
        Disk.remove(path)
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        self.go()
    }
}

struct FaultyFile {
    storage: Faulty,
    path: PathBuf,
    file: fs::File,
}

impl FaultyFile {
    fn mark(&self, synced: bool) {
        if let Some(state) = self.storage.0.lock().unwrap().synced.get_mut(&self.path) {
            *state = synced;
        }
    }
}

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.mark(false);
        match self.storage.step(true) {
            Step::Go if self.storage.short() => self.file.write(&bytes[..bytes.len().min(97)]),
            Step::Go => self.file.write(bytes),
            Step::Half => {
                self.file.write_all(&bytes[..bytes.len() / 2])?;
                self.storage.0.lock().unwrap().cut_power();
                Err(failed())
            }
            Step::Fail => Err(failed()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl PartialFile for FaultyFile {
    fn sync(&mut self) -> io::Result<()> {
        self.storage.go()?;
        self.mark(true);
        Ok(())
    }

    fn persist(self: Box<Self>, path: &Path) -> io::Result<()> {
        self.storage.go()?;
        fs::rename(&self.path, path)?;
        let mut state = self.storage.0.lock().unwrap();
        let synced = state.synced.remove(&self.path).unwrap();
        state.synced.insert(path.into(), synced);
        Ok(())
    }
}

impl Drop for FaultyFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Copies a folder and all its content.
pub fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
