//! Names of files and folders that programs make beside an output and in it.

use std::path::Path;

/// What a part says of itself, beside its manifest.
pub(crate) const PART_FILE: &str = "part.json";
/// What decided the images of an extracted tree.
pub(crate) const EXTRACT_FILE: &str = ".extract.json";

/// Name of the folder in which a build of `out` grows.
pub(crate) fn partial(out: &Path) -> String {
    format!(".{}.partial", out.file_name().unwrap_or_default().to_string_lossy())
}

/// Name of the lock of an output, in the folder that holds it.
pub(crate) fn lock(out: &Path) -> String {
    let real = out.canonicalize();
    let file_name = real.as_deref().unwrap_or(out).file_name().unwrap_or_default();
    format!(".{}.lock", file_name.to_string_lossy())
}

/// How the names of temporary folders start that become `out`.
pub(super) fn temporary_prefix(out: &Path) -> String {
    format!(".{}.partial-", out.file_name().unwrap_or_default().to_string_lossy())
}

/// Files that a program was writing in a folder when it was killed. They are no content.
pub(crate) fn is_fragment(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".partial")
}
