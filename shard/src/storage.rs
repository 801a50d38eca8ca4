//! Storage that files are written to. [`Disk`] is the file system; tests replace it with storage
//! that fails.
//!
//! The items are public for this workspace only and may change in any version.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use tempfile::NamedTempFile;

/// The operations that make a file or folder appear complete or not at all.
pub trait Storage: Send + Sync {
    /// Creates a file in `folder` with a temporary name that starts with `prefix`.
    ///
    /// The file is removed if it is dropped before [`PartialFile::persist`].
    fn create(&self, folder: &Path, prefix: &str) -> io::Result<Box<dyn PartialFile>>;

    /// Renames a file or folder in one step. Replaces an existing file with the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Exchanges the names of two folders, in one step if the operating system supports that.
    fn exchange(&self, a: &Path, b: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    /// Flushes the names in a folder to the disk.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// A file that is being written.
pub trait PartialFile: Write + Send {
    /// Flushes the written bytes to the disk.
    fn sync(&mut self) -> io::Result<()>;

    /// Renames the file to its final name. Replaces an existing file with this name.
    fn persist(self: Box<Self>, path: &Path) -> io::Result<()>;
}

/// The file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Storage for Disk {
    fn create(&self, folder: &Path, prefix: &str) -> io::Result<Box<dyn PartialFile>> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(prefix).suffix(".partial");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // Temporary files are private by default. These become ordinary files, so only the
            // umask restricts access.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        Ok(Box::new(DiskFile(builder.tempfile_in(folder)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn exchange(&self, a: &Path, b: &Path) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{CWD, RenameFlags, renameat_with};
            if renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).is_ok() {
                return Ok(());
            }
        }
        let aside = a.with_extension("exchanged");
        std::fs::rename(b, &aside)?;
        if let Err(error) = std::fs::rename(a, b) {
            std::fs::rename(&aside, b)?;
            return Err(error);
        }
        std::fs::rename(&aside, a)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        // Windows and some network file systems cannot sync a folder. Their errors are ignored,
        // because nothing more can be done there. An input/output error (code 5) is real.
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        match synced {
            Err(error) if error.raw_os_error() == Some(5) && cfg!(unix) => Err(error),
            _ => Ok(()),
        }
    }
}

struct DiskFile(NamedTempFile);

impl Write for DiskFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Errors of the inner file do not name the temporary path, unlike those of `NamedTempFile`.
        self.0.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.as_file_mut().flush()
    }
}

impl PartialFile for DiskFile {
    fn sync(&mut self) -> io::Result<()> {
        self.0.as_file().sync_all()
    }

    fn persist(self: Box<Self>, path: &Path) -> io::Result<()> {
        self.0.persist(path).map(|_| ()).map_err(|e| e.error)
    }
}

/// Writes a small file completely or not at all: writes a temporary file, syncs it, renames it and
/// syncs the folder.
pub fn write_whole(storage: &dyn Storage, path: &Path, prefix: &str, bytes: &[u8]) -> crate::Result<()> {
    use crate::Error;
    let folder = folder_of(path);
    let mut file = storage.create(folder, prefix).map_err(Error::io(folder, "create a file in it"))?;
    file.write_all(bytes).map_err(Error::io(path, "write it"))?;
    finish(storage, file, path)
}

/// Flushes a file to the disk, renames it to its final name, and flushes the name to the disk.
pub(crate) fn finish(storage: &dyn Storage, mut file: Box<dyn PartialFile>, path: &Path) -> crate::Result<()> {
    use crate::Error;
    file.sync().map_err(Error::io(path, "flush it to the disk"))?;
    file.persist(path).map_err(Error::io(path, "rename the finished file to it"))?;
    storage.sync_folder(folder_of(path)).map_err(Error::io(path, "flush its name to the disk"))
}

/// Returns the folder of a path, which is `.` for a plain file name.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_exchanged() {
        let root = tempfile::tempdir().unwrap();
        let (a, b) = (root.path().join("a"), root.path().join("b"));
        for (dir, text) in [(&a, "from a"), (&b, "from b")] {
            std::fs::create_dir(dir).unwrap();
            std::fs::write(dir.join("x"), text).unwrap();
        }
        Disk.exchange(&a, &b).unwrap();
        assert_eq!(std::fs::read_to_string(a.join("x")).unwrap(), "from b");
        assert_eq!(std::fs::read_to_string(b.join("x")).unwrap(), "from a");
    }

    #[test]
    fn a_file_that_is_dropped_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        drop(Disk.create(root.path(), ".x-").unwrap());
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
