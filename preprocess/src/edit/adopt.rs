//! Moves new shards into an existing dataset, and then replaces its manifest in one step.
//!
//! The shards are made in a folder `.add-*.partial` inside the dataset, which readers ignore. The
//! folder also lists the names that the shards get, so that after a crash the next run can remove
//! shards that no manifest lists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clipshard::{Manifest, Storage, read_regular, write_whole};
use tempfile::TempDir;

use super::shard_file::{number_of, shard_file};
use crate::error::{Error, Result};
use crate::place::lock::OutputLock;
use crate::place::staging::remove_fragments;

const PREFIX: &str = ".add-";
const ENDING: &str = ".partial";
/// The file with the names that the shards get.
const MOVES_FILE: &str = "moves.json";
/// Largest accepted size of that file, in bytes.
const MAX_MOVES_BYTES: u64 = 1 << 26;

/// Creates a folder for new shards in the dataset.
pub(super) fn staging(dir: &Path) -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(ENDING);
    builder.tempdir_in(dir).map_err(Error::io(dir, "cannot create a folder in it"))
}

/// Removes what interrupted runs left in the dataset, and returns the paths of their folders. Does
/// nothing without a lock.
pub(super) fn remove_leftovers(dir: &Path, manifest: &Manifest, lock: &OutputLock) -> Result<Vec<PathBuf>> {
    let mut removed = Vec::new();
    if !lock.is_held() {
        return Ok(removed);
    }
    for entry in fs::read_dir(dir).map_err(Error::io(dir, "cannot list the folder"))? {
        let entry = entry.map_err(Error::io(dir, "cannot list the folder"))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(PREFIX) && name.ends_with(ENDING) {
            let folder = entry.path();
            remove_unlisted(dir, &folder, manifest)?;
            fs::remove_dir_all(&folder).map_err(Error::io(&folder, "cannot remove what an interrupted run left"))?;
            removed.push(folder);
        }
    }
    remove_fragments(dir)?;
    Ok(removed)
}

/// Removes shards that were moved out of `staging`, unless the manifest lists them.
fn remove_unlisted(dir: &Path, staging: &Path, manifest: &Manifest) -> Result<()> {
    let Ok(text) = read_regular(staging.join(MOVES_FILE), MAX_MOVES_BYTES) else { return Ok(()) };
    // A damaged list names nothing that could be removed safely.
    let names: Vec<String> = serde_json::from_slice(&text).unwrap_or_default();
    let listed = files(manifest);
    for name in names.iter().filter(|name| !listed.contains(*name) && number_of(name).is_some()) {
        let path = dir.join(name);
        // The name has no separator, so that the file is in the folder.
        if path.parent() == Some(dir) && path.exists() {
            fs::remove_file(&path).map_err(Error::io(&path, "cannot remove what an interrupted run left"))?;
        }
    }
    Ok(())
}

/// Returns the names of all listed shards.
fn files(manifest: &Manifest) -> BTreeSet<String> {
    manifest.streams.iter().flat_map(|stream| &stream.shards).map(|shard| shard.file.clone()).collect()
}

/// Adds the dataset in the folder `staging` to the one in `dir`, whose manifest is `old`. `new`
/// describes the new clips, with all classes. Returns the joined manifest.
///
/// Readers of the old manifest are not disturbed: its shards stay as they are. If this fails, the
/// old dataset stays.
///
/// # Errors
/// Returns [`Error::Input`] if an old shard has an unusual name.
pub(super) fn adopt(
    storage: &dyn Storage,
    dir: &Path,
    staging: &Path,
    old: &Manifest,
    new: Manifest,
) -> Result<Manifest> {
    let (joined, moves) = join(dir, old, new)?;
    let names: Vec<&String> = moves.iter().map(|(_, to)| to).collect();
    let text = serde_json::to_vec(&names).map_err(|e| Error::input(format!("{MOVES_FILE}: {e}")))?;
    write_whole(storage, &staging.join(MOVES_FILE), ".moves-", &text)?;
    let moved = moves.iter().try_for_each(|(from, to)| {
        storage
            .rename(&staging.join(from), &dir.join(to))
            .map_err(Error::io(dir.join(to), "cannot move the shard there"))
    });
    let written = moved.and_then(|()| {
        storage.sync_folder(dir).map_err(Error::io(dir, "cannot sync the folder to the disk"))?;
        Ok(joined.write_in(storage, dir)?)
    });
    if let Err(error) = written {
        // The new manifest may be in place although its last step failed.
        if let Ok(manifest) = Manifest::read(dir) {
            let _ = remove_unlisted(dir, staging, &manifest);
        }
        return Err(error);
    }
    Ok(joined)
}

/// Joins two manifests. Returns the file names of the new shards before and after the move.
fn join(dir: &Path, old: &Manifest, mut new: Manifest) -> Result<(Manifest, Vec<(String, String)>)> {
    let mut numbers = Vec::new();
    for file in files(old) {
        let Some(number) = number_of(&file) else {
            return Err(Error::input(format!(
                "{}: clips cannot be added, because shard {file} is not named STREAM-NNNNN.clipshard; copy the dataset \
                 first, as the copy has usual names",
                dir.display()
            )));
        };
        numbers.push(number);
    }
    let entries = fs::read_dir(dir).map_err(Error::io(dir, "cannot list the folder"))?.flatten();
    numbers.extend(entries.filter_map(|entry| number_of(&entry.file_name().to_string_lossy())));
    // The clips of a rebuilt manifest have the order of these numbers, whatever the stream. So the
    // new clips come after all others.
    let first = numbers.into_iter().max().map_or(0, |last| last.saturating_add(1));
    let (mut joined, mut moves) = (old.clone(), Vec::new());
    for stream in &mut joined.streams {
        let added = new.streams.iter().filter(|added| added.spec == stream.spec).flat_map(|added| added.shards.clone());
        for (number, mut shard) in (first..).zip(added) {
            let file = shard_file(&stream.spec.name, number);
            moves.push((std::mem::replace(&mut shard.file, file.clone()), file));
            stream.shards.push(shard);
        }
    }
    joined.classes = new.classes;
    joined.clips.append(&mut new.clips);
    joined.groups.append(&mut new.groups);
    Ok((joined, moves))
}
