//! The lock of a dataset's folder, which `clipshard::DatasetWriter` respects.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::error::{Error, Result};

/// The lock of a folder. It is released when dropped.
#[derive(Debug)]
pub(crate) struct FolderLock {
    /// The open folder; `None` where the system cannot lock folders.
    held: Option<File>,
}

impl FolderLock {
    /// Takes the lock of an existing folder.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] if another program holds the lock.
    pub fn take(dir: &Path) -> Result<Self> {
        let Ok(folder) = File::open(dir) else { return Ok(Self { held: None }) };
        match folder.try_lock() {
            Ok(()) => Ok(Self { held: Some(folder) }),
            Err(TryLockError::WouldBlock) => {
                Err(Error::usage(format!("another program is writing {}; wait until it ends", dir.display())))
            }
            Err(TryLockError::Error(_)) => Ok(Self { held: None }),
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        if let Some(folder) = &self.held {
            // Closing the folder is not enough: a child process that is just starting may also have it open.
            let _ = folder.unlock();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_folder_is_locked_by_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let lock = FolderLock::take(dir.path()).unwrap();
        let error = FolderLock::take(dir.path()).unwrap_err();
        assert!(error.is_usage() && error.to_string().starts_with("another program is writing"), "{error}");
        drop(lock);
        assert!(FolderLock::take(dir.path()).unwrap().held.is_some());
    }
}
