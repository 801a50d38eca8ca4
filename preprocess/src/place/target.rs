//! The place of an output: what is there, and whether it may be written to.

use std::fs;
use std::path::{Path, PathBuf};

use clipshard::MANIFEST_FILE;

use super::name::{self, EXTRACT_FILE, PART_FILE, is_fragment, temporary_prefix};
use crate::error::{Error, Problem, Result, Setting};

/// What the folder holds, so that `--overwrite` replaces nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contents {
    /// Shards and their manifest.
    DataSet,
    /// A frame tree with lists that this program made.
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

/// Where an output really is: a link to it stays a link. Its target need not exist.
pub(crate) fn resolved(out: &Path) -> PathBuf {
    match fs::read_link(out) {
        Ok(target) => out.canonicalize().unwrap_or_else(|_| out.parent().unwrap_or(Path::new("")).join(target)),
        Err(_) => out.to_owned(),
    }
}

/// What is there where a data set is to be. Refuses places that must not be written to; nothing is changed.
pub(crate) fn place(out: &Path, overwrite: bool) -> Result<Place> {
    inspect(out, overwrite, Contents::DataSet)
}

pub(super) fn inspect(out: &Path, overwrite: bool, contents: Contents) -> Result<Place> {
    if out.file_name().is_none() {
        return Err(Error::usage(format!("{}: name a folder of its own", out.display())));
    }
    if !out.exists() {
        return Ok(Place::Free);
    }
    if !out.is_dir() {
        return Err(Error::usage(format!("{} is a file; name a folder", out.display())));
    }
    let mut empty = true;
    for entry in fs::read_dir(out).map_err(Error::io(out, "cannot list the folder"))? {
        let name = entry.map_err(Error::io(out, "cannot list the folder"))?.file_name();
        let name = name.to_string_lossy();
        let ours = [name::partial(out), name::lock(out)];
        if name == "lost+found"
            || ours.contains(&name.to_string())
            || is_fragment(&name)
            || name.starts_with(&temporary_prefix(out))
        {
            continue;
        }
        // Shards without a manifest on a disk of their own: a build was cut off while it moved them there.
        if is_mount_point(out) && name.ends_with(".clipshard") && !out.join(MANIFEST_FILE).exists() {
            continue;
        }
        empty = false;
        if !overwrite {
            return Err(Error::usage(
                Problem::from(format!(
                    "{} exists and is not empty; name another folder, or replace it with ",
                    out.display()
                ))
                .name(Setting::Overwrite),
            ));
        }
        if !contents.include(&name) {
            return Err(Error::usage(Problem::from(Setting::Overwrite).then(format!(
                " replaces {}, but {} also holds {name}; move that away first",
                contents.name(),
                out.display()
            ))));
        }
    }
    match (is_mount_point(out), empty) {
        (false, true) => Ok(Place::Free),
        (false, false) => Ok(Place::Taken),
        (true, true) => Ok(Place::OtherDisk),
        (true, false) => Err(Error::usage(format!(
            "{} is a disk of its own, which cannot be replaced in one step; empty it first, or name a folder in it",
            out.display()
        ))),
    }
}

/// The folder in which something is made that will be `out`.
pub(crate) fn parent(out: &Path, place: Place) -> &Path {
    match (place, out.parent()) {
        (Place::OtherDisk, _) => out,
        (_, Some(parent)) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

impl Contents {
    fn name(self) -> &'static str {
        match self {
            Self::DataSet => "a data set",
            Self::Tree => "a tree that ucfpack made",
        }
    }

    fn include(self, name: &str) -> bool {
        match self {
            Self::DataSet => {
                name == MANIFEST_FILE
                    || name == PART_FILE
                    || name == "manifest.json.damaged"
                    || name.ends_with(".clipshard")
            }
            Self::Tree => ["jpegs_256", "tvl1_flow", "lists", EXTRACT_FILE].contains(&name),
        }
    }
}

#[cfg(unix)]
pub(crate) fn is_mount_point(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| fs::metadata(path).map(|m| m.dev()).ok();
    folder.canonicalize().ok().and_then(|f| Some(device(&f)? != device(f.parent()?)?)).unwrap_or(false)
}

#[cfg(not(unix))]
pub(crate) fn is_mount_point(_: &Path) -> bool {
    false
}
