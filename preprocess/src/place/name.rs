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

/// Returns whether a name belongs to a file that a program was writing when it was killed. Such
/// files are ignored.
pub(crate) fn is_fragment(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".partial")
}
