//! The state of an output before it is written, and whether it may be written.

use std::fs;
use std::path::{Path, PathBuf};

use clipshard::MANIFEST_FILE;

use super::name::{self, EXTRACT_FILE, PART_FILE, is_fragment, temporary_prefix};
use crate::error::{Error, Problem, Result, Setting};

/// The expected content of an existing output. Other content is never replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contents {
    /// Shards and their manifest.
    Dataset,
    /// A frame tree with lists that ucfpack wrote.
    Tree,
}

/// The state of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The folder does not exist or is empty.
    Free,
    /// It holds an output that may be replaced.
    Taken,
    /// It is an empty mount point, which cannot be renamed.
    OtherDisk,
}

/// Returns the path behind a symbolic link, so that the link itself stays. The target need not
/// exist.
pub(crate) fn resolved(out: &Path) -> PathBuf {
    match fs::read_link(out) {
        Ok(target) => out.canonicalize().unwrap_or_else(|_| out.parent().unwrap_or(Path::new("")).join(target)),
        Err(_) => out.to_owned(),
    }
}

/// Returns the state of a dataset's output. Changes nothing.
///
/// # Errors
/// Returns [`Error::Usage`] if the output must not be written.
pub(crate) fn place(out: &Path, overwrite: bool) -> Result<Place> {
    inspect(out, overwrite, Contents::Dataset)
}

pub(super) fn inspect(out: &Path, overwrite: bool, contents: Contents) -> Result<Place> {
    if out.file_name().is_none() {
        return Err(Error::usage(format!("{} cannot be the output; choose a new folder", out.display())));
    }
    if !out.exists() {
        return Ok(Place::Free);
    }
    if !out.is_dir() {
        return Err(Error::usage(format!("{} is a file, but the output must be a folder", out.display())));
    }
    let mut empty = true;
    for entry in fs::read_dir(out).map_err(Error::io(out, "cannot list the folder"))? {
        let path = entry.map_err(Error::io(out, "cannot list the folder"))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name == "lost+found" || name == name::lock(out) || is_fragment(&path) {
            continue;
        }
        // Builds of a mount point are inside it. Elsewhere, such a folder belongs to another output.
        if is_mount_point(out) && (name == name::partial(out) || name.starts_with(&temporary_prefix(out))) {
            continue;
        }
        // Shards without a manifest in a mount point: a build was interrupted while it moved them
        // there.
        if is_mount_point(out) && name.ends_with(".clipshard") && !out.join(MANIFEST_FILE).exists() {
            continue;
        }
        empty = false;
        if !overwrite {
            return Err(Error::usage(
                Problem::from(format!(
                    "{} exists and is not empty; choose another folder, or replace it with ",
                    out.display()
                ))
                .name(Setting::Overwrite),
            ));
        }
        if !contents.include(&name) {
            return Err(Error::usage(Problem::from(Setting::Overwrite).then(format!(
                " only replaces {}, but {} also holds {name}; move that elsewhere first",
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
            "{} is a mount point, which cannot be replaced in one step; empty it first, or choose a folder in it",
            out.display()
        ))),
    }
}

/// Returns the folder in which temporary folders for `out` are created.
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
            Self::Dataset => "a dataset",
            Self::Tree => "a frame tree that ucfpack made",
        }
    }

    fn include(self, name: &str) -> bool {
        match self {
            Self::Dataset => {
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
