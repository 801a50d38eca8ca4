//! Replaces a file atomically.

use anyhow::{Error, Result, bail};
use clipshard::Disk;
use std::path::Path;

/// Prefix of the names of unfinished files. A killed program leaves such a file.
pub const PARTIAL_PREFIX: &str = ".partial-";

/// Replaces the contents of `path`: writes a temporary file in the same folder, flushes it to disk
/// and renames it. The umask decides the permissions of the file.
///
/// # Errors
/// The file cannot be written. The error names it.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        bail!("{}: cannot write it, because the folder {} does not exist", path.display(), folder.display());
    }
    clipshard::write_whole(&Disk, path, PARTIAL_PREFIX, bytes).map_err(|error| match error {
        clipshard::Error::Io { reason, .. } => {
            Error::new(reason).context(format!("{}: cannot write it", path.display()))
        }
        other => other.into(),
    })
}
