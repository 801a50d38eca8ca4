//! Where files are written. [`Disk`] is the file system; tests replace it by storage that fails.
//!
//! Public for this workspace only: its items may change in any version.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use tempfile::NamedTempFile;

/// The few steps from which a file or a folder appears whole or not at all.
pub trait Storage: Send + Sync {
    /// A new file in `folder`, under a temporary name that starts with `prefix`. Dropped before
    /// [`PartialFile::persist`], it is removed.
    fn create(&self, folder: &Path, prefix: &str) -> io::Result<Box<dyn PartialFile>>;

    /// Renames a file or a folder in one step; a file that has the new name already is replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Lets two folders change their names, in one step where the system can.
    fn exchange(&self, a: &Path, b: &Path) -> io::Result<()>;

    /// Brings the names in a folder to the disk.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// A file that is being written.
pub trait PartialFile: Write + Send {
    /// Brings what was written to the disk.
    fn sync(&mut self) -> io::Result<()>;

    /// Gives the file its name; a file that has this name already is replaced.
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
            // Temporary files are private by default; the umask decides who reads these, as it does for any new file.
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
        // Some systems cannot sync a folder (Windows, some network disks); there the rename itself is all there is.
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
        // Through the file itself: its errors name no temporary path.
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

/// Writes a small file whole or not at all: temporary name, sync, rename, sync of the folder.
pub fn write_whole(storage: &dyn Storage, path: &Path, prefix: &str, bytes: &[u8]) -> crate::Result<()> {
    use crate::Error;
    let folder = folder_of(path);
    let mut file = storage.create(folder, prefix).map_err(Error::io(folder, "create a file in it"))?;
    file.write_all(bytes).map_err(Error::io(path, "write it"))?;
    finish(storage, file, path)
}

/// Brings a file to the disk, gives it its name, and brings the name to the disk.
pub(crate) fn finish(storage: &dyn Storage, mut file: Box<dyn PartialFile>, path: &Path) -> crate::Result<()> {
    use crate::Error;
    file.sync().map_err(Error::io(path, "bring it to the disk"))?;
    file.persist(path).map_err(Error::io(path, "give the finished file its name"))?;
    storage.sync_folder(folder_of(path)).map_err(Error::io(path, "bring its name to the disk"))
}

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
