//! Names of auxiliary files in an output and next to it.

use std::path::Path;

/// The file in which a part keeps its plan, next to its manifest.
pub(crate) const PART_FILE: &str = "part.json";
/// The file with the settings that decided the images of an extracted tree.
pub(crate) const EXTRACT_FILE: &str = ".extract.json";

/// Returns the name of the folder for an unfinished build of `out`.
pub(crate) fn partial(out: &Path) -> String {
    format!(".{}.partial", out.file_name().unwrap_or_default().to_string_lossy())
}

/// Returns the file name of the lock of an output.
pub(crate) fn lock(out: &Path) -> String {
    let real = out.canonicalize();
    let file_name = real.as_deref().unwrap_or(out).file_name().unwrap_or_default();
    format!(".{}.lock", file_name.to_string_lossy())
}

/// Returns the common start of the names of temporary folders that become `out`.
pub(super) fn temporary_prefix(out: &Path) -> String {
    format!(".{}.partial-", out.file_name().unwrap_or_default().to_string_lossy())
}

/// The starts of the names of files that are being written in an output. They end in `.partial`.
const FILES: [&str; 8] = [".shard-", ".manifest-", ".moves-", ".writing-", ".part-", ".build-", ".extract-", ".clips-"];
/// The start of the names of folders with shards that are being added. They end in [`ADDED_END`].
pub(crate) const ADDED: &str = ".add-";
pub(crate) const ADDED_END: &str = ".partial";
/// Number of random characters between the start and the end.
const RANDOM: usize = 6;
/// The folder of clips that are being extracted.
const EXTRACTED: &str = ".partial";
/// The file with the attributes of extracted clips.
const EXTRACTED_CLIPS: &str = ".clips.partial";

/// Returns whether a path belongs to a file or folder that a program was writing inside an output
/// when it was killed. Such files are ignored. The folder of an unfinished build, `.NAME.partial`,
/// is none of them.
pub(crate) fn is_fragment(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let starts = |start: &str| name.starts_with(start) && name.ends_with(".partial");
    name == EXTRACTED
        || is_added(path)
        || ((FILES.into_iter().any(starts) || name == EXTRACTED_CLIPS) && !path.is_dir())
}

/// Returns whether a path is a folder with shards that were being added to a dataset.
pub(crate) fn is_added(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let random = name.strip_prefix(ADDED).and_then(|rest| rest.strip_suffix(ADDED_END));
    random.is_some_and(|random| random.len() == RANDOM && random.chars().all(|c| c.is_ascii_alphanumeric()))
        && path.is_dir()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_names_that_this_program_makes_are_fragments() {
        let root = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            fs::write(root.path().join(name), "").unwrap();
            is_fragment(&root.path().join(name))
        };
        let folder = |name: &str| {
            fs::create_dir(root.path().join(name)).unwrap();
            is_fragment(&root.path().join(name))
        };
        assert!(file(".shard-Ab12Cd.partial") && file(".manifest-x.partial") && file(".moves-1.partial"));
        assert!(file(".clips.partial"));
        assert!(folder(".add-Ab12Cd.partial") && folder(".partial"));
        assert!(!file(".ucf.partial") && !file("shard-Ab12Cd.partial") && !file(".shard-Ab12Cd"));
        for build in [".data.partial", ".shard-1.partial", ".add-more.partial", ".add-more-clips.partial"] {
            assert!(!folder(build), "{build}");
        }
    }
}
