//! One program at a time works on a run: a lock in its folder that the system releases when the program ends, however it ends.

use crate::base::usage::Usage;
use anyhow::{Context, Result, bail};
use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

/// Name of the locked file. It stays when the lock is released: a file that is removed could be locked twice.
pub const LOCK_FILE: &str = ".lock";

/// Held while a program works on a run.
#[derive(Debug)]
pub struct RunLock(#[expect(dead_code, reason = "the open file holds the lock")] File);

impl RunLock {
    /// Locks the folder of a run.
    ///
    /// # Errors
    /// Another program has locked it. The error names the folder and the program.
    pub fn take(dir: &Path) -> Result<Self> {
        let path = dir.join(LOCK_FILE);
        let open = || File::options().create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = open().with_context(|| format!("{}: cannot create the lock", path.display()))?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            let mut holder = String::new();
            let _ = (&mut file).take(20).read_to_string(&mut holder);
            let holder = holder.trim().parse::<u32>().map_or_else(|_| String::new(), |id| format!(" (process {id})"));
            bail!(Usage(format!(
                "{}: another ucftrain{holder} uses this folder; wait until it ends, or name another folder with --run",
                dir.display()
            )));
        }
        // Where the file system has no locks, training goes on without one.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_until_the_lock_is_dropped() {
        let temp = tempfile::tempdir().unwrap();
        let lock = RunLock::take(temp.path()).unwrap();
        let error = RunLock::take(temp.path()).unwrap_err();
        let expected = format!("{}: another ucftrain (process {}) uses", temp.path().display(), std::process::id());
        assert!(error.is::<Usage>() && error.to_string().starts_with(&expected), "{error}");
        drop(lock);
        assert!(RunLock::take(temp.path()).is_ok());
    }
}
