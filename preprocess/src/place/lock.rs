//! The lock of an output, which lets only one program write it at a time.
//!
//! The lock is a file `.NAME.lock` next to the output, or inside if the output is a mount point. It
//! is advisory: only programs that take it respect it. The system releases it when its holder ends,
//! also after a crash.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::name;
use super::target::is_mount_point;
use crate::error::{Error, Result};

/// The lock of an output. It is released when dropped.
#[derive(Debug)]
pub(crate) struct OutputLock {
    /// The open lock file and its path; `None` if no lock is possible, for example in a read-only
    /// folder or on a file system without locks.
    held: Option<(File, PathBuf)>,
}

impl OutputLock {
    /// Takes the lock of `out`, which need not exist.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] if another program holds the lock.
    pub fn take(out: &Path) -> Result<Self> {
        let path = path(out)?;
        loop {
            let file = match open(&path) {
                Ok(file) => file,
                // No other file can be created here either. The error of the first real file
                // explains more.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) =>
                {
                    return Ok(Self { held: None });
                }
                Err(error) => return Err(Error::io(path, "cannot create the lock")(error)),
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::usage(format!(
                        "another ucfpack process is writing {}; wait until it ends, or choose another folder",
                        out.display()
                    )));
                }
                Err(TryLockError::Error(_)) => {
                    let _ = fs::remove_file(&path);
                    return Ok(Self { held: None });
                }
            }
            // The previous holder may have removed the file after it was opened here. It would then
            // lock nothing.
            if is_at(&file, &path) {
                return Ok(Self { held: Some((file, path)) });
            }
        }
    }

    /// Returns whether other programs are kept from writing the output.
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }
}

impl Drop for OutputLock {
    fn drop(&mut self) {
        if let Some((file, path)) = &self.held {
            // The file is removed while it is still locked, so that a program that has just opened
            // it notices the removal.
            let _ = fs::remove_file(path);
            // Closing the file is not enough: a child process that is just starting may also have
            // it open.
            let _ = file.unlock();
        }
    }
}

/// Returns the path of the lock file. It is the same for every name of the output, through links
/// and relative paths.
fn path(out: &Path) -> Result<PathBuf> {
    if out.exists() {
        let real = out.canonicalize().map_err(Error::io(out, "cannot find the folder"))?;
        let folder = if is_mount_point(&real) { real.as_path() } else { real.parent().unwrap_or(&real) };
        return Ok(folder.join(name::lock(&real)));
    }
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !parent.exists() {
        fs::create_dir_all(parent).map_err(Error::io(parent, "cannot create the folder"))?;
    }
    Ok(parent.canonicalize().map_err(Error::io(parent, "cannot find the folder"))?.join(name::lock(out)))
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // Prevents blocking if a named pipe has this name.
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    }
    options.open(path)
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    file.metadata().is_ok_and(|open| fs::metadata(path).is_ok_and(|there| id(open) == id(there)))
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_locked_by_one_at_a_time_whatever_it_is_called() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("deep/set");
        let lock = OutputLock::take(&out).unwrap();
        let refused = |out: &Path| {
            let error = OutputLock::take(out).unwrap_err();
            assert!(error.is_usage(), "{error}");
            assert_eq!(
                error.to_string(),
                format!(
                    "another ucfpack process is writing {}; wait until it ends, or choose another folder",
                    out.display()
                )
            );
        };
        refused(&out);
        refused(&root.path().join("deep/../deep/set"));
        fs::create_dir(&out).unwrap();
        refused(&out);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("deep/set", root.path().join("link")).unwrap();
            refused(&root.path().join("link"));
        }
        OutputLock::take(&root.path().join("deep/other")).unwrap();
        drop(lock);
        assert_eq!(fs::read_dir(root.path().join("deep")).unwrap().count(), 1, "the lock is removed");
        OutputLock::take(&out).unwrap();
    }

    #[test]
    fn threads_that_take_turns_never_hold_it_together() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("set");
        let (inside, taken) = (std::sync::atomic::AtomicU32::new(0), std::sync::atomic::AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    use std::sync::atomic::Ordering::SeqCst;
                    while taken.load(SeqCst) < 500 {
                        if let Ok(lock) = OutputLock::take(&out) {
                            assert!(lock.is_held());
                            assert_eq!(inside.fetch_add(1, SeqCst), 0, "two hold it");
                            taken.fetch_add(1, SeqCst);
                            assert_eq!(inside.fetch_sub(1, SeqCst), 1);
                        }
                    }
                });
            }
        });
        assert!(!root.path().join(".set.lock").exists());
    }
}
