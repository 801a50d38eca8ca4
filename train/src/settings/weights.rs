//! The values of `--weights`: `none`, `imagenet` or a file.

use super::place;
use std::path::Path;

/// Random weights.
pub const NONE: &str = "none";
/// ImageNet weights of torchvision, which are downloaded if necessary.
pub const IMAGENET: &str = "imagenet";

/// Returns the file that a value names; `None` for the other two values.
pub fn file(weights: &str) -> Option<&Path> {
    (![NONE, IMAGENET].contains(&weights)).then(|| Path::new(weights))
}

/// Returns the value to store, with an absolute path. `imagenet` stays as it is: on another machine, it
/// names the file of that machine.
pub fn stored(weights: &str) -> String {
    let path = |path| place::absolute(path).to_string_lossy().into_owned();
    file(weights).map_or_else(|| weights.to_owned(), path)
}

/// Returns the value to show, with a path relative to the current folder if it is inside.
pub fn nearby(weights: String) -> String {
    match file(&weights) {
        Some(path) => place::nearby(path.to_owned()).to_string_lossy().into_owned(),
        None => weights,
    }
}
