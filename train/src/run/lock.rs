//! The lock of a run folder, so that only one program at a time works on a run. The system releases
//! it when the program ends, also if it is killed.

use crate::base::usage::Usage;
use anyhow::{Context, Result, bail};
use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

/// Name of the locked file. It stays after the release: if it were removed, two programs could each
/// lock a file of this name.
pub const LOCK_FILE: &str = ".lock";

/// A held lock; dropping it releases it.
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
        let mut file = open().with_context(|| format!("{}: cannot create this lock file", path.display()))?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            let mut holder = String::new();
            let _ = (&mut file).take(20).read_to_string(&mut holder);
            let holder = holder.trim().parse::<u32>().map_or_else(|_| String::new(), |id| format!(" (process {id})"));
            bail!(Usage(format!(
                "{}: another ucftrain{holder} uses this run folder; \
                 wait until it ends, or name another folder with --run",
                dir.display()
            )));
        }
        // Some file systems have no locks; training then runs without one.
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
