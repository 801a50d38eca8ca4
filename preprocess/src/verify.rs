//! Checks a packed dataset, and rebuilds its manifest.

use std::fs;
use std::path::Path;

use clipshard::{Error as FormatError, MANIFEST_FILE, Manifest, VerifyDepth, VerifyReport};

use crate::edit::{FolderLock, undo_without_manifest};
use crate::error::{Error, Result};
use crate::place::lock::OutputLock;
use crate::progress::{Progress, Work};
use crate::quantity::show_count;

/// Checks the dataset in `dir` and returns all damage. A damaged manifest counts as damage.
///
/// # Errors
/// Returns [`Error::Format`] if the folder has no manifest, or the manifest cannot be read.
pub fn verify(dir: &Path, depth: VerifyDepth, progress: &Progress) -> Result<VerifyReport> {
    let manifest = match Manifest::read(dir) {
        Ok(manifest) => manifest,
        Err(error @ (FormatError::NoManifest { .. } | FormatError::Io { .. })) => return Err(error.into()),
        Err(error) => {
            let mut report = VerifyReport::default();
            report.damage.push(error);
            return Ok(report);
        }
    };
    let bytes = manifest.streams.iter().flat_map(|stream| &stream.shards).map(|shard| shard.bytes).sum();
    progress.begin("verifying", Work { bytes, ..Work::default() });
    let report =
        clipshard::verify_listed(dir, manifest, depth, &|bytes| progress.add(Work { bytes, ..Work::default() }));
    progress.end();
    Ok(report)
}

/// Result of [`rebuild_manifest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rebuilt {
    /// The manifest is undamaged. Nothing was changed.
    Whole,
    /// The manifest was missing or damaged, and was written again.
    Written {
        /// Remarks about clips without a stream that other clips have.
        notes: Vec<String>,
    },
}

/// Rebuilds a missing or damaged manifest from the shards in `dir`. A damaged one is kept as `manifest.json.damaged`.
/// Shards of an addition that was interrupted before it had moved all of them are removed first.
///
/// # Errors
/// Returns [`Error::Format`] if a shard is damaged, there are no shards, or the manifest has a later version. Returns
/// [`Error::Usage`] if another process writes the dataset.
pub fn rebuild_manifest(dir: &Path) -> Result<Rebuilt> {
    let path = dir.join(MANIFEST_FILE);
    let locks = if dir.is_dir() { Some((OutputLock::take(dir)?, FolderLock::take(dir)?)) } else { None };
    match Manifest::read(dir) {
        Ok(_) => return Ok(Rebuilt::Whole),
        Err(error @ (FormatError::Io { .. } | FormatError::Version { .. } | FormatError::Feature { .. })) => {
            return Err(error.into());
        }
        Err(_) => {}
    }
    if let Some((lock, _)) = &locks {
        undo_without_manifest(dir, lock)?;
    }
    let manifest = Manifest::rebuild(dir)?;
    if path.exists() {
        let aside = dir.join(format!("{MANIFEST_FILE}.damaged"));
        fs::hard_link(&path, &aside)
            .or_else(|_| fs::copy(&path, &aside).map(|_| ()))
            .map_err(Error::io(aside, "cannot keep the damaged manifest"))?;
    }
    manifest.write(dir)?;
    let mut notes = Vec::new();
    for stream in &manifest.streams {
        let name = &stream.spec.name;
        let lacking: Vec<&str> =
            manifest.clips.iter().filter(|clip| !clip.frames.contains_key(name)).map(|clip| clip.id.as_str()).collect();
        if let Some(first) = lacking.first() {
            let have = match lacking.len() {
                1 => format!("clip {first} has"),
                count => format!("{} clips (such as {first}) have", show_count(count as u64)),
            };
            notes.push(format!("{have} no {name} records; a {name} shard may be missing"));
        }
    }
    Ok(Rebuilt::Written { notes })
}
