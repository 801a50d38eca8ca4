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
use crate::place::name::{ADDED, ADDED_END, is_added};
use crate::place::staging::remove_fragments;

/// The file with the names that the shards get.
const MOVES_FILE: &str = "moves.json";
/// Largest accepted size of that file, in bytes.
const MAX_MOVES_BYTES: u64 = 1 << 26;

/// Creates a folder for new shards in the dataset.
pub(super) fn staging(dir: &Path) -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(ADDED).suffix(ADDED_END);
    builder.tempdir_in(dir).map_err(Error::io(dir, "cannot create a folder in it"))
}

/// Removes what interrupted runs left in the dataset, and returns the paths of their folders. Does
/// nothing without a lock.
pub(super) fn remove_leftovers(dir: &Path, manifest: &Manifest, lock: &OutputLock) -> Result<Vec<PathBuf>> {
    if !lock.is_held() {
        return Ok(Vec::new());
    }
    let folders = leftovers(dir)?;
    for folder in &folders {
        remove_unlisted(dir, folder, manifest)?;
        remove(folder)?;
    }
    remove_fragments(dir)?;
    Ok(folders)
}

/// Undoes an addition that was interrupted while it moved shards into a dataset, whose manifest
/// cannot be read. If all shards are there, they stay: the new manifest may have been written, and
/// the shards are whole. Does nothing without a lock.
pub(crate) fn undo_without_manifest(dir: &Path, lock: &OutputLock) -> Result<()> {
    if !lock.is_held() {
        return Ok(());
    }
    for folder in leftovers(dir)? {
        let names = moves(&folder);
        if !names.iter().all(|name| dir.join(name).exists()) {
            remove_shards(dir, names.iter())?;
        }
        remove(&folder)?;
    }
    remove_fragments(dir)
}

/// Returns the folders of interrupted runs.
fn leftovers(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(dir).map_err(Error::io(dir, "cannot list the folder"))? {
        let path = entry.map_err(Error::io(dir, "cannot list the folder"))?.path();
        if is_added(&path) {
            folders.push(path);
        }
    }
    Ok(folders)
}

fn remove(folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder).map_err(Error::io(folder, "cannot remove what an interrupted run left"))
}

/// Returns the names that the shards in `staging` get.
fn moves(staging: &Path) -> Vec<String> {
    let Ok(text) = read_regular(staging.join(MOVES_FILE), MAX_MOVES_BYTES) else { return Vec::new() };
    // A damaged list names nothing that could be removed safely.
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Removes shards that were moved out of `staging`, unless the manifest lists them.
fn remove_unlisted(dir: &Path, staging: &Path, manifest: &Manifest) -> Result<()> {
    let listed = files(manifest);
    remove_shards(dir, moves(staging).iter().filter(|name| !listed.contains(*name)))
}

fn remove_shards<'a>(dir: &Path, names: impl Iterator<Item = &'a String>) -> Result<()> {
    for name in names.filter(|name| number_of(name).is_some()) {
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
/// Returns [`Error::Input`] if an old shard has an unusual name or the largest number.
pub(super) fn adopt(
    storage: &dyn Storage,
    dir: &Path,
    staging: &Path,
    old: &Manifest,
    new: Manifest,
) -> Result<Manifest> {
    let (joined, moves) = join(dir, old, new)?;
    // A failure after this point only concerns the disk: the joined manifest is valid, and no file
    // is replaced.
    joined.write_in(storage, staging)?;
    if let Some((_, file)) = moves.iter().find(|(_, to)| dir.join(to).symlink_metadata().is_ok()) {
        return Err(Error::input(format!(
            "{}: {file} exists already, but a new shard needs this name; move that file elsewhere",
            dir.display()
        )));
    }
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
    let last = numbers.into_iter().max();
    let (mut joined, mut moves) = (old.clone(), Vec::new());
    for stream in &mut joined.streams {
        let added = new.streams.iter().filter(|added| added.spec == stream.spec).flat_map(|added| added.shards.clone());
        let mut number = last;
        for mut shard in added {
            let next = number.map_or(Some(0), |number| number.checked_add(1));
            number = next;
            let Some(next) = next else {
                return Err(Error::input(format!(
                    "{}: clips cannot be added, because no shard can have a number above {}; copy the dataset first, \
                     as the copy has usual numbers",
                    dir.display(),
                    u64::MAX
                )));
            };
            let file = shard_file(&stream.spec.name, next);
            moves.push((std::mem::replace(&mut shard.file, file.clone()), file));
            stream.shards.push(shard);
        }
    }
    joined.classes = new.classes;
    joined.clips.append(&mut new.clips);
    joined.groups.append(&mut new.groups);
    Ok((joined, moves))
}
