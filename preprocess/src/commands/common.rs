//! Texts and checks that several commands share.

use std::path::Path;

use ucfpack::Error;
use ucfpack::quantity::counted;

/// Returns a number of clips as text: `1 clip`, `13,320 clips`.
pub fn clips_of(count: u64) -> String {
    counted(count, "clip", "clips")
}

/// Returns a number of images as text.
pub fn images_of(count: u64) -> String {
    counted(count, "image", "images")
}

/// Checks that a folder exists.
pub fn check_folder(folder: &Path) -> Result<(), Error> {
    if folder.is_dir() {
        return Ok(());
    }
    Err(Error::Input(format!("{}: no such folder", folder.display()).into()))
}
