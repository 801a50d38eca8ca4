//! A data set appears whole or not at all: it is built in a folder beside its place and takes the place at the end.

use std::fs;
use std::path::{Path, PathBuf};

use clipshard::{Disk, MANIFEST_FILE, Storage};
use tempfile::TempDir;

use crate::error::{Error, Result};

/// A data set that is being built. Dropped before [`Staging::commit`], it leaves nothing.
pub(crate) struct Staging {
    dir: TempDir,
    out: PathBuf,
    place: Place,
}

/// What the folder holds, so that `--overwrite` replaces nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contents {
    /// Shards and their manifest.
    DataSet,
    /// A made-up frame tree with lists.
    Tree,
}

/// What is there where a data set is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nothing is there, or an empty folder.
    Free,
    /// A data set that is to be replaced.
    Taken,
    /// An empty folder on a disk of its own, which no rename reaches.
    OtherDisk,
}

impl Staging {
    /// Starts a data set that will be `out`.
    pub fn new(out: &Path, overwrite: bool, contents: Contents) -> Result<Self> {
        let place = inspect(out, overwrite, contents)?;
        let parent = parent(out, place);
        fs::create_dir_all(parent).map_err(Error::io(parent, "cannot create the folder"))?;
        let mut builder = tempfile::Builder::new();
        let prefix = partial_prefix(out);
        builder.prefix(&prefix);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // Less the usual umask; temporary folders are private otherwise.
            builder.permissions(fs::Permissions::from_mode(0o777));
        }
        let dir = builder.tempdir_in(parent).map_err(Error::io(parent, "cannot create a folder in it"))?;
        Ok(Self { dir, out: out.into(), place })
    }

    /// Where to build.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Puts the data set into its place. What was there before stays until then and is removed after.
    pub fn commit(self) -> Result<()> {
        put(&Disk, self.dir.path(), &self.out, self.place)
    }
}

/// Puts the finished folder `from` into its place; where something was there, that is at `from` afterwards.
pub(crate) fn put(storage: &dyn Storage, from: &Path, out: &Path, place: Place) -> Result<()> {
    let fault = |what| Error::io(out, what);
    match place {
        Place::Free => storage.rename(from, out).map_err(fault("cannot put the finished data set there"))?,
        Place::Taken => storage.exchange(from, out).map_err(fault("cannot replace the data set"))?,
        Place::OtherDisk => {
            let mut names = Vec::new();
            for entry in fs::read_dir(from).map_err(fault("cannot list the finished files"))? {
                names.push(entry.map_err(fault("cannot list the finished files"))?.file_name());
            }
            // The manifest comes last: without it no reader takes the folder for a data set.
            names.sort_by_key(|name| (name == MANIFEST_FILE, name.clone()));
            for name in names {
                let moved = storage.rename(&from.join(&name), &out.join(&name));
                moved.map_err(fault("cannot put the finished files there"))?;
            }
        }
    }
    storage.sync_folder(parent(out, place)).map_err(fault("cannot bring its name to the disk"))
}

/// The folder in which something is made that will be `out`.
pub(crate) fn parent(out: &Path, place: Place) -> &Path {
    match (place, out.parent()) {
        (Place::OtherDisk, _) => out,
        (_, Some(parent)) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Folders that builds of `out` left when they were killed.
pub(crate) fn leftovers(out: &Path) -> Vec<PathBuf> {
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let left = entries.flatten().filter(|e| e.file_name().to_string_lossy().starts_with(&partial_prefix(out)));
    left.map(|entry| entry.path()).collect()
}

fn partial_prefix(out: &Path) -> String {
    format!(".{}.partial-", out.file_name().unwrap_or_default().to_string_lossy())
}

/// What is there where a data set is to be. Refuses places that must not be written to; nothing is changed.
pub(crate) fn place(out: &Path, overwrite: bool) -> Result<Place> {
    inspect(out, overwrite, Contents::DataSet)
}

fn inspect(out: &Path, overwrite: bool, contents: Contents) -> Result<Place> {
    if out.file_name().is_none() {
        return Err(Error::Usage(format!("--out {}: name a folder of its own", out.display())));
    }
    if !out.exists() {
        return Ok(Place::Free);
    }
    if !out.is_dir() {
        return Err(Error::Usage(format!("--out {} is a file; name a folder", out.display())));
    }
    let mut empty = true;
    for entry in fs::read_dir(out).map_err(Error::io(out, "cannot list the folder"))? {
        let name = entry.map_err(Error::io(out, "cannot list the folder"))?.file_name();
        let name = name.to_string_lossy();
        if name == "lost+found" || name == crate::partial::name(out) {
            continue;
        }
        // Shards without a manifest on a disk of their own: a build was cut off while it moved them there.
        if is_mount_point(out) && name.ends_with(".clipshard") && !out.join(MANIFEST_FILE).exists() {
            continue;
        }
        empty = false;
        if !overwrite {
            return Err(Error::Usage(format!(
                "--out {} exists and is not empty; name another folder, or replace it with --overwrite",
                out.display()
            )));
        }
        if !contents.include(&name) {
            return Err(Error::Usage(format!(
                "--overwrite replaces {}, but {} also holds {name}; move that away first",
                contents.name(),
                out.display()
            )));
        }
    }
    match (is_mount_point(out), empty) {
        (false, true) => Ok(Place::Free),
        (false, false) => Ok(Place::Taken),
        (true, true) => Ok(Place::OtherDisk),
        (true, false) => Err(Error::Usage(format!(
            "--out {} is a disk of its own, which cannot be replaced in one step; empty it first, or name a folder in it",
            out.display()
        ))),
    }
}

impl Contents {
    fn name(self) -> &'static str {
        match self {
            Self::DataSet => "a data set",
            Self::Tree => "a made-up tree",
        }
    }

    fn include(self, name: &str) -> bool {
        match self {
            Self::DataSet => {
                name == MANIFEST_FILE
                    || name == crate::merge::PART_FILE
                    || name == "manifest.json.damaged"
                    || name.ends_with(".clipshard")
                    || name.starts_with(".shard-")
                    || name.starts_with(".manifest-")
            }
            Self::Tree => ["jpegs_256", "tvl1_flow", "lists"].contains(&name),
        }
    }
}

#[cfg(unix)]
fn is_mount_point(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| fs::metadata(path).map(|m| m.dev()).ok();
    folder.canonicalize().ok().and_then(|f| Some(device(&f)? != device(f.parent()?)?)).unwrap_or(false)
}

#[cfg(not(unix))]
fn is_mount_point(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(out: &Path, overwrite: bool, text: &str) -> Result<()> {
        let staging = Staging::new(out, overwrite, Contents::DataSet)?;
        fs::write(staging.path().join(MANIFEST_FILE), text).unwrap();
        staging.commit()
    }

    #[test]
    fn a_data_set_takes_a_free_place_and_is_replaced_only_on_demand() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("deep/set");
        finished(&out, false, "one").unwrap();
        assert!(matches!(finished(&out, false, "two"), Err(Error::Usage(_))));
        drop(Staging::new(&out, true, Contents::DataSet).unwrap());
        assert_eq!(fs::read_to_string(out.join(MANIFEST_FILE)).unwrap(), "one");
        finished(&out, true, "two").unwrap();
        assert_eq!(fs::read_to_string(out.join(MANIFEST_FILE)).unwrap(), "two");
        let left: Vec<_> = fs::read_dir(root.path().join("deep")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["set"]);
    }

    #[test]
    fn overwrite_spares_folders_that_are_no_data_set() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("thesis.tex"), "").unwrap();
        let error = Staging::new(root.path(), true, Contents::DataSet).err().unwrap().to_string();
        assert!(error.contains("also holds thesis.tex"), "{error}");
    }
}
