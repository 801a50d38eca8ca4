//! Paths in stored settings. They are absolute, so that a run can resume from any folder. Messages
//! show them relative to the current folder.

use std::path::{Path, PathBuf};

/// Returns the absolute path to store. Keeps the path as it is if the absolute one is not valid
/// Unicode.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).ok().filter(|path| path.to_str().is_some()).unwrap_or_else(|| path.to_owned())
}

/// Returns the path relative to the current folder if it is inside that folder.
pub fn nearby(path: PathBuf) -> PathBuf {
    let below = |folder: PathBuf| path.strip_prefix(folder).ok().map(Path::to_owned);
    let below = std::env::current_dir().ok().and_then(below).filter(|path| !path.as_os_str().is_empty());
    below.unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_path_is_absolute_and_is_shown_as_it_was_typed() {
        let stored = absolute(Path::new("data/ucf101"));
        assert_eq!(stored, std::env::current_dir().unwrap().join("data/ucf101"));
        assert_eq!(nearby(stored), Path::new("data/ucf101"));
        let elsewhere = Path::new("/nowhere/ucf101");
        assert_eq!((absolute(elsewhere), nearby(elsewhere.to_owned())), (elsewhere.to_owned(), elsewhere.to_owned()));
        let here = std::env::current_dir().unwrap();
        assert_eq!(nearby(here.clone()), here);
    }
}
