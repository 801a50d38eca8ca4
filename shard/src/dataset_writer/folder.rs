//! The folder of a dataset that is being written.

use crate::error::{Error, Result};
use crate::layout::MANIFEST_FILE;
use crate::manifest::MAX_MANIFEST_BYTES;
use crate::names::{JOURNAL_FILE, SHARD_ENDING, parse_shard_name};
use crate::regular::read_regular;
use crate::storage::Storage;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The start of the name of an unfinished journal.
pub(super) const JOURNAL_PREFIX: &str = ".writing-";
/// The starts of the names of all files that are being written. They end in `.partial`.
const PARTIAL_PREFIXES: [&str; 3] = [".shard-", ".manifest-", JOURNAL_PREFIX];

/// The folder of a dataset. While it exists, no other writer can use the folder.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) storage: Arc<dyn Storage>,
    /// The locked folder, where the operating system and the file system support this.
    lock: Option<File>,
}

impl Drop for Folder {
    /// Releases the lock. Closing the file would keep it for a moment if another thread is starting a
    /// process, because that process inherits the open file.
    fn drop(&mut self) {
        if let Some(lock) = &self.lock {
            let _ = lock.unlock();
        }
    }
}

impl Folder {
    /// Locks an existing folder.
    pub(super) fn lock(path: &Path, storage: Arc<dyn Storage>) -> Result<Self> {
        let lock = match File::open(path) {
            // Some systems cannot open or lock folders. The lock is a help, so they do without it.
            Err(error) if cfg!(unix) => return Err(Error::io(path, "open it")(error)),
            Err(_) => None,
            Ok(file) => match file.try_lock() {
                Ok(()) => Some(file),
                Err(TryLockError::WouldBlock) => {
                    let what = "another writer is using this folder; wait until it has finished";
                    return Err(Error::Usage(format!("{}: {what}", path.display())));
                }
                Err(TryLockError::Error(_)) => None,
            },
        };
        Ok(Self { path: path.to_owned(), storage, lock })
    }

    /// Returns the names of all files that can be read as UTF-8, sorted.
    pub(super) fn files(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(Error::io(&self.path, "list it"))? {
            let entry = entry.map_err(Error::io(&self.path, "list it"))?;
            names.extend(entry.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Returns whether a file exists.
    pub(super) fn has(&self, file: &str) -> Result<bool> {
        let path = self.path.join(file);
        path.try_exists().map_err(Error::io(&path, "look for it"))
    }

    /// Returns the CRC-32 of the file of the manifest, or `None` if there is none.
    pub(super) fn manifest_crc32(&self) -> Result<Option<u32>> {
        if !self.has(MANIFEST_FILE)? {
            return Ok(None);
        }
        let path = self.path.join(MANIFEST_FILE);
        let bytes = read_regular(&path, MAX_MANIFEST_BYTES).map_err(Error::io(&path, "read it"))?;
        Ok(Some(crc32fast::hash(&bytes)))
    }

    /// Removes files, and flushes the change to the disk.
    pub(super) fn remove(&self, files: &[String], action: &'static str) -> Result<()> {
        for file in files {
            let path = self.path.join(file);
            match self.storage.remove(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io(&path, action)(error));
                }
                _ => {}
            }
        }
        if files.is_empty() {
            return Ok(());
        }
        self.storage.sync_folder(&self.path).map_err(Error::io(&self.path, "flush its names to the disk"))
    }

    /// Returns the next number for shards: above that of every shard in the folder.
    pub(super) fn next_number(&self) -> Result<u64> {
        let files = self.files()?;
        let numbers = files.iter().filter_map(|file| Some(parse_shard_name(file)?.1));
        let next = numbers.max().map_or(Some(0), |number| number.checked_add(1));
        next.ok_or_else(|| Error::Usage(format!("{}: the numbers of the shards are used up", self.path.display())))
    }

    /// Checks that no writer was interrupted here.
    pub(super) fn check_not_interrupted(&self) -> Result<()> {
        if self.has(JOURNAL_FILE)? {
            return Err(self.usage("writing was interrupted here; continue with DatasetWriter::resume"));
        }
        Ok(())
    }

    /// Checks that the folder has no dataset yet.
    pub(super) fn check_is_new(&self) -> Result<()> {
        self.check_not_interrupted()?;
        if self.has(MANIFEST_FILE)? {
            return Err(self.usage("there is a dataset here already; use DatasetWriter::append or another folder"));
        }
        if let Some(shard) = self.files()?.iter().find(|file| file.ends_with(SHARD_ENDING)) {
            return Err(self.usage(&format!("{shard} is here without a manifest; use another folder")));
        }
        Ok(())
    }

    pub(super) fn usage(&self, what: &str) -> Error {
        Error::Usage(format!("{}: {what}", self.path.display()))
    }
}

/// Returns whether a file is an unfinished file of this crate.
pub(super) fn is_partial(file: &str) -> bool {
    file.ends_with(".partial") && PARTIAL_PREFIXES.iter().any(|prefix| file.starts_with(prefix))
}
