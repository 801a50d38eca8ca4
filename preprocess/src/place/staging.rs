//! Datasets appear completely or not at all: they are built in a temporary folder next to the
//! output, which takes the output's place at the end.

use std::fs;
use std::path::{Path, PathBuf};

use clipshard::{Disk, MANIFEST_FILE, Storage};
use tempfile::TempDir;

use super::lock::OutputLock;
use super::name::{is_fragment, temporary_prefix};
use super::target::{Contents, Place, inspect, is_mount_point, parent, resolved};
use crate::error::{Error, Result};

/// A dataset in progress. Dropping it before [`Staging::commit`] removes all its files.
pub(crate) struct Staging {
    dir: TempDir,
    out: PathBuf,
    place: Place,
    _lock: OutputLock,
}

impl Staging {
    /// Starts a dataset that becomes `out`, and locks `out` until the end.
    pub fn new(out: &Path, overwrite: bool, contents: Contents) -> Result<Self> {
        let out = &resolved(out);
        inspect(out, overwrite, contents)?;
        let lock = OutputLock::take(out)?;
        // Another program may have created the output before this one took the lock.
        let place = inspect(out, overwrite, contents)?;
        remove_leftovers(out, &lock);
        let parent = parent(out, place);
        fs::create_dir_all(parent).map_err(Error::io(parent, "cannot create the folder"))?;
        let mut builder = tempfile::Builder::new();
        let prefix = temporary_prefix(out);
        builder.prefix(&prefix);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // The umask applies, as for any new folder. Without this, temporary folders are
            // private.
            builder.permissions(fs::Permissions::from_mode(0o777));
        }
        let dir = builder.tempdir_in(parent).map_err(Error::io(parent, "cannot create a folder in it"))?;
        Ok(Self { dir, out: out.into(), place, _lock: lock })
    }

    /// Returns the folder to build in.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Moves the dataset to the output. An existing dataset stays until that moment and is then
    /// removed.
    pub fn commit(self) -> Result<()> {
        put(&Disk, self.dir.path(), &self.out, self.place)
    }
}

/// Moves the finished folder `from` to the output. If there was a dataset, it is at `from`
/// afterwards.
pub(crate) fn put(storage: &dyn Storage, from: &Path, out: &Path, place: Place) -> Result<()> {
    let fault = |what| Error::io(out, what);
    match place {
        Place::Free => {
            remove_fragments(out)?;
            storage.rename(from, out).map_err(fault("cannot move the finished dataset there"))?;
        }
        Place::Taken => storage.exchange(from, out).map_err(fault("cannot replace the dataset"))?,
        Place::OtherDisk => {
            let mut names = Vec::new();
            for entry in fs::read_dir(from).map_err(fault("cannot list the finished files"))? {
                names.push(entry.map_err(fault("cannot list the finished files"))?.file_name());
            }
            // The manifest comes last: readers do not accept the folder as a dataset without it.
            names.sort_by_key(|name| (name == MANIFEST_FILE, name.clone()));
            for name in names {
                let moved = storage.rename(&from.join(&name), &out.join(&name));
                moved.map_err(fault("cannot move the finished files there"))?;
            }
        }
    }
    storage.sync_folder(parent(out, place)).map_err(fault("cannot sync its folder to the disk"))
}

/// Writes a file completely or not at all. Follows a link to the file behind it. Writes directly if
/// the path is a device or a pipe.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if let Some(folder) = real.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        return Err(Error::input(format!("{}: no such folder", folder.display())));
    }
    if real.exists() && !real.is_file() {
        return fs::write(&real, bytes).map_err(Error::io(path, "cannot write the file"));
    }
    Ok(clipshard::write_whole(&Disk, &real, ".new-", bytes)?)
}

/// Returns the temporary folders that killed builds of `out` left behind.
pub(crate) fn leftovers(out: &Path) -> Vec<PathBuf> {
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // If the output is a mount point, they are inside it. Otherwise, such a folder inside belongs to another output.
    let inside = Some(out).filter(|out| is_mount_point(out));
    let entries =
        [parent].into_iter().chain(inside).flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    let left = entries.filter(|e| e.file_name().to_string_lossy().starts_with(&temporary_prefix(out)));
    left.map(|entry| entry.path()).collect()
}

/// Removes the temporary folders that killed programs left behind, and returns their paths. Does
/// nothing without a lock.
pub(crate) fn remove_leftovers(out: &Path, lock: &OutputLock) -> Vec<PathBuf> {
    let mut left = if lock.is_held() { leftovers(out) } else { Vec::new() };
    left.retain(|folder| fs::remove_dir_all(folder).is_ok());
    left
}

/// Removes partly written files of killed programs from a folder. The caller holds the lock of the
/// folder.
pub(crate) fn remove_fragments(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if is_fragment(&path) {
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(Error::io(path, "cannot remove an incomplete file"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::target::place;
    use super::*;

    fn finished(out: &Path, overwrite: bool, text: &str) -> Result<()> {
        let staging = Staging::new(out, overwrite, Contents::Dataset)?;
        fs::write(staging.path().join(MANIFEST_FILE), text).unwrap();
        staging.commit()
    }

    #[test]
    fn a_data_set_takes_a_free_place_and_is_replaced_only_on_demand() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("deep/set");
        finished(&out, false, "one").unwrap();
        assert!(matches!(finished(&out, false, "two"), Err(Error::Usage(_))));
        drop(Staging::new(&out, true, Contents::Dataset).unwrap());
        assert_eq!(fs::read_to_string(out.join(MANIFEST_FILE)).unwrap(), "one");
        finished(&out, true, "two").unwrap();
        assert_eq!(fs::read_to_string(out.join(MANIFEST_FILE)).unwrap(), "two");
        let left: Vec<_> = fs::read_dir(root.path().join("deep")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["set"]);
    }

    #[test]
    fn fragments_of_files_are_no_content() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("set");
        for overwrite in [false, true] {
            fs::create_dir(&out).unwrap();
            fs::write(out.join(".shard-Ab12.partial"), "half").unwrap();
            fs::create_dir(out.join(".partial")).unwrap();
            assert_eq!(place(&out, overwrite).unwrap(), Place::Free);
            finished(&out, overwrite, "one").unwrap();
            let names: Vec<_> = fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name()).collect();
            assert_eq!(names, [MANIFEST_FILE]);
            fs::remove_dir_all(&out).unwrap();
        }
    }

    #[test]
    fn the_folder_of_another_unfinished_build_is_content() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("data");
        for name in [".ucf.partial", ".data.partial", ".data.partial-Xy"] {
            let shard = out.join(name).join("set/rgb-00000.clipshard");
            fs::create_dir_all(shard.parent().unwrap()).unwrap();
            fs::write(&shard, "whole").unwrap();
            let error = finished(&out, false, "one").unwrap_err().to_string();
            assert!(error.contains("data exists and is not empty"), "{error}");
            let error = finished(&out, true, "one").unwrap_err().to_string();
            assert!(error.contains(&format!("also holds {name}; move that elsewhere")), "{error}");
            assert_eq!(fs::read_to_string(&shard).unwrap(), "whole");
            fs::remove_dir_all(&out).unwrap();
        }
    }

    #[test]
    fn what_a_killed_program_left_is_removed_by_the_next() {
        let root = tempfile::tempdir().unwrap();
        let (out, left, other) = (root.path().join("set"), ".set.partial-Xy", ".sets.partial-Xy");
        for name in [left, other] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        finished(&out, false, "one").unwrap();
        assert!(!root.path().join(left).exists() && root.path().join(other).exists());
    }

    #[test]
    fn overwrite_spares_folders_that_are_no_data_set() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("thesis.tex"), "").unwrap();
        let error = Staging::new(root.path(), true, Contents::Dataset).err().unwrap().to_string();
        assert!(error.contains("also holds thesis.tex"), "{error}");
    }
}
