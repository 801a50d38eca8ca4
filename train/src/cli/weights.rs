//! The file that `--weights` names. `imagenet` is a file in a cache folder, or a download.

use crate::base::console::{Console, note};
use crate::base::stop::Stop;
use crate::base::usage::Usage;
use crate::fetch::{Places, RemoteFile, imagenet};
use crate::settings::{IMAGENET, Settings, weights_file};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Returns the file of weights to start from, after its download if necessary; `None` for random
/// weights.
///
/// # Errors
/// The file cannot be downloaded.
pub fn obtain(settings: &Settings, offline: bool, console: Console, stop: &Stop) -> Result<Option<PathBuf>> {
    if settings.weights != IMAGENET {
        return Ok(weights_file(&settings.weights).map(Path::to_owned));
    }
    let file = remote(settings)?;
    let path = Places::of_environment(offline)?.obtain(file.name, console, stop)?;
    console.say(&format!("weights: {}", path.display()));
    Ok(Some(path))
}

/// Returns the file of weights to start from if it is on this machine. Says what would be downloaded
/// if it is not.
///
/// # Errors
/// The file is missing, and cannot be downloaded.
pub fn find(settings: &Settings, offline: bool) -> Result<Option<PathBuf>> {
    if settings.weights != IMAGENET {
        return Ok(weights_file(&settings.weights).map(Path::to_owned));
    }
    let (file, places) = (remote(settings)?, Places::of_environment(offline)?);
    let path = places.find(file.name)?;
    if path.is_none() {
        note(&format!("note: the training will download {} ({} MB)", places.plan(file.name), file.megabytes));
    }
    Ok(path)
}

/// Returns the file that `imagenet` stands for.
fn remote(settings: &Settings) -> Result<RemoteFile> {
    let none = || Usage(format!("--weights imagenet: torchvision has no file for {}; name a file", settings.arch));
    Ok(imagenet(settings.architecture()?).ok_or_else(none)?)
}
