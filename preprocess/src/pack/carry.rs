//! Carries shards and records from one dataset to another without decoding them.

use std::fs;
use std::io;
use std::path::Path;

use clipshard::{ClipRecords, Disk, EncodedRecord, Storage, open_regular};

use crate::error::{Error, Result};

/// How an unchanged shard file was carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carried {
    /// The file has another name now.
    Linked,
    /// The file was copied.
    Copied,
}

/// Puts an unchanged shard file at `to`: as a hard link if the file system allows it, otherwise as
/// a copy.
///
/// # Errors
/// Returns [`Error::Io`] if the shard is missing or the copy fails. No file is at `to` then.
pub(crate) fn link_or_copy(from: &Path, to: &Path) -> Result<Carried> {
    // A dataset may hold a symbolic link to the shard. A hard link to that link would be broken.
    let real = fs::canonicalize(from).map_err(Error::io(from, "cannot find the shard"))?;
    if fs::hard_link(&real, to).is_ok() {
        return Ok(Carried::Linked);
    }
    copy(&real, to)?;
    Ok(Carried::Copied)
}

/// Copies the records of a clip, frame after frame and plane after plane. Checks the checksum of
/// each.
///
/// # Errors
/// Returns [`Error::Format`] with the clip and the frame if a record is damaged.
pub(crate) fn copied_records(clip: &ClipRecords<'_>) -> Result<Vec<EncodedRecord>> {
    let mut copied = Vec::with_capacity(clip.frame_count() * clip.planes());
    for frame in clip.frames() {
        for plane in 0..clip.planes() {
            copied.push(EncodedRecord::from(frame.record(plane)?));
        }
    }
    Ok(copied)
}

/// Copies a shard completely or not at all. The copy gets the permissions of any new file.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let fault = Error::io(to, "cannot copy the shard");
    let mut source = open_regular(from).map_err(Error::io(from, "cannot read the shard"))?;
    let folder = to.parent().unwrap_or(to);
    let copied = Disk.create(folder, ".shard-").and_then(|mut file| {
        io::copy(&mut source, &mut file)?;
        file.sync()?;
        file.persist(to)
    });
    copied.map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This path is used if no hard link is possible, for example to another disk.
    #[test]
    fn a_copy_is_whole_and_not_as_closed_as_its_source() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to/rgb-00000.clipshard"));
        fs::create_dir(dir.path().join("to")).unwrap();
        fs::write(&from, "shard").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            fs::set_permissions(&from, fs::Permissions::from_mode(0o400)).unwrap();
            copy(&from, &to).unwrap();
            fs::write(dir.path().join("new"), "").unwrap();
            assert_eq!(mode(&to), mode(&dir.path().join("new")), "as any new file");
        }
        #[cfg(not(unix))]
        copy(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "shard");
        assert_eq!(fs::read_dir(dir.path().join("to")).unwrap().count(), 1);
        assert!(copy(&dir.path().join("none"), &to).unwrap_err().to_string().contains("none: cannot read the shard"));
        assert_eq!(fs::read_to_string(&to).unwrap(), "shard");
    }
}
