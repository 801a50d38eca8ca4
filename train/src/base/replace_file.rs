//! Replaces a file by a whole one, or not at all.

use anyhow::{Error, Result};
use clipshard::Disk;
use std::path::Path;

/// How the names of files start that are not finished. A program that is killed leaves such a file behind.
pub const PARTIAL_PREFIX: &str = ".partial-";

/// Puts bytes in place of `path`: writes a temporary file beside it, brings it to the disk and renames it. The umask decides
/// who may read the file. Errors name the file.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<()> {
    clipshard::write_whole(&Disk, path, PARTIAL_PREFIX, bytes).map_err(|error| match error {
        clipshard::Error::Io { reason, .. } => {
            Error::new(reason).context(format!("{}: cannot write it", path.display()))
        }
        other => other.into(),
    })
}
